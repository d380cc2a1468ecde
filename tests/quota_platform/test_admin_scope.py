"""A person of one tenant in the admin: what belongs to others is not there, in no list, choice, history or address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from limiter.models import Assignment, AuditEntry, Export, Override, QuotaPolicy
from quota_platform.base import row_access
from tenants.models import Action, ApiKey, Connection, Membership, Tenant
from tests.filled_form import as_seen
from tests.people import browser, member
from tests.quota_platform.test_admin_pages import MAKERS, make_event, url_of

pytestmark = pytest.mark.django_db
SHARED: set[type[Model]] = {QuotaPolicy, Export}
"""Policies are everybody's to read; whose an export is has tests of its own."""
MODELS = sorted(
    (model for model in admin.site._registry if row_access.has_rule(model) and model not in SHARED),
    key=lambda model: model._meta.label,
)
named = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


@pytest.fixture
def ana(globex: Tenant) -> Client:
    """Of Globex, with every right; the rows that the makers make are of other tenants, Acme among them."""
    return browser(member("ana", globex))


@named
def test_a_list_has_no_row_of_another_tenant(model: type[Model], ana: Client) -> None:
    row = MAKERS[model](0)
    response = ana.get(url_of(model, "changelist"))
    assert response.status_code == 200
    assert row not in response.context["cl"].result_list


@named
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_another_tenants_row_is_answered_as_one_that_is_not_there(model: type[Model], page: str, ana: Client) -> None:
    row = MAKERS[model](0)
    theirs, url = ana.get(url_of(model, page, row)), url_of(model, page, row)
    nobodys = ana.get(url.replace(f"/{row.pk}/", "/999999/"))
    assert theirs.status_code == nobodys.status_code in (302, 403, 404)
    assert theirs.headers.get("Location") == nobodys.headers.get("Location")
    posted = ana.post(url, {"post": "yes"})
    assert posted.status_code in (302, 403, 404)
    assert posted.status_code == ana.post(url.replace(f"/{row.pk}/", "/999999/"), {"post": "yes"}).status_code
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", [m for m in MODELS if hasattr(m, "history")], ids=lambda model: model._meta.label)
def test_an_earlier_state_of_another_tenants_row_is_not_shown(model: type[Model], ana: Client) -> None:
    row = MAKERS[model](0)
    info = f"admin:{model._meta.app_label}_{model._meta.model_name}_simple_history"
    moment = model.history.latest()  # type: ignore[attr-defined]
    assert ana.get(reverse(info, args=[row.pk, moment.pk])).status_code == 404
    row.delete()
    assert ana.get(url_of(model, "history", moment.instance)).status_code == 404
    assert ana.get(reverse(info, args=[moment.id, moment.pk])).status_code == 404


@named
def test_selecting_another_tenants_row_deletes_nothing(model: type[Model], ana: Client) -> None:
    row = MAKERS[model](0)
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    ana.post(url_of(model, "changelist"), chosen)
    assert model._default_manager.filter(pk=row.pk).exists()


CHOICES = [
    ("tenants", "action", "tenant"),
    ("tenants", "apikey", "tenant"),
    ("tenants", "apikey", "acts_for"),
    ("tenants", "tenant", "connection"),
    ("limiter", "assignment", "tenant"),
    ("limiter", "assignment", "action"),
    ("limiter", "override", "tenant"),
    ("limiter", "override", "action"),
    ("tenants", "membership", "tenant"),
]


@pytest.mark.parametrize(("app", "model", "field"), CHOICES)
def test_no_choice_offers_a_row_of_another_tenant(ana: Client, acme: Tenant, app: str, model: str, field: str) -> None:
    Connection.objects.create(name="acme-unit", preset="cxone")
    asked = {"app_label": app, "model_name": model, "field_name": field}
    response = ana.get(reverse("admin:autocomplete"), asked)
    assert response.status_code == 200
    offered = " ".join(each["text"] for each in response.json()["results"])
    assert offered and "acme" not in offered
    assert ana.get(reverse("admin:autocomplete"), {**asked, "term": "acme"}).json()["results"] == []


def test_an_address_that_names_a_stranger_does_not_get_their_name(ana: Client, acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="Acme IVR", tenant=acme)
    for page in (
        f"/admin/tenants/action/add/?tenant={acme.pk}",
        f"/admin/limiter/override/add/?tenant={acme.pk}",
        f"/admin/tenants/apikey/add/?tenant={acme.pk}&acts_for={acme.pk}",
        f"/admin/tenants/action/?tenant__id__exact={acme.pk}",
        f"/admin/limiter/assignment/?tenant__id__exact={acme.pk}",
        f"/admin/tenants/apikey/revoke/?key={key.pk}",
        "/admin/",
    ):
        response = ana.get(page, follow=True)
        assert response.status_code == 200
        assert b"acme" not in response.content.lower(), page


def form(**fields: Any) -> dict[str, Any]:
    later = timezone.now() + timedelta(hours=1)
    return {
        "effect": "shadow",
        "starts_at_0": "2030-01-01",
        "starts_at_1": "00:00",
        "ends_at_0": f"{later:%Y}-12-31",
        "ends_at_1": "23:59",
        "reason": "x",
        **fields,
    }


def test_a_posted_form_makes_nothing_for_a_stranger(ana: Client, acme: Tenant, base_policy: QuotaPolicy) -> None:
    action = Action.objects.get(tenant=acme)
    for page, fields in (
        ("tenants/action", {"tenant": acme.pk, "action_id": "x", "kind": "webaction", "cost": 1, "timeout_ms": 1000}),
        ("tenants/apikey", {"tenant": acme.pk, "name": "x", "expires_at_0": "", "expires_at_1": ""}),
        ("tenants/apikey", {"acts_for": [acme.pk], "name": "x", "expires_at_0": "", "expires_at_1": ""}),
        ("limiter/override", form(tenant=acme.pk)),
        ("limiter/assignment", {"policy": base_policy.pk, "target": "tenant", "tenant": acme.pk}),
        ("limiter/assignment", {"policy": base_policy.pk, "target": "action", "action": action.pk}),
    ):
        response: Any = ana.post(f"/admin/{page}/add/", fields)
        assert response.status_code == 200 and response.context["errors"], page
    assert ana.get("/admin/tenants/tenant/add/").status_code == 403
    assert ana.get("/admin/tenants/connection/add/").status_code == 403
    assert (ApiKey.objects.count(), Override.objects.count(), Assignment.objects.count()) == (0, 0, 1)


def test_rows_of_every_tenant_can_be_read_and_not_changed(ana: Client, acme: Tenant, base_policy: QuotaPolicy) -> None:
    default, shared = Assignment.objects.get(), acme.connection
    for url in (url_of(Assignment, "change", default), url_of(QuotaPolicy, "change", base_policy)):
        assert ana.get(url).status_code == 200
    assert ana.get(url_of(Connection, "change", shared)).status_code == 200
    for row in (default, base_policy, shared):
        assert ana.post(url_of(type(row), "change", row), {}).status_code == 403
        assert ana.get(url_of(type(row), "delete", row)).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        assert ana.post(url_of(type(row), "changelist"), chosen).status_code == 403
        assert type(row)._default_manager.filter(pk=row.pk).exists()
    moment = QuotaPolicy.history.filter(id=base_policy.pk).earliest()
    back = reverse("admin:limiter_quotapolicy_simple_history", args=[base_policy.pk, moment.pk])
    assert ana.get(back).status_code == 200
    assert ana.post(back, {}).status_code == 403
    assert ana.post(f"{url_of(Connection, 'change', shared).replace('/change/', '/test/')}").status_code == 403


def test_nobody_makes_their_own_policy_everyones(ana: Client, globex: Tenant) -> None:
    own = QuotaPolicy.objects.create(name="Own")
    response: Any = ana.post("/admin/limiter/assignment/add/", {"policy": own.pk, "target": "default"})
    assert response.status_code == 200 and "target" in response.context["adminform"].form.errors
    assert not Assignment.objects.exists()


def test_a_policy_s_page_names_no_stranger_and_says_that_there_are_some(ana: Client, acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Shared")
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    page = ana.get(url_of(QuotaPolicy, "change", policy)).content
    assert b"acme" not in page
    assert b"Tenants that you do not see have it, too." in page


def test_a_search_for_a_strangers_decision_finds_nothing(ana: Client) -> None:
    make_event(0)
    for term in ("acme", "decision-0", "request-0", "lookupOrder"):
        assert not list(ana.get("/admin/limiter/throttleevent/", {"q": term}).context["cl"].result_list)


# Their own rows.


def test_people_change_the_rows_of_their_own_tenants(ana: Client, globex: Tenant) -> None:
    action = Action.objects.get(tenant=globex)
    page = ana.get(url_of(Action, "change", action))
    assert page.status_code == 200 and page.context["has_change_permission"]
    assert [row.tenant_id for row in ana.get(url_of(Tenant, "changelist")).context["cl"].result_list] == ["globex"]
    fields = {"tenant": globex.pk, "name": "IVR", "expires_at_0": "", "expires_at_1": "", "max_class": "critical"}
    assert b"qk_" in ana.post("/admin/tenants/apikey/add/", fields).content
    gone = url_of(Action, "delete", action)
    assert ana.post(gone, {"post": "yes", **as_seen(ana, gone)}).status_code == 302
    assert not Action.objects.filter(pk=action.pk).exists()


def test_people_cannot_change_the_id_of_their_tenant(ana: Client, globex: Tenant) -> None:
    url = url_of(Tenant, "change", globex)
    ana.post(
        url,
        {
            **as_seen(ana, url),
            "tenant_id": "acme",
            "name": "Globex Ltd",
            "status": "active",
            "connection": globex.connection.pk,
            **management("memberships", 0),
            **management("api_keys", 0),
        },
    )
    globex.refresh_from_db()
    assert (globex.tenant_id, globex.name) == ("globex", "Globex Ltd")


# Memberships.


def management(prefix: str, initial: int, total: int | None = None) -> dict[str, Any]:
    total = initial if total is None else total
    return {f"{prefix}-INITIAL_FORMS": initial, f"{prefix}-TOTAL_FORMS": total}


def tenant_form(tenant: Tenant, **lines: Any) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "status": "active",
        "connection": tenant.connection.pk,
        **management("api_keys", 0),
        **lines,
    }


def test_a_person_is_bound_to_a_tenant_on_its_page_and_released(admin_user: User, acme: Tenant) -> None:
    root, ben, url = browser(admin_user), member("ben"), url_of(Tenant, "change", acme)
    added = {**management("memberships", 0, 1), "memberships-0-user": ben.pk, "memberships-0-reason": "OPS-12"}
    assert root.post(url, tenant_form(acme, **added, **as_seen(root, url))).status_code == 302
    line = Membership.objects.get()
    assert (line.user, line.tenant, line.added_by, line.reason) == (ben, acme, "root", "OPS-12")
    again: Any = root.post(
        url,
        tenant_form(
            acme,
            **management("memberships", 1, 2),
            **{"memberships-1-user": ben.pk, **kept(line), **as_seen(root, url)},
        ),
    )
    assert b"Please correct the duplicate data for user." in again.content
    assert root.get(url).status_code == 200
    gone = {**management("memberships", 1), **kept(line), "memberships-0-DELETE": "on"}
    assert root.post(url, tenant_form(acme, **gone, **as_seen(root, url))).status_code == 302
    assert not Membership.objects.exists()
    data = AuditEntry.objects.filter(tenant_id="acme", kind__startswith="membership.").order_by("position")
    assert [(entry.kind, entry.actor, entry.payload["name"]) for entry in data] == [
        ("membership.created", "root", "ben"),
        ("membership.deleted", "root", "ben"),
    ]


def kept(line: Membership) -> dict[str, Any]:
    return {"memberships-0-id": line.pk, "memberships-0-tenant": line.tenant.pk}


def test_on_a_persons_page_only_ones_own_tenants_are_given_and_shown(ana: Client, globex: Tenant, acme: Tenant) -> None:
    ben = member("ben")
    url = reverse("admin:auth_user_change", args=[ben.pk])
    page = ana.get(url)
    assert page.status_code == 200 and b">acme" not in page.content
    fields = {"username": "ben", "date_joined_0": "2026-01-01", "date_joined_1": "00:00", "is_active": "on"}
    lines = {**management("memberships", 0, 1), "memberships-0-tenant": acme.pk}
    ana.post(url, {**fields, **lines, **as_seen(ana, url)})
    assert not Membership.objects.filter(user=ben).exists()
    lines["memberships-0-tenant"] = globex.pk
    assert ana.post(url, {**fields, **lines, **as_seen(ana, url)}).status_code == 302
    assert set(Membership.objects.filter(user=ben).values_list("tenant__tenant_id", flat=True)) == {"globex"}


def test_without_the_right_nobody_is_bound(globex: Tenant) -> None:
    leaf = browser(member("leaf", globex, without=("add_membership", "delete_membership")))
    url = url_of(Tenant, "change", globex)
    lines = {**management("memberships", 0, 1), "memberships-0-user": member("ben").pk}
    leaf.post(url, tenant_form(globex, **lines, **as_seen(leaf, url)))
    assert Membership.objects.count() == 1
