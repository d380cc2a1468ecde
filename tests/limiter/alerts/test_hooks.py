"""Alert hooks in the admin and at ``/api/alert-hooks``: made, tried, given a new secret; the secret is shown once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from limiter.models import AlertDelivery, AlertHook, AuditEntry
from tenants.models import Tenant
from tests.api_client import editor, errors, person
from tests.filled_form import as_seen, filled_form
from tests.limiter.alerts.receiver import Receiver, listening
from tests.people import browser, member

pytestmark = pytest.mark.django_db(transaction=True)
HOOKS, ADMIN = "/api/alert-hooks/", "/admin/limiter/alerthook/"
EDIT = tuple(f"limiter.{verb}_alerthook" for verb in ("view", "add", "change", "delete"))


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with listening() as made:
        settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": [made.address, "example.com"]})
        yield made


@pytest.fixture
def root(admin_user: User) -> Client:
    return browser(admin_user)


def made(**fields: Any) -> AlertHook:
    row = AlertHook(**{"name": "On-call", "url": "https://hooks.example.com/quota", **fields})
    row.renew_secret()
    row.save()
    return row


# The API.


def test_the_secret_is_in_the_response_that_creates_the_hook_and_nowhere_else(acme: Tenant, receiver: Receiver) -> None:
    api = editor("ana")
    response = api.post(HOOKS, {"name": "On-call", "tenant": "acme", "url": receiver.url, "reason": "go-live"})
    assert response.status_code == 201 and response["Cache-Control"] == "no-store"
    row = AlertHook.objects.get()
    assert response.json()["secret"] == row.secret() and row.secret().startswith("whsec_")
    assert row.created_by == "ana"
    path = f"{HOOKS}{row.pk}/"
    responses = [api.get(HOOKS), api.get(path), api.patch(path, {"name": "Day"}), api.post(f"{path}test/")]
    responses.append(api.get("/api/alert-deliveries/"))
    kept = [*AlertHook.history.values(), *AuditEntry.objects.values()]
    plain = row.secret().removeprefix("whsec_")
    assert all(each.status_code == 200 and plain not in each.content.decode() for each in responses)
    assert plain not in str(kept) and row.secret_sealed not in str(kept)
    assert AuditEntry.objects.filter(kind="alert_hook.created", tenant_id="acme").get().payload["reason"] == "go-live"


def test_a_new_secret_takes_the_place_of_the_old_one(acme: Tenant, receiver: Receiver) -> None:
    row, api = made(tenant=acme), editor()
    before = row.secret()
    response = api.post(f"{HOOKS}{row.pk}/new-secret/")
    row.refresh_from_db()
    assert response.json()["secret"] == row.secret() != before
    assert response["Cache-Control"] == "no-store"


def test_a_test_says_how_it_went(acme: Tenant, receiver: Receiver) -> None:
    row, api = made(tenant=acme, url=receiver.url), editor()
    assert api.post(f"{HOOKS}{row.pk}/test/").json()["state"] == "arrived"
    receiver.responses = [503]
    failed = api.post(f"{HOOKS}{row.pk}/test/").json()
    assert (failed["state"], failed["status"], failed["error"]) == ("given_up", 503, "answered 503")
    found = api.get(f"/api/alert-deliveries/?hook={row.pk}&state=given_up").json()["results"]
    assert [each["message_id"] for each in found] == [failed["message_id"]] == [receiver.ids()[1]]


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("url", "http://hooks.example.com/", "https"),
        ("url", "https://hooks.example.org/", "ALERT_HOOK_HOSTS lists: example.com"),
        ("url", "https://10.0.0.7/", "host name"),
        ("url", "https://hooks.example.com/?token=1", "query"),
        ("url", "https://ana:pw@hooks.example.com/", "user name"),
        ("url", "http://127.0.0.1:1/", "https"),
        ("url", "ftp://hooks.example.com/", "https"),
        ("from_threshold", 0, "1"),
        ("from_threshold", 101, "100"),
        ("name", "", "blank"),
        ("tenant", "nobody", "nobody"),
        ("secret", "whsec_mine", "platform sets"),
    ],
)
def test_an_address_that_cannot_be_posted_to_is_refused_at_its_field(
    acme: Tenant, receiver: Receiver, field: str, value: Any, word: str
) -> None:
    given = {"name": "On-call", "tenant": "acme", "url": receiver.url, field: value}
    found = errors(editor().post(HOOKS, given, format="json"))
    assert word in str(found[field])
    assert not AlertHook.objects.exists()


def test_without_a_list_of_hosts_nothing_can_be_posted_to(acme: Tenant, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": []})
    found = errors(editor().post(HOOKS, {"name": "On-call", "tenant": "acme", "url": "https://hooks.example.com/"}))
    assert "ALERT_HOOK_HOSTS lists no host" in found["url"][0]


def test_a_member_has_hooks_for_their_own_tenants_only(acme: Tenant, globex: Tenant, receiver: Receiver) -> None:
    own, other, every = made(tenant=acme), made(tenant=globex), made()
    api = person(*EDIT, "limiter.view_alertdelivery", "tenants.view_tenant", tenants=[acme])
    for hook in (own, other, every):
        AlertDelivery.objects.create(hook=hook, event="alert.test", body="{}")
    assert [each["id"] for each in api.get(HOOKS).json()["results"]] == [own.pk]
    assert [each["hook"] for each in api.get("/api/alert-deliveries/").json()["results"]] == [own.pk]
    for hook in (other, every):
        for path in ("", "test/", "new-secret/"):
            assert api.post(f"{HOOKS}{hook.pk}/{path}").status_code in (404, 405)
    given = {"name": "Mine", "url": receiver.url}
    assert api.post(HOOKS, {**given, "tenant": "acme"}).status_code == 201
    assert api.post(HOOKS, {**given, "tenant": "globex"}).status_code == 400
    assert api.post(HOOKS, {**given, "tenant": None}, format="json").status_code == 403
    assert api.patch(f"{HOOKS}{own.pk}/", {"tenant": None}, format="json").status_code == 403
    assert AlertHook.objects.filter(tenant=None).count() == 1
    assert receiver.posted == []


# The admin.


def test_the_admin_makes_a_hook_and_shows_its_secret_once(root: Client, acme: Tenant, receiver: Receiver) -> None:
    form = filled_form(root.get(f"{ADMIN}add/").content) | {"name": "On-call", "url": receiver.url, "tenant": acme.pk}
    shown = root.post(f"{ADMIN}add/", form)
    row = AlertHook.objects.get()
    assert shown.status_code == 200 and "no-store" in shown["Cache-Control"]
    assert re.search(r"whsec_[A-Za-z0-9+/=]+", shown.content.decode()).group() == row.secret()  # type: ignore[union-attr]
    assert (row.created_by, row.tenant) == ("root", acme)
    pages = [ADMIN, f"{ADMIN}{row.pk}/change/", f"{ADMIN}{row.pk}/history/"]
    plain = row.secret().removeprefix("whsec_")
    assert all(plain not in root.get(page).content.decode() for page in pages)
    assert plain not in str(list(LogEntry.objects.values()))


def test_the_admin_posts_a_test_and_says_how_it_went(root: Client, acme: Tenant, receiver: Receiver) -> None:
    row = made(tenant=acme, url=receiver.url)
    assert root.get(f"{ADMIN}{row.pk}/test/").status_code == 302 and receiver.posted == []
    assert (
        "The test arrived: the response was 204." in root.post(f"{ADMIN}{row.pk}/test/", follow=True).content.decode()
    )
    receiver.responses = [500]
    assert "did not arrive: answered 500." in root.post(f"{ADMIN}{row.pk}/test/", follow=True).content.decode()
    page = root.get(f"{ADMIN}{row.pk}/change/").content.decode()
    assert "arrived" in page and "given up" in page


def test_the_page_of_a_delivery_shows_the_message_in_lines_and_no_next_attempt_once_it_arrived(
    root: Client, acme: Tenant
) -> None:
    sent = '{"type": "policy.published", "timestamp": "2026-11-30T16:05:46.007319+00:00", "data": {"policy": "Gold"}}'
    row = AlertDelivery.objects.create(hook=made(tenant=acme), event="policy.published", body=sent, state="arrived")
    page = root.get(f"/admin/limiter/alertdelivery/{row.pk}/change/").content.decode()
    assert "<strong>policy</strong>: Gold" in page and "2026-11-30 16:05:46 UTC" in page
    assert "&quot;" not in page and "007319" not in page
    assert "Contact point" in page and "Hook" not in page
    assert f"{row.next_at:%Y-%m-%d %H:%M}" not in page.partition("Next attempt")[2][:400]
    AlertDelivery.objects.update(body="Subject: alert\n\nacme")
    assert "Subject: alert\n\nacme" in root.get(f"/admin/limiter/alertdelivery/{row.pk}/change/").content.decode()


def test_the_admin_makes_a_new_secret_and_shows_it_once(root: Client, acme: Tenant) -> None:
    row = made(tenant=acme)
    before = row.secret()
    assert root.get(f"{ADMIN}{row.pk}/new-secret/").status_code == 302
    shown = root.post(f"{ADMIN}{row.pk}/new-secret/", as_seen(root, f"{ADMIN}{row.pk}/change/"))
    row.refresh_from_db()
    assert row.secret() != before and row.secret() in shown.content.decode()


def test_going_back_to_an_earlier_hook_keeps_the_secret_of_now(root: Client, acme: Tenant, receiver: Receiver) -> None:
    row = made(tenant=acme)
    row.renew_secret()
    row.name = "Night"
    row.save()
    earlier = AlertHook.history.earliest().pk
    page = f"{ADMIN}{row.pk}/history/{earlier}/"
    assert root.post(page, filled_form(root.get(page).content)).status_code == 302
    found = AlertHook.objects.get()
    assert (found.name, found.secret()) == ("On-call", row.secret())


def test_a_member_of_the_admin_makes_none_for_every_tenant(acme: Tenant, receiver: Receiver) -> None:
    client = browser(member("mia", acme))
    form = filled_form(client.get(f"{ADMIN}add/").content) | {"name": "Mine", "url": receiver.url, "tenant": ""}
    response = client.post(f"{ADMIN}add/", form)
    assert response.context["adminform"].form.errors["tenant"]
    assert client.post(f"{ADMIN}{made().pk}/test/").status_code == 404
    assert not AlertHook.objects.exclude(tenant=None).exists()


def test_a_person_who_may_only_view_posts_no_test(acme: Tenant, receiver: Receiver) -> None:
    row = made(tenant=acme, url=receiver.url)
    client = browser(member("leo", acme, without=("change_alerthook",)))
    assert client.get(f"{ADMIN}{row.pk}/change/").status_code == 200
    assert client.post(f"{ADMIN}{row.pk}/test/").status_code == 403
    assert client.post(f"{ADMIN}{row.pk}/new-secret/").status_code == 403
    assert receiver.posted == []
