"""The forms of signing in: the password, and the code of the second factor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from quota_platform.accounts.attempts import UNAVAILABLE
from quota_platform.base.secrets import SecretUnreadable

log = logging.getLogger(__name__)


class SignInForm(LoginForm):
    """The name is sent as ``username``, as password managers and programs know it from the first release."""

    def add_prefix(self, field_name: str) -> str:
        return str(super().add_prefix("username" if field_name == "login" else field_name))


if TYPE_CHECKING:
    _Form: Any = AuthenticateForm
else:
    _Form = object


class BoundedCode(_Form):
    """A wrong code counts like a wrong password: for the account and the address, with the same growing pauses."""

    def clean_code(self) -> str:
        request, credentials = context.request, {"username": self.user.get_username()}
        if not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out = True  # the middleware responds with the page of the pause
            raise get_adapter().validation_error("incorrect_code")
        try:
            return str(super().clean_code())
        except ValidationError:
            user_login_failed.send(sender=__name__, credentials=credentials, request=request)
            raise
        except SecretUnreadable as error:
            log.error("a second factor of %s cannot be checked: %s", self.user.get_username(), error)
            raise get_adapter().validation_error("incorrect_code") from None
        except UNAVAILABLE:
            # The code is right: the cache is asked only whether it was used before, and people must be able to sign in.
            self.authenticator = Authenticator.objects.get(user=self.user, type=Authenticator.Type.TOTP)
            return str(self.cleaned_data["code"])


class CodeForm(BoundedCode, AuthenticateForm):
    """At sign-in."""


class CodeAgainForm(BoundedCode, ReauthenticateForm):
    """Before a change of one's second factors."""


class NameOfKey(_Form):
    """The field has no label in the catalogues of allauth."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name of the key")


class AddKeyForm(NameOfKey, AddWebAuthnForm):
    """A security key is added."""


class RenameKeyForm(NameOfKey, EditWebAuthnForm):
    """A security key gets another name."""
