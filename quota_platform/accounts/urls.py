"""The addresses of accounts: of allauth's pages those that are offered, and no others."""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.views import LoginView, ReauthenticateView
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as keys
from allauth.socialaccount.views import login_cancelled
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from quota_platform.accounts import mails, oidc
from quota_platform.accounts.own_account import OwnAccount
from quota_platform.accounts.passwords import AskForLink, ChangePassword, LinkSent, SetPassword
from quota_platform.accounts.saml_settings import PROVIDER
from quota_platform.accounts.second_factor import AskForFactor
from quota_platform.accounts.sign_out import sign_out


def _page(route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    return path(route, never_cache(view), name=name)


def _saml(route: str, view: str, name: str) -> URLPattern:
    """A page of SAML. What reads XML is loaded with the first of them, and not by processes that never show one."""

    @csrf_exempt  # the provider posts to one of them, which checks what came
    def loaded(request: HttpRequest, **arguments: str) -> HttpResponseBase:
        from quota_platform.accounts.saml import views

        response: HttpResponseBase = getattr(views, view)(request, **arguments)
        return response

    return path(f"saml/{route}", never_cache(loaded), {"organization_slug": PROVIDER}, name=name)


urlpatterns = [
    _page("sign-in/", LoginView.as_view(extra_context={"mails": mails.are_possible}), "account_login"),
    _page("", OwnAccount.as_view(), "account_own"),
    path("sign-out/", sign_out, name="account_logout"),
    _page("again/", ReauthenticateView.as_view(), "account_reauthenticate"),
    _page("password/", AskForLink.as_view(), "account_reset_password"),
    _page("password/change/", ChangePassword.as_view(), "account_change_password"),
    _page("password/sent/", LinkSent.as_view(), "account_link_sent"),
    _page("password/<uidb64>/<token>/", SetPassword.as_view(), "account_set_password"),
    _saml("start/", "start", "saml_login"),
    _saml("acs/", "acs", "saml_acs"),
    _saml("finish/", "finish", "saml_finish"),
    _saml("metadata/", "describe", "saml_metadata"),
    _saml("leave/", "leave", "saml_leave"),
    _saml("signed-out/", "signed_out", "saml_sls"),
    _page("<str:provider_id>/start/", oidc.login, "openid_connect_login"),
    _page("<str:provider_id>/callback/", oidc.callback, "openid_connect_callback"),
    _page("cancelled/", login_cancelled, "socialaccount_login_cancelled"),
    _page("second-factor/", factors.index, "mfa_index"),
    _page("second-factor/code/", AskForFactor.as_view(), "mfa_authenticate"),
    _page("second-factor/again/", factors.reauthenticate, "mfa_reauthenticate"),
    _page("second-factor/app/", totp.activate_totp, "mfa_activate_totp"),
    _page("second-factor/app/remove/", totp.deactivate_totp, "mfa_deactivate_totp"),
    _page("second-factor/keys/", keys.list_webauthn, "mfa_list_webauthn"),
    _page("second-factor/keys/add/", keys.add_webauthn, "mfa_add_webauthn"),
    _page("second-factor/keys/again/", keys.reauthenticate_webauthn, "mfa_reauthenticate_webauthn"),
    _page("second-factor/keys/<int:pk>/", keys.edit_webauthn, "mfa_edit_webauthn"),
    _page("second-factor/keys/<int:pk>/remove/", keys.remove_webauthn, "mfa_remove_webauthn"),
    _page("second-factor/recovery/", codes.view_recovery_codes, "mfa_view_recovery_codes"),
    _page("second-factor/recovery/new/", codes.generate_recovery_codes, "mfa_generate_recovery_codes"),
    _page("second-factor/recovery/file/", codes.download_recovery_codes, "mfa_download_recovery_codes"),
]
