"""Sign-in through a real OpenID Connect provider: who is let in, what their groups give, and what goes with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from pydantic import SecretStr, ValidationError
from pytest_django import Settings

from limiter.models import AuditEntry
from quota_platform.accounts.identity_provider import is_about_one_person
from quota_platform.accounts.oidc_settings import providers
from quota_platform.accounts.settings import AccountEnv
from quota_platform.base.sessions import person_of
from tenants.models import Membership, Tenant
from tests.patience import HANG_S
from tests.quota_platform.accounts.mapped import HOME, MAPPING, ana, assert_ana_is_supervisor_of_acme

SUBJECT = "ana-at-the-provider"
CANARY = "canary-client-secret"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("redis_url"),
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning"),  # the provider's, in its own thread
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider on a socket of its own."""
    from oidc_provider_mock import run_server_in_thread

    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(autouse=True)
def trusted(issuer: str, settings: Settings) -> None:
    env = settings.ENV.model_copy(
        update={
            "OIDC_ISSUER": issuer,
            "OIDC_NAME": "Acme Identity",
            "OIDC_CLIENT_ID": "quota",
            "OIDC_CLIENT_SECRET": SecretStr(CANARY),
            "OIDC_GROUPS": MAPPING,
            "PUBLIC_URL": HOME,
        }
    )
    settings.ENV, settings.SOCIALACCOUNT_PROVIDERS = env, providers(env)


def claims(issuer: str, **values: Any) -> None:
    """What the provider says of Ana from now on."""
    body = {"preferred_username": "ana", "email": "ana@example.com", "name": "Ana Diaz", **values}
    requests.put(f"{issuer}/users/{SUBJECT}", json=body, timeout=HANG_S).raise_for_status()


def sign_in(client: Client, query: str = "") -> Any:
    """Follow the way of a browser: to the provider, consent there, and back."""
    start = client.get(reverse("openid_connect_login", args=["sso"]) + query)
    consent = requests.post(start["Location"], data={"sub": SUBJECT}, allow_redirects=False, timeout=HANG_S)
    back = urlsplit(consent.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def test_the_provider_sends_people_to_the_public_address_whichever_name_the_request_came_under(client: Client) -> None:
    start = client.get(reverse("openid_connect_login", args=["sso"]), headers={"host": "localhost"})
    assert parse_qs(urlsplit(start["Location"]).query)["redirect_uri"] == [f"{HOME}/accounts/sso/callback/"]


def test_the_sign_in_page_leads_to_the_provider_and_shows_no_secret(client: Client, issuer: str) -> None:
    page = client.get("/dashboard/tenants/", follow=True).content.decode()
    assert "Sign in with Acme Identity" in page
    start = client.get(re.search(r'href="(/accounts/sso/start/[^"]*)"', page)[1].replace("&amp;", "&"))  # type: ignore[index]
    assert start["Location"].startswith(issuer) and "code_challenge=" in start["Location"]
    assert CANARY not in page + start["Location"]


def test_a_person_gets_the_groups_and_tenants_of_their_claims(client: Client, issuer: str, acme: Tenant) -> None:
    claims(issuer, groups=["supervisors", "people of no concern"])
    assert sign_in(client)["Location"] == "/dashboard/"
    assert_ana_is_supervisor_of_acme(client)
    assert AuditEntry.objects.filter(kind="sign_in", actor="ana").exists()


def test_what_a_claim_gave_goes_with_the_claim_and_what_people_gave_stays(
    client: Client, issuer: str, acme: Tenant, globex: Tenant
) -> None:
    claims(issuer, groups=["supervisors", "owners"])
    sign_in(client)
    person = ana()
    assert person.is_superuser
    hooli = Tenant.objects.create(tenant_id="hooli", name="Hooli", connection=acme.connection)
    Membership.objects.create(user=person, tenant=hooli, added_by="root")
    person.groups.add(Group.objects.create(name="Night shift"))
    claims(issuer, groups="auditors")
    sign_in(Client())
    person = ana()
    assert not person.is_superuser and not person.is_staff
    assert set(person.groups.values_list("name", flat=True)) == {"Auditor", "Night shift"}
    assert set(person.memberships.values_list("tenant__tenant_id", flat=True)) == {"globex", "hooli"}
    assert AuditEntry.objects.filter(kind="membership.deleted", tenant_id="acme").exists()


@pytest.mark.parametrize("groups", [[], ["strangers"], None, {"supervisors": True}])
def test_without_a_mapped_group_nobody_is_let_in(client: Client, issuer: str, groups: Any) -> None:
    claims(issuer, groups=groups)
    response = sign_in(client)
    assert response.status_code == 403 and b"is in no group that may use this platform" in response.content
    assert not User.objects.filter(username="ana").exists() and "_auth_user_id" not in client.session


def test_an_account_whose_last_mapped_group_is_gone_is_refused_and_loses_what_it_had(
    client: Client, issuer: str, acme: Tenant
) -> None:
    claims(issuer, groups=["supervisors"])
    sign_in(client)
    claims(issuer, groups=[])
    later = Client()
    assert sign_in(later).status_code == 403
    person = ana()
    assert not person.groups.exists() and not person.memberships.exists() and not person.is_staff


def test_a_name_or_an_address_of_the_provider_takes_over_no_account(
    client: Client, issuer: str, admin_user: User
) -> None:
    claims(issuer, groups=["auditors"], preferred_username="root", email=admin_user.email, email_verified=True)
    sign_in(client)
    mine = person_of(client.session.session_key)
    assert mine is not None and mine != admin_user and not mine.is_superuser


def test_an_account_that_is_switched_off_stays_out(client: Client, issuer: str) -> None:
    claims(issuer, groups=["auditors"])
    sign_in(client)
    User.objects.filter(username="ana").update(is_active=False)
    later = Client()
    assert sign_in(later)["Location"] == reverse("account_login")
    assert person_of(later.session.session_key) is None


def test_a_service_account_does_not_sign_in_through_the_provider(client: Client, issuer: str) -> None:
    claims(issuer, groups=["auditors"])
    sign_in(client)
    ana().groups.add(Group.objects.get(name="Service account"))
    later = Client()
    assert sign_in(later).status_code == 403 and person_of(later.session.session_key) is None


def test_no_identity_is_connected_to_an_account_that_is_signed_in(
    client: Client, issuer: str, admin_user: User
) -> None:
    claims(issuer, groups=["auditors"])
    client.force_login(admin_user)
    assert sign_in(client, "?process=connect").status_code == 403
    assert not admin_user.socialaccount_set.exists()  # type: ignore[attr-defined]


def test_a_sign_in_that_this_browser_did_not_begin_is_refused(client: Client, issuer: str) -> None:
    claims(issuer, groups=["owners"])
    start = Client().get(reverse("openid_connect_login", args=["sso"]))
    consent = requests.post(start["Location"], data={"sub": SUBJECT}, allow_redirects=False, timeout=HANG_S)
    back = urlsplit(consent.headers["Location"])
    assert client.get(f"{back.path}?{back.query}").status_code == 401
    assert not User.objects.exists()


def test_the_provider_has_the_second_factors_of_its_people(client: Client, issuer: str, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"SECOND_FACTOR_REQUIRED": "everybody"})
    claims(issuer, groups=["auditors"])
    sign_in(client)
    assert client.get("/dashboard/").status_code == 200


def test_claims_of_two_people_are_nobody_s() -> None:
    ana, eve = {"sub": "ana", "groups": []}, {"sub": "eve", "groups": ["owners"]}
    assert is_about_one_person({"id_token": ana, "userinfo": ana}) and is_about_one_person({"id_token": ana})
    assert not is_about_one_person({"id_token": ana, "userinfo": eve})


@pytest.mark.parametrize(
    "wrong",
    [{"OIDC_ISSUER": "http://id.example.com"}, {"OIDC_GROUPS": {}}, {"OIDC_CLIENT_ID": ""}, {"PUBLIC_URL": ""}],
)
def test_a_provider_without_tls_client_address_or_mapping_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    whole = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "quota", "OIDC_GROUPS": {"a": {"staff": True}}}
    whole |= {"PUBLIC_URL": HOME, "SECRET_KEY": "x" * 32, "SECRETS_KEYS": "x"}
    AccountEnv.model_validate(whole)
    with pytest.raises(ValidationError):
        AccountEnv.model_validate({**whole, **wrong})
