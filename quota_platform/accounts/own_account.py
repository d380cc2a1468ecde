"""A person's own account: the language and the time zone of their pages, kept wherever they sign in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView
from django.views.i18n import set_language

from quota_platform.base import preferences, time_zones
from tenants.preferences import keep


class PreferencesForm(forms.Form):
    """Every language that has a catalogue, and every zone that the machine knows."""

    language = forms.ChoiceField(label=_("Language"), required=False)
    time_zone = forms.ChoiceField(label=_("Time zone"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = ["UTC", *sorted(time_zones.names() - {"UTC"})]
        self.fields["language"].choices = [("", _("that of the browser")), *settings.LANGUAGES]  # type: ignore[attr-defined]
        self.fields["time_zone"].choices = [(name, name) for name in zones]  # type: ignore[attr-defined]


class OwnAccount(LoginRequiredMixin, FormView[PreferencesForm]):
    """The page behind the name in the menu."""

    template_name = "account/own_account.html"
    form_class = PreferencesForm
    success_url = reverse_lazy("account_own")

    def get_initial(self) -> dict[str, Any]:
        return {name: preferences.held(self.request.session, name) for name in self.form_class.base_fields}

    def form_valid(self, form: PreferencesForm) -> HttpResponse:
        keep(self.request, **form.cleaned_data)
        response = super().form_valid(form)
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
        return response


def choose_language(request: HttpRequest) -> HttpResponseBase:
    """From the menu of a page: in a cookie for visitors, and with the account of a person who is signed in."""
    response = set_language(request)
    language = request.POST.get("language", "")
    if request.method == "POST" and request.user.is_authenticated and language in dict(settings.LANGUAGES):
        keep(request, language=language)
    return response
