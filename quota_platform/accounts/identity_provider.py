"""Sign-in through an identity provider, OpenID Connect or SAML, and the groups and tenants that its claims give.

The mapping is a setting, not rows of the admin: a person who manages users could otherwise give themself any right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render

from limiter.record import chain
from limiter.record.chain import Draft
from quota_platform.accounts import oidc, saml_settings
from quota_platform.accounts.settings import Mapped
from tenants.models import Membership, Tenant

GIVER = "identity-provider"
"""Who added the memberships that follow from claims. Those that people add are left alone."""

log = logging.getLogger(__name__)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Admits the people that the mapping names, with its groups and tenants and no others."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        found = super().get_provider(request, provider, client_id)
        if isinstance(found, OpenIDConnectProvider):
            found.oauth2_adapter_class = oidc.Adapter
        return found

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True  # pre_social_login has refused the others

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        given = Given.by(sociallogin.account)
        if sociallogin.is_existing:
            give(sociallogin.user, given)
        if not given.wanted or sociallogin.state.get("process") != AuthProcess.LOGIN:
            log.warning("a sign-in through the identity provider was refused: none of its groups is mapped")
            raise ImmediateHttpResponse(render(request, "account/not_mapped.html", status=403))

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        with transaction.atomic():
            person: User = super().save_user(request, sociallogin, form)
            give(person, Given.by(sociallogin.account))
        return person


@dataclass(frozen=True)
class Given:
    """What a provider's mapping gives to one person, and all that it could give."""

    wanted: list[Mapped]
    mapping: dict[str, Mapped]

    @staticmethod
    def by(account: SocialAccount) -> Given:
        """By the groups that the provider sent with this sign-in."""
        env, data = settings.ENV, account.extra_data
        is_saml = account.provider == saml_settings.PROVIDER
        mapping = env.SAML_GROUPS if is_saml else env.OIDC_GROUPS
        names = set(map(str, _names(data, env.SAML_GROUPS_ATTRIBUTE) if is_saml else _claimed(data)))
        return Given([mapping[name] for name in mapping if name in names], mapping)


def is_about_one_person(claims: dict[str, Any]) -> bool:
    """OpenID Connect Core, 5.3.2: claims of the userinfo endpoint count only for the subject of the ID token."""
    return len({part.get("sub") for part in claims.values() if isinstance(part, dict)}) == 1


def _claimed(claims: dict[str, Any]) -> Iterable[object]:
    """The groups in the ID token and at the userinfo endpoint."""
    if not is_about_one_person(claims):
        return []
    parts = (part for part in claims.values() if isinstance(part, dict))
    return [name for part in parts for name in _names(part, settings.ENV.OIDC_GROUPS_CLAIM)]


def _names(claims: dict[str, Any], claim: str) -> Iterable[object]:
    value = claims.get(claim)
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


@transaction.atomic
def give(person: User, given: Given) -> None:
    """Make groups, tenants and status those of the mapping; what no mapping names is left alone, but for status."""
    person = User.objects.select_for_update().get(pk=person.pk)
    before = _held(person)
    person.is_superuser = any(each.superuser for each in given.wanted)
    person.is_staff = person.is_superuser or any(each.staff for each in given.wanted)
    person.save(update_fields=["is_superuser", "is_staff"])
    mapped = {name for each in given.mapping.values() for name in each.groups}
    groups = {name for each in given.wanted for name in each.groups}
    person.groups.remove(*Group.objects.filter(name__in=mapped - groups))
    person.groups.add(*Group.objects.filter(name__in=groups))
    _join(person, {tenant_id for each in given.wanted for tenant_id in each.tenants})
    if (after := _held(person)) != before:
        chain.append([Draft("account.mapped", actor=GIVER, payload={"account": person.get_username(), **after})])


def _held(person: User) -> dict[str, Any]:
    return {
        "groups": sorted(person.groups.values_list("name", flat=True)),
        "staff": person.is_staff,
        "superuser": person.is_superuser,
    }


def _join(person: User, tenant_ids: set[str]) -> None:
    """One row at a time, so that the record has each."""
    for membership in Membership.objects.filter(user=person, added_by=GIVER).exclude(tenant__tenant_id__in=tenant_ids):
        membership.delete()
    for tenant in Tenant.objects.filter(tenant_id__in=tenant_ids).exclude(memberships__user=person):
        Membership.objects.create(user=person, tenant=tenant, added_by=GIVER)
