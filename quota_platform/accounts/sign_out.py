"""Signing out: here, and at the SAML provider that a person came from."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from quota_platform.accounts import saml_settings


@never_cache
@require_POST
def sign_out(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    """The session here ends first; what the provider does is then between it and the browser."""
    left = None
    if request.user.is_authenticated and saml_settings.is_used(settings.ENV):
        from quota_platform.accounts.saml import leaving

        left = leaving.request_for(request)
    logout(request)
    if left is None:
        return HttpResponseRedirect(reverse("account_login"))
    left.note(request)
    return HttpResponseRedirect(reverse("saml_leave"))
