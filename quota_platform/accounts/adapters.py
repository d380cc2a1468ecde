"""Where allauth asks the project: signing in with a password."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by administrators and by sign-in through the identity provider, never by visitors."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """django-axes has looked at the failures already, as the first of AUTHENTICATION_BACKENDS."""

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("account_login"))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mails about accounts are the platform's own."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """No message of a sign-in or sign-out: it would wait for the next page of the admin."""
