"""Every admin page opens, costs a constant number of queries, and opens only for those who may see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection as database
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from limiter.models import (
    Alert,
    AlertDelivery,
    AlertHook,
    Assignment,
    AuditEntry,
    DeadLetter,
    Export,
    MultiplierChange,
    Override,
    QuotaLimit,
    QuotaPolicy,
    RecordGap,
    ReportSchedule,
    ThrottleEvent,
)
from limiter.policies.models.version import one_version
from limiter.record.admin.record import MAX_COUNTED
from tenants.models import Action, ApiKey, ApiToken, Connection, Tenant

pytestmark = pytest.mark.django_db
PAGES = ("changelist", "add", "change", "history", "delete")
SCRIPT_INSIDE = re.compile(rb'<script(?![^>]*\b(?:src=|type="application/json"))|\son[a-z]+="|href="javascript:')
"""What the content security policy would not run."""


def make_connection(i: int) -> Connection:
    row = Connection(name=f"unit-{i}", is_sandbox=True, base_url="http://127.0.0.1:8801", client_id="demo")
    row.set_client_secret("canary-client-secret")
    row.save()
    return row


def make_tenant(i: int) -> Tenant:
    return Tenant.objects.create(tenant_id=f"tenant-{i}", name=f"Tenant {i}", connection=make_connection(i))


def make_action(i: int) -> Action:
    return Action.objects.create(tenant=make_tenant(i), action_id=f"action-{i}")


def make_token(i: int) -> ApiToken:
    person = User.objects.create_user(f"program-{i}")
    return ApiToken.objects.issue(user=person, name=f"Token {i}")[0]


def make_key(i: int) -> ApiKey:
    return ApiKey.objects.issue(name=f"Key {i}", tenant=make_tenant(i))[0]


def make_policy(i: int) -> QuotaPolicy:
    with one_version("first"):
        policy = QuotaPolicy.objects.create(name=f"Policy {i}")
        for name in ("minute", "day"):
            QuotaLimit.objects.create(policy=policy, name=name, quota=100, window_seconds=60)
    return policy


def make_assignment(i: int) -> Assignment:
    return Assignment.objects.create(policy=make_policy(i), target="action", action=make_action(i))


def make_override(i: int) -> Override:
    action, now = make_action(i), timezone.now()
    return Override.objects.create(
        tenant=action.tenant, action=action, effect="shadow", ends_at=now + timedelta(hours=i + 1), reason="test"
    )


def make_hook(i: int) -> AlertHook:
    row = AlertHook(name=f"Hook {i}", tenant=make_tenant(i), url="https://hooks.example.com/quota")
    row.renew_secret()
    row.save()
    return row


def make_delivery(i: int) -> AlertDelivery:
    return AlertDelivery.objects.create(hook=make_hook(i), event="alert.test", body="{}")


def make_schedule(i: int) -> ReportSchedule:
    owner, _ = User.objects.get_or_create(username="staff", is_staff=True)
    return ReportSchedule.objects.create(name=f"Report {i}", kind="usage", format="jsonl", owner=owner)


def make_event(i: int) -> ThrottleEvent:
    return ThrottleEvent.objects.create(
        stream_id=f"1-{i}",
        at=timezone.now(),
        tenant_id="acme",
        action_id="lookupOrder",
        key_prefix="abc",
        request_id=f"request-{i}",
        decision_id=f"decision-{i}",
        policy_name="Base",
        policy_version=1,
        limit_name="minute",
        used=100,
        quota=100,
        effective_limit=62,
        multiplier=0.62,
        cost=1,
        retry_after_ms=1200.0,
    )


def make_entry(i: int) -> AuditEntry:
    return AuditEntry.objects.create(tenant_id="acme", position=10_000 + i, kind="test", at=timezone.now(), hash="0")


def make_multiplier(i: int) -> MultiplierChange:
    numbers = {"before": 1.0, "after": 0.5, "p95_ms": 1410.0, "samples": 100, "threshold_ms": 800.0}
    return MultiplierChange.objects.create(stream_id=f"1-{i}", at=timezone.now(), tenant_id="acme", **numbers)


def make_alert(i: int) -> Alert:
    numbers = {"threshold": 80, "used": 80, "effective_limit": 100, "policy_version": 1}
    return Alert.objects.create(
        at=timezone.now(), tenant_id="acme", limit_name=f"minute-{i}", policy_name="Base", **numbers
    )


def make_gap(i: int) -> RecordGap:
    return RecordGap.objects.create(stream="events", generation="one", lost=1, total=i + 1)


def make_letter(i: int) -> DeadLetter:
    return DeadLetter.objects.create(stream_id=f"1-{i}", stream="events", fields={"at": "soon"}, deliveries=5)


def make_export(i: int) -> Export:
    now = timezone.now()
    owner, _ = User.objects.get_or_create(username="staff", is_staff=True)  # others do not see it
    span = {"since": now - timedelta(days=1), "until": now}
    return Export.objects.create(kind="events", format="jsonl", requested_by=owner, **span)


def make_user(i: int) -> User:
    return User.objects.create_user(f"user-{i}")


def make_group(i: int) -> Group:
    return Group.objects.create(name=f"group-{i}")


MAKERS: dict[type[Model], Callable[[int], Model]] = {
    Connection: make_connection,
    Tenant: make_tenant,
    Action: make_action,
    ApiKey: make_key,
    ApiToken: make_token,
    QuotaPolicy: make_policy,
    Assignment: make_assignment,
    Override: make_override,
    ThrottleEvent: make_event,
    AuditEntry: make_entry,
    MultiplierChange: make_multiplier,
    RecordGap: make_gap,
    Alert: make_alert,
    AlertHook: make_hook,
    AlertDelivery: make_delivery,
    DeadLetter: make_letter,
    Export: make_export,
    ReportSchedule: make_schedule,
    User: make_user,
    Group: make_group,
}
"""One way to make a row of every model that has admin pages; a model that is added to the admin is added here."""
RECORD = {Alert, AlertDelivery, ThrottleEvent, AuditEntry, MultiplierChange, RecordGap, DeadLetter}
"""Rows to read, not to write."""

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
named = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def url_of(model: type[Model], page: str, row: Model | None = None) -> str:
    args = [row.pk] if row is not None and page not in ("changelist", "add") else []
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def staff(*permissions: str) -> Client:
    """Somebody who may sign in to the admin, sees every tenant and has these permissions only."""
    user, _ = User.objects.get_or_create(username="staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[*permissions, "see_every_tenant"]))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root(db: None) -> Client:
    """Somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


@pytest.mark.parametrize("page", PAGES)
@named
def test_every_page_opens(model: type[Model], page: str, root: Client) -> None:
    row = MAKERS[model](0)
    response = root.get(url_of(model, page, row))
    if (model in RECORD and page in ("add", "delete")) or (model is Export and page == "delete"):
        assert response.status_code == 403
    elif model in RECORD and page == "history":
        assert response.status_code == 404
    else:
        assert response.status_code == 200
        assert b"canary" not in response.content
        assert not SCRIPT_INSIDE.search(response.content)


@named
def test_the_queries_of_a_list_do_not_grow_with_its_rows(model: type[Model], root: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            database,
        ) as captured:
            assert root.get(url_of(model, "changelist")).status_code == 200
        return len(captured)

    for i in range(3):
        MAKERS[model](i)
    queries()  # content types and permissions are cached on first use
    few = queries()
    for i in range(3, 6):
        MAKERS[model](i)
    assert queries() == few


@named
def test_a_visitor_who_is_not_signed_in_is_sent_to_sign_in(model: type[Model]) -> None:
    row = MAKERS[model](0)
    for page in PAGES:
        response = Client().get(url_of(model, page, row))
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


@named
def test_staff_without_permission_see_nothing(model: type[Model]) -> None:
    row, client = MAKERS[model](0), staff()
    assert {client.get(url_of(model, page, row)).status_code for page in PAGES} == {403}


def test_the_first_page_offers_a_stranger_no_list() -> None:
    page = staff().get(reverse("admin:index"))
    assert page.status_code == 200
    offered = [model._meta.label for model in MODELS if url_of(model, "changelist").encode() in page.content]
    assert offered == []


def test_the_first_page_offers_each_person_what_they_may_see() -> None:
    page = staff("view_override").get(reverse("admin:index"))
    assert url_of(Override, "changelist").encode() in page.content
    assert url_of(QuotaPolicy, "changelist").encode() not in page.content


@named
def test_a_person_who_may_only_view_cannot_change_delete_or_go_back(model: type[Model]) -> None:
    row = MAKERS[model](0)
    client = staff(f"view_{model._meta.model_name}")
    assert client.get(url_of(model, "change", row)).status_code == 200
    assert client.post(url_of(model, "change", row), {}).status_code == 403
    assert client.post(url_of(model, "delete", row), {"post": "yes"}).status_code == 403
    if hasattr(model, "history"):
        moment = model.history.latest()
        info = f"admin:{model._meta.app_label}_{model._meta.model_name}_simple_history"
        assert client.get(reverse(info, args=[row.pk, moment.pk])).status_code == 200
        assert client.post(reverse(info, args=[row.pk, moment.pk]), {}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


BAD_IDS = ("abc", "0x1", "9" * 40, "-1", "%00", "1%2F2")
BAD_QUERIES = (
    "?q=%00",
    "?o=99.99",
    "?p=99999999999999999999",
    "?nonsense=1",
    "?state=nonsense",
    "?tenant__id__exact=x",
)


@named
def test_an_id_that_is_no_id_is_not_an_error(model: type[Model], root: Client) -> None:
    changelist = url_of(model, "changelist")
    tails = ("{}/change/", "{}/history/", "{}/delete/", "1/history/{}/", "{}/history/1/")
    responses = {root.get(changelist + tail.format(bad)).status_code for tail in tails for bad in BAD_IDS}
    assert responses <= {302, 400, 403, 404}  # 400: a NUL


BAD_CHOICES = {
    "tenant": ("x", "-1", "999"),
    "policy": ("%00", "x"),
    "action": ("x",),
    "acts_for": ("1,x",),
    "connection": ("9" * 40,),
    "nonsense": ("x",),
}


@named
def test_a_choice_in_the_address_that_is_no_row_is_not_an_error(model: type[Model], root: Client) -> None:
    fields = {field.name for field in model._meta.get_fields()} | {"nonsense"}
    choices = [f"?{name}={bad}" for name in fields & BAD_CHOICES.keys() for bad in BAD_CHOICES[name]]
    assert {root.get(url_of(model, "add") + choice).status_code for choice in choices} <= {200, 400, 403}


@named
def test_a_query_that_makes_no_sense_is_not_an_error(model: type[Model], root: Client) -> None:
    changelist = url_of(model, "changelist")
    assert {root.get(changelist + query).status_code for query in BAD_QUERIES} <= {200, 302, 400}


def searched(model: type[Model], text: str, client: Client) -> Any:
    return client.get(url_of(model, "changelist"), {"q": text}).context["cl"].result_count


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Connection, "unit-1"),
        (Tenant, "tenant-1"),
        (Action, "action-1"),
        (ApiKey, "tenant-1"),
        (QuotaPolicy, "Policy 1"),
        (Assignment, "action-1"),
        (Override, "action-1"),
        (ThrottleEvent, "decision-1"),
    ],
)
def test_search_finds_the_row_that_fits(model: type[Model], text: str, root: Client) -> None:
    for i in range(3):
        MAKERS[model](i)
    assert searched(model, text, root) == 1


def test_lists_group_thousands_and_the_sidebar_has_the_dashboard_s_words(admin_client: Client) -> None:
    Action.objects.create(tenant=make_tenant(1), action_id="slow", timeout_ms=30_000)
    page = admin_client.get(reverse("admin:tenants_action_changelist")).content.decode()
    assert "30,000" in page and ">30000<" not in page
    assert "Refusals" in page and "Throttle" not in page
    assert "Quota polic" not in admin_client.get(reverse("admin:limiter_quotapolicy_changelist")).content.decode()


def test_lists_and_forms_say_in_which_zone_times_are(acme: Tenant, admin_client: Client) -> None:
    for page, arguments in (("changelist", []), ("change", [acme.pk])):
        seen = admin_client.get(reverse(f"admin:tenants_tenant_{page}", args=arguments)).content.decode()
        assert "Times are in UTC unless a zone stands beside them." in seen


def head(client: Client, model: type[Model], **query: str) -> str:
    """The heading of a list, in one line."""
    page = client.get(url_of(model, "changelist"), query).content.decode()
    return " ".join(re.sub("<[^>]+>", " ", re.search(r"<h1.*?</h1>", page, re.DOTALL)[0]).split())  # type: ignore[index]


def test_the_heading_of_a_list_counts_what_a_search_found_with_its_thousands_grouped(root: Client) -> None:
    Group.objects.bulk_create(Group(name=f"team-{number}") for number in range(1_200))
    Group.objects.create(name="others")
    assert head(root, Group) == "Accounts chevron_right Groups"
    assert head(root, Group, q="team").endswith("1,200 results ( 1,206 total )")
    page = root.get(url_of(Group, "changelist"), {"q": "team"}).content.decode()
    assert "All 1,200 selected" in page and "Select all 1,200 groups" in page


def test_a_list_of_the_record_that_counts_no_further_says_that_there_may_be_more(root: Client) -> None:
    at = timezone.now()
    numbers = {"before": 1.0, "after": 0.5, "p95_ms": 1410.0, "samples": 100, "threshold_ms": 800.0, "at": at}
    MultiplierChange.objects.bulk_create(
        MultiplierChange(stream_id=f"1-{number}", tenant_id="acme", **numbers) for number in range(MAX_COUNTED + 1)
    )
    page = root.get(url_of(MultiplierChange, "changelist")).content.decode()
    assert re.search(r"10,000\+\s+multiplier changes", page)
    assert head(root, MultiplierChange) == "Quotas chevron_right Multiplier changes"
    assert "10,000 results+" in head(root, MultiplierChange, q="acme")
    MultiplierChange.objects.filter(stream_id__in=["1-0", "1-1"]).delete()
    assert re.search(r"9,999\s+multiplier changes", root.get(url_of(MultiplierChange, "changelist")).content.decode())
