"""The people who need a second factor: until they have set one up, they are signed in to the pages for that alone."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_PROGRAMS = "/api/"
_OPEN = ("/accounts/", "/language/")


def is_required() -> bool:
    """Whether anybody needs one."""
    return settings.ENV.SECOND_FACTOR_REQUIRED != "nobody" or bool(settings.ENV.SECOND_FACTOR_GROUPS)


def is_missing(person: Any, session: SessionBase) -> bool:
    """Whether this session may not be used yet: its person needs a second factor and has none.

    A sign-in through the identity provider has the provider's own factors.
    """
    return (
        is_required()
        and not _came_through_a_provider(session)
        and _needs(person)
        and not Authenticator.objects.filter(user=person, type__in=FACTORS).exists()
    )


class AskForFactor(AuthenticateView):
    """The page between password and session. It offers the kinds of factors that the person has."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        held = Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True)
        return {**super().get_context_data(**kwargs), "held": set(held)}


def _needs(person: Any) -> bool:
    match settings.ENV.SECOND_FACTOR_REQUIRED:
        case "everybody":
            return True
        case "staff" if person.is_staff:
            return True
    groups = settings.ENV.SECOND_FACTOR_GROUPS
    return bool(groups) and bool(person.groups.filter(name__in=groups).exists())


def _came_through_a_provider(session: SessionBase) -> bool:
    steps = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or ()
    return any(step.get("method") == "socialaccount" for step in steps)


def instead_of(request: HttpRequest) -> HttpResponse | None:
    """What a person whose second factor is missing gets instead of a page: the set-up.

    The API treats the session as not signed in, so that a token beside it still counts.
    """
    if request.path_info.startswith(_OPEN) or not is_missing(request.user, request.session):
        return None
    if request.path_info.startswith(_PROGRAMS):
        request.user = AnonymousUser()
        return None
    return HttpResponseRedirect(reverse("mfa_index"))
