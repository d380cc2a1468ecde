"""OpenID Connect's two pages: the way to the provider and back, at the platform's public address."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from quota_platform.base.public_url import public_url


class Adapter(OpenIDConnectOAuth2Adapter):
    """allauth's, which would take the address from the request."""

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return public_url(reverse("openid_connect_callback", kwargs={"provider_id": self.provider_id}))


def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _respond(OAuth2LoginView, request, provider_id)


def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _respond(OAuth2CallbackView, request, provider_id)


def _respond(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    try:
        response: HttpResponse = view.adapter_view(Adapter(request, provider_id))(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return response
