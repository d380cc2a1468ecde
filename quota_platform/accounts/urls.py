"""The addresses of accounts: of allauth's pages those that are offered, and no others."""

from __future__ import annotations

from allauth.account.views import LoginView
from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard.csp import strict_csp

urlpatterns = [
    path("sign-in/", strict_csp(LoginView.as_view()), name="account_login"),
    path("sign-out/", LogoutView.as_view(next_page="account_login"), name="account_logout"),
]
