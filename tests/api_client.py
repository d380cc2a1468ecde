"""People who use the management API in tests: each signed in with a token and holding exactly the rights named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone
from rest_framework.test import APIClient

from tenants.models import ApiToken, Membership, Tenant


def person(*rights: str, name: str = "ana", tenants: Sequence[Tenant] | None = None) -> APIClient:
    """A client of somebody with these rights (``"tenants.view_tenant"``) and no others.

    They see every tenant, or are members of those given.
    """
    user = User.objects.create_user(name)
    for tenant in tenants or ():
        Membership.objects.create(user=user, tenant=tenant)
    for right in (*rights, *(["tenants.see_every_tenant"] if tenants is None else [])):
        app, codename = right.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return signed_in(user)


def editor(name: str = "ana") -> APIClient:
    """A client of somebody who may do everything with tenants and policies, and is no superuser."""
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["tenants", "limiter"]))
    return signed_in(user)


def token(name: str = "ana") -> str:
    """The token of somebody who may do everything with tenants and policies."""
    editor(name)
    return token_of(User.objects.get(username=name))


def token_of(user: User) -> str:
    """A new token of this person, used a moment ago: noting that is no part of what a test counts."""
    row, token = ApiToken.objects.issue(user=user, name="test")
    ApiToken.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
    return token


def signed_in(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_of(user)}")
    return client


ANY = {"If-Match": "*"}
"""The header of a write that means the row whatever it is."""


def as_read(client: APIClient, path: str) -> dict[str, str]:
    """The header of a write that means the row as it is now."""
    return {"If-Match": client.get(path)["ETag"]}


def errors(response: Any) -> dict[str, list[str]]:
    """The fields that a 400 complains of; the response must be a problem document."""
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == 400 and body["type"] and body["title"] and body["request_id"]
    found: dict[str, list[str]] = body["errors"]
    return found
