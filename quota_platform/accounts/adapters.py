"""Where allauth asks the project: signing in with a password, and with a second factor."""

from __future__ import annotations

import time
from typing import Any

from allauth.account import app_settings as account_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from quota_platform.accounts import programs
from quota_platform.accounts.sealing import PURPOSE
from quota_platform.base import secrets

_AGAIN = {
    "reauthenticate": _("Use your password"),
    "mfa_reauthenticate": _("Use a code"),
    "mfa_reauthenticate:webauthn": _("Use a security key"),
}
"""The ways to confirm that it is you, as the buttons to the other ones name them."""


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by administrators and by sign-in through the identity provider, never by visitors."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("The user name or the password is wrong."),
        "incorrect_password": _("The password is wrong."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """django-axes has looked at the failures already, as the first of AUTHENTICATION_BACKENDS."""

    def pre_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse | None:
        """Every way of signing in comes by here, after the password or the provider and before a second factor."""
        if programs.is_service_account(user):
            clear_login(request)
            user_login_failed.send(sender=__name__, credentials={"username": user.get_username()}, request=request)
            return render(request, "account/service_account.html", status=403)
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("account_login"))

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not in the first minutes after a sign-in: its password and code have just been entered."""
        records = get_authentication_records(self.request, self.request.user)
        oldest = time.time() - account_settings.REAUTHENTICATION_TIMEOUT
        just_signed_in = any(record["at"] > oldest for record in records)
        return not just_signed_in and bool(super().is_reauthentication_required(app=app, **kwargs))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        return [{**each, "description": _AGAIN[each["id"]]} for each in super().get_reauthentication_methods(user)]

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mails about accounts are the platform's own."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """No message of a sign-in or sign-out: it would wait for the next page of the admin."""


class FactorAdapter(DefaultMFAAdapter):
    """TOTP secrets and the seeds of recovery codes are sealed at rest."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("The code is wrong, or was used before."),
        "cannot_delete_authenticator": _("This is your last second factor, and you need one."),
        "cannot_generate_recovery_codes": _("Recovery codes come with an app or a key: set one up first."),
    }

    def encrypt(self, text: str) -> str:
        return secrets.seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        return secrets.unseal(encrypted_text, purpose=PURPOSE)
