"""SAML's pages: the way to the provider and back, the platform's metadata, and signing out at the provider."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from onelogin.saml2.auth import OneLogin_Saml2_Auth

from quota_platform.accounts import attempts
from quota_platform.accounts.saml import assertion, configuration, leaving, metadata, parked
from quota_platform.accounts.saml.assertion import AssertionRefused, Verified
from quota_platform.accounts.saml_settings import PROVIDER

log = logging.getLogger(__name__)


def _page(view: Callable[[HttpRequest, Any], HttpResponse]) -> Callable[..., HttpResponse]:
    """Only with a provider, which the view gets; a refusal or an unavailable provider is a page of ours."""

    @wraps(view)
    def respond(request: HttpRequest, organization_slug: str) -> HttpResponse:
        try:
            return view(request, get_adapter().get_provider(request, organization_slug))
        except SocialApp.DoesNotExist:
            raise Http404 from None
        except metadata.Unavailable:
            return render(request, "account/provider_unavailable.html", status=503)
        except (AssertionRefused, PermissionDenied) as reason:
            log.warning("a message of the SAML provider was refused: %s", reason or "this browser began no sign-in")
            return render(request, "account/provider_refused.html", status=403)

    return respond


@require_GET
@_page
def start(request: HttpRequest, provider: Any) -> HttpResponse:
    """Send the browser to the provider, and remember which request it was sent with."""
    saml_settings = configuration.of_sign_in(metadata.of_provider())
    sign_in = OneLogin_Saml2_Auth(configuration.came_to("saml_login"), saml_settings)
    where = sign_in.login(return_to="")
    next_url = get_next_redirect_url(request)
    provider.stash_redirect_state(request, AuthProcess.LOGIN, next_url, state_id=sign_in.get_last_request_id())
    return HttpResponseRedirect(where)


@require_POST
@_page
def acs(request: HttpRequest, provider: Any) -> HttpResponse:
    """Where the provider has the browser post its response: a stranger's, until it is verified."""
    text = request.POST.get("SAMLResponse", "")
    assertion.verify(text)
    where = reverse("saml_finish")
    response = HttpResponseRedirect(where)
    parked.park(response, text, path=where)
    return response


@require_GET
@_page
def finish(request: HttpRequest, provider: Any) -> HttpResponse:
    """The same browser with its session: sign the person in, if this session began it."""
    verified = assertion.verify(parked.take(request))
    login = provider.sociallogin_from_response(request, verified.response)
    login.state = _state(request, provider, verified)
    _use_once(verified)
    response: HttpResponse = complete_social_login(request, login)
    leaving.remember(request, verified.response)
    return response


def _state(request: HttpRequest, provider: Any, verified: Verified) -> dict[str, Any]:
    """What this session remembers of the sign-in. Raises PermissionDenied if it began none."""
    if verified.in_response_to:
        state: dict[str, Any] = provider.unstash_redirect_state(request, verified.in_response_to)
        return state
    if not settings.ENV.SAML_UNSOLICITED:
        raise AssertionRefused("nobody began this sign-in here, and SAML_UNSOLICITED is not set")
    return {"process": AuthProcess.LOGIN}


def _use_once(verified: Verified) -> None:
    """While the cache is unavailable only requested responses count: their session admits each once by itself."""
    try:
        is_new = attempts.is_first(f"saml\n{verified.assertion_id}", max(60, int(verified.ends_at - time.time()) + 60))
    except attempts.UNAVAILABLE as error:
        if verified.in_response_to is None:
            raise AssertionRefused(f"the shared cache is unavailable ({error})") from error
        return
    if not is_new:
        raise AssertionRefused("the assertion was used before")


@require_GET
@_page
def describe(request: HttpRequest, provider: Any) -> HttpResponse:
    """The platform's metadata, for the provider."""
    xml = configuration.of_platform().get_sp_metadata()
    return HttpResponse(xml, content_type="application/samlmetadata+xml")


@require_GET
@_page
def leave(request: HttpRequest, provider: Any) -> HttpResponse:
    """After the session here has ended: on to the provider, once. A document of ours leads there, because browsers
    hold a redirect of the form that signs out to our content security policy."""
    if not (where := leaving.take_address(request)):
        return HttpResponseRedirect(reverse("account_login"))
    return render(request, "account/leaving.html", {"where": where, "name": provider.name})


@require_GET
@_page
def signed_out(request: HttpRequest, provider: Any) -> HttpResponse:
    """Single logout: the person signed out at the provider, or comes back from there after signing out here."""
    query = {name: str(value) for name, value in request.GET.items()}
    if "SAMLResponse" in query:
        return _came_back(request, provider, query)
    asked = leaving.asked(query)
    person = request.user
    if (
        person.is_authenticated
        and SocialAccount.objects.filter(user=person, provider=PROVIDER, uid=asked.name).exists()
    ):
        logout(request)
    return HttpResponseRedirect(asked.respond_at)


def _came_back(request: HttpRequest, provider: Any, query: dict[str, str]) -> HttpResponse:
    """The session here has ended before, whatever the provider says of its own."""
    try:
        leaving.confirm(request, query)
    except AssertionRefused as reason:
        log.warning("the SAML provider did not confirm that somebody is signed out there: %s", reason)
        return render(request, "account/left_here_only.html", {"name": provider.name})
    return HttpResponseRedirect(reverse("account_login"))
