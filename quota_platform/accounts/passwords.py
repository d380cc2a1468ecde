"""The pages of a new password: asking for a link by mail, setting the password with it, and changing one's own."""

from __future__ import annotations

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.conf import settings
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import PasswordChangeView, PasswordResetConfirmView
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView, TemplateView
from kombu.exceptions import OperationalError

from limiter.record import chain
from limiter.record.chain import Draft
from quota_platform.accounts import mails, tasks
from quota_platform.accounts.attempts import UNAVAILABLE, address_of, is_first

ASKED_AGAIN_S = 60
"""One link a minute for an address, and one request in two seconds from a network."""
_FROM_A_NETWORK_S = 2


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=_("Mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class AskForLink(FormView[AddressForm]):
    """The response is the same whether or not an account has the address, and takes the same time."""

    form_class = AddressForm
    template_name = "account/ask_for_link.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not mails.are_possible():
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: AddressForm) -> HttpResponse:
        address = form.cleaned_data["email"].lower()
        try:
            from_here = is_first(f"link:{address_of(self.request)}", _FROM_A_NETWORK_S)
            if from_here and is_first(f"link:{address}", ASKED_AGAIN_S):
                tasks.mail_reset.delay(address, language=get_language() or settings.LANGUAGE_CODE)
        except (*UNAVAILABLE, OperationalError):
            form.add_error(None, _("Mails cannot be sent at the moment. Try again in a few minutes."))
            return self.form_invalid(form)
        return redirect("account_link_sent")


class LinkSent(TemplateView):
    template_name = "account/link_sent.html"


class SetPassword(PasswordResetConfirmView):
    """With the link of a mail. It signs nobody in: a second factor is asked for at the sign-in."""

    template_name = "account/set_password.html"
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        chain.append([Draft("account.password_set", actor=form.user.get_username())])
        return response


class NewPasswordForm(PasswordChangeForm):
    """A wrong old password counts like one at sign-in, or a session left open would be a place to guess it."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        request, credentials = self._request, {"username": self.user.get_username()}
        if not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out = True  # type: ignore[attr-defined]  # its middleware responds with the pause
            raise ValidationError(self.error_messages["password_incorrect"])
        try:
            return str(super().clean_old_password())
        except ValidationError:
            user_login_failed.send(sender=__name__, credentials=credentials, request=request)
            raise


class ChangePassword(PasswordChangeView):
    """One's own, for everybody who has one. It ends the person's other sessions."""

    form_class = NewPasswordForm
    template_name = "account/change_password.html"
    success_url = reverse_lazy("account_own")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated and not request.user.has_usable_password():
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        chain.append([Draft("account.password_changed", actor=form.user.get_username())])
        return response
