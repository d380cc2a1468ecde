"""A form that was open while somebody else saved is refused, in every page that edits or deletes.

The pages are those that the admin knows: one that is editable and not guarded fails here, the next one too.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from limiter.models import AlertHook, QuotaLimit, QuotaPolicy
from quota_platform.base.admin.guard.admin import GuardedAdmin
from tenants.models import Action, ApiKey, Connection, Membership, Tenant
from tests.filled_form import as_seen, filled_form
from tests.rows import MAKE, a_hook, a_limit, a_person, a_platform_key, a_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(admin_user: User, connection: Connection, settings: Any) -> Client:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["hooks.example.com"]})
    client = Client()
    client.force_login(admin_user)
    return client


def page(row: Model, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def listed(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist")


EDITED = [model for model in MAKE if admin.site.is_registered(model) and model._meta.model_name != "export"]
each = pytest.mark.parametrize("model", EDITED, ids=lambda model: model.__name__)


def touch(row: Any) -> None:
    """Change the row past every save, as SQL does, or a release that knows nothing of versions."""
    names = {field.name for field in row._meta.concrete_fields}
    free = [name for name in TYPED_INTO if name in names]
    change = {free[0]: "other"} if free else {"policy": QuotaPolicy.objects.create(name="Other")}
    type(row)._base_manager.filter(pk=row.pk).update(**change)


TYPED_INTO = ("description", "notes", "first_name", "name", "reason")


def stored(row: Any) -> Any:
    return type(row)._base_manager.filter(pk=row.pk).values().first()


def test_every_page_that_edits_or_deletes_is_guarded_and_tried(admin_user: User) -> None:
    request = RequestFactory().get("/admin/")
    request.user = admin_user
    for model, of in admin.site._registry.items():
        if of.has_change_permission(request) or of.has_delete_permission(request):
            assert isinstance(of, GuardedAdmin), f"{model._meta.label} can be edited, and its forms carry no version"
            assert model in EDITED, f"{model._meta.label}: add it to tests/rows.py"
        assert not of.list_editable, f"{model._meta.label}: lines of a list carry no version"


@each
def test_a_form_as_it_was_opened_is_saved(model: type[Model], root: Client) -> None:
    row = MAKE[model]()
    response = root.post(page(row), filled_form(root.get(page(row)).content))
    assert response.status_code == 302, response.context["errors"]


@each
def test_a_stale_form_is_refused_with_what_changed_and_saved_when_sent_again(model: type[Model], root: Client) -> None:
    row = MAKE[model]()
    opened = filled_form(root.get(page(row)).content)
    touch(row)
    before = stored(row)
    refused = root.post(page(row), opened)
    assert refused.status_code == 409 and b"Saved meanwhile by somebody else" in refused.content
    assert stored(row) == before
    assert root.post(page(row), filled_form(refused.content)).status_code == 302
    assert stored(row) == before  # untouched fields have the other person's values


@each
def test_the_entries_for_a_row_that_was_deleted_are_not_lost(model: type[Model], root: Client) -> None:
    row: Any = MAKE[model]()
    opened = filled_form(root.get(page(row)).content)
    (name,) = [each for each in opened if each in TYPED_INTO][:1] or ["policy"]
    kept = {**opened, **({} if name == "policy" else {name: "typed meanwhile"}), "client_secret": "typed-secret"}
    url = page(row)
    model._base_manager.filter(pk=row.pk).delete()
    response = root.post(url, kept)
    data = response.content.decode()
    assert response.status_code == 404 and "Nothing was saved" in data and stored(row) is None
    assert name == "policy" or "<strong>typed meanwhile</strong>" in data
    assert "typed-secret" not in data


def test_lines_typed_below_a_row_that_is_gone_are_not_lost(root: Client) -> None:
    policy = a_policy()
    a_limit(policy)
    opened = filled_form(root.get(page(policy)).content) | {"limits-0-quota": "4711"}
    url = page(policy)
    policy.delete()
    data = root.post(url, opened).content.decode()
    assert "<strong>4711</strong>" in data and "<strong>minute</strong>" not in data and "minute" in data


@pytest.mark.parametrize("seen", [None, "", "{}", "[]", '{"parts": 1}', '{"format": 9, "at": 0, "parts": {}}', "\0"])
def test_a_form_that_does_not_say_what_it_showed_is_stale(root: Client, acme: Tenant, seen: str | None) -> None:
    opened = filled_form(root.get(page(acme)).content) | {"notes": "a note"}
    del opened["_seen"]
    refused = root.post(page(acme), opened if seen is None else {**opened, "_seen": seen})
    assert refused.status_code == 409 and stored(acme)["notes"] == ""
    assert filled_form(refused.content)["notes"] == "a note"


@each
@pytest.mark.parametrize("many", [False, True], ids=["one", "selected"])
def test_a_row_that_changed_since_the_question_is_not_deleted(model: type[Model], many: bool, root: Client) -> None:
    row = MAKE[model]()
    chosen = {"action": "delete_selected", "_selected_action": [row.pk]}
    url = listed(row) if many else page(row, "delete")
    asked = filled_form((root.post(url, chosen) if many else root.get(url)).content)
    touch(row)
    response = root.post(url, asked, follow=True)
    assert b"this has changed since the page showed it" in response.content
    assert stored(row) is not None
    assert root.post(url, filled_form(response.content)).status_code == 302
    assert stored(row) is None


def test_a_suspension_survives_a_note_and_the_note_survives_the_refusal(root: Client, acme: Tenant) -> None:
    mine = filled_form(root.get(page(acme)).content)
    theirs = filled_form(root.get(page(acme)).content)
    assert root.post(page(acme), {**theirs, "status": "suspended"}).status_code == 302
    refused = root.post(page(acme), {**mine, "notes": "a note"})
    acme.refresh_from_db()
    assert (refused.status_code, acme.status, acme.notes) == (409, "suspended", "")
    data = refused.content.decode()
    assert "Status: <strong>suspended</strong>" in data and "root, 20" in data
    merged = filled_form(refused.content)
    assert (merged["status"], merged["notes"]) == ("suspended", "a note")
    assert root.post(page(acme), merged).status_code == 302
    acme.refresh_from_db()
    assert (acme.status, acme.notes) == ("suspended", "a note")


def test_a_field_that_both_changed_is_named_and_saved_only_knowingly(root: Client, acme: Tenant) -> None:
    mine = {**filled_form(root.get(page(acme)).content), "name": "Mine"}
    Tenant.objects.filter(pk=acme.pk).update(name="Theirs")
    refused = root.post(page(acme), mine)
    assert "Name: <strong>Theirs</strong>; yours: <strong>Mine</strong>" in refused.content.decode()
    assert "saving replaces theirs" in " ".join(refused.content.decode().split())
    root.post(page(acme), filled_form(refused.content))
    acme.refresh_from_db()
    assert acme.name == "Mine"


def test_an_action_that_was_switched_off_stays_off(root: Client, acme: Tenant) -> None:
    action = acme.actions.get()
    mine = {**filled_form(root.get(page(action)).content), "cost": "2"}
    Action.objects.update(enabled=False)
    refused = root.post(page(action), mine)
    assert "Enabled: <strong>no</strong>" in refused.content.decode()
    assert root.post(page(action), filled_form(refused.content)).status_code == 302
    action.refresh_from_db()
    assert (action.enabled, action.cost) == (False, 2)


def test_a_secret_that_somebody_replaced_is_named_and_not_shown(root: Client, connection: Connection) -> None:
    mine = {**filled_form(root.get(page(connection)).content), "client_secret": "typed-secret"}
    connection.set_client_secret("their-secret")
    connection.save()
    data = root.post(page(connection), mine).content.decode()
    assert "Client secret sealed: <strong>changed</strong>" in data.replace("client secret", "Client secret")
    for secret in ("typed-secret", "their-secret", connection.client_secret_sealed):
        assert secret not in data


def test_changed_choices_of_several_rows_are_named(root: Client, acme: Tenant, globex: Tenant) -> None:
    key = a_platform_key(acme)
    mine = {**filled_form(root.get(page(key)).content), "name": "Mine"}
    key.acts_for.add(globex)
    refused = root.post(page(key), mine)
    assert refused.status_code == 409 and "Acts for: <strong>acme, globex</strong>" in refused.content.decode()
    assert root.post(page(key), filled_form(refused.content)).status_code == 302
    key.refresh_from_db()
    assert key.name == "Mine" and set(key.acts_for.all()) == {acme, globex}


@pytest.mark.parametrize("typed", ["9" * 30, "x", "\0", "²", "-1"])
def test_a_stale_form_with_a_choice_that_is_no_row_is_shown_again(root: Client, acme: Tenant, typed: str) -> None:
    opened = filled_form(root.get(page(acme)).content)
    spare = MAKE[Connection]()
    Tenant.objects.filter(pk=acme.pk).update(connection=spare)
    refused = root.post(page(acme), {**opened, "connection": typed})
    assert refused.status_code == 409 and "Connection: <strong>spare</strong>" in refused.content.decode()


def limits_of(policy: QuotaPolicy) -> dict[str, int]:
    return dict(policy.limits.values_list("name", "quota"))


def test_lines_that_others_added_changed_and_deleted_meet_ones_own(root: Client) -> None:
    policy = a_policy()
    kept = a_limit(policy)
    gone = QuotaLimit.objects.create(policy=policy, name="hour", quota=50, window_seconds=3600)
    edited = QuotaLimit.objects.create(policy=policy, name="day", quota=500, window_seconds=86_400)
    mine = filled_form(root.get(page(policy)).content)
    QuotaLimit.objects.filter(pk=kept.pk).update(quota=7)
    QuotaLimit.objects.filter(pk__in=[gone.pk, edited.pk]).delete()
    QuotaLimit.objects.create(policy=policy, name="week", quota=900, window_seconds=604_800)
    refused = root.post(page(policy), {**mine, "limits-2-quota": "400"})
    assert refused.status_code == 409 and limits_of(policy) == {"minute": 7, "week": 900}
    data = refused.content.decode()
    for said in ("limit minute: limit: <strong>7</strong>", "limit week: <strong>added</strong>", "deleted"):
        assert said.lower() in data.lower(), data
    assert root.post(page(policy), filled_form(refused.content)).status_code == 302
    assert limits_of(policy) == {"minute": 7, "week": 900, "day": 400}


def test_a_member_added_meanwhile_is_named_and_both_are_there_in_the_end(root: Client, acme: Tenant) -> None:
    ben, cleo = a_person("ben"), a_person("cleo")
    mine = filled_form(root.get(page(acme)).content)
    Membership.objects.create(user=cleo, tenant=acme)
    mine |= {"memberships-TOTAL_FORMS": "1", "memberships-0-user": ben.pk, "memberships-0-reason": "OPS-1"}
    refused = root.post(page(acme), mine)
    assert refused.status_code == 409 and Membership.objects.count() == 1
    assert root.post(page(acme), filled_form(refused.content)).status_code == 302
    assert set(acme.memberships.values_list("user__username", flat=True)) == {"ben", "cleo"}


def test_a_wrong_form_that_is_mended_has_still_seen_what_it_had(root: Client, acme: Tenant) -> None:
    wrong = root.post(page(acme), {**filled_form(root.get(page(acme)).content), "name": ""})
    Tenant.objects.filter(pk=acme.pk).update(status="suspended")
    assert wrong.status_code == 200
    assert root.post(page(acme), {**filled_form(wrong.content), "name": "Acme"}).status_code == 409


def test_going_back_to_an_earlier_moment_is_asked_again_when_somebody_saved(root: Client, acme: Tenant) -> None:
    moment = acme.history.latest()
    url = reverse("admin:tenants_tenant_simple_history", args=[acme.pk, moment.pk])
    opened = filled_form(root.get(url).content)
    acme.status = "suspended"
    acme.save()
    assert b"this has changed" in root.post(url, opened, follow=True).content
    acme.refresh_from_db()
    assert acme.status == "suspended"
    assert root.post(url, filled_form(root.get(url).content)).status_code == 302
    acme.refresh_from_db()
    assert acme.status == "active"


def test_putting_a_version_of_a_policy_back_is_asked_again_when_somebody_saved(root: Client) -> None:
    policy = QuotaPolicy.objects.create(name="Gold")
    url = reverse("admin:limiter_quotapolicy_simple_history", args=[policy.pk, policy.history.latest().pk])
    policy.mode = "shadow"
    policy.save()
    opened = filled_form(root.get(url).content)
    policy.description = "other"
    policy.save()
    assert b"this has changed" in root.post(url, opened, follow=True).content
    policy.refresh_from_db()
    assert policy.mode == "shadow"


def test_a_key_that_changed_since_it_was_asked_about_is_not_revoked(root: Client, acme: Tenant) -> None:
    key = ApiKey.objects.issue(name="IVR", tenant=acme)[0]
    url = f"{reverse('admin:tenants_apikey_revoke')}?key={key.pk}"
    asked = filled_form(root.get(url).content)
    touch(key)
    again = root.post(url, asked)
    key.refresh_from_db()
    assert key.revoked_at is None and b"this has changed" in again.content
    assert root.post(url, filled_form(again.content)).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_of_two_new_secrets_the_second_is_asked_for_again(root: Client) -> None:
    hook = a_hook()
    url = page(hook, "new_secret")
    first = as_seen(root, page(hook))
    assert root.post(url, first).status_code == 200
    secret = AlertHook.objects.get().secret()
    assert b"this has changed" in root.post(url, first, follow=True).content
    assert AlertHook.objects.get().secret() == secret


def test_a_password_does_not_bring_back_a_person_who_was_switched_off(root: Client) -> None:
    ben = User.objects.create_user("ben", password="a-long-test-password")
    url = reverse("admin:auth_user_password_change", args=[ben.pk])
    new = {"password1": "another-long-password", "password2": "another-long-password", "usable_password": "true"}
    opened = {**filled_form(root.get(url).content), **new}
    User.objects.filter(pk=ben.pk).update(is_active=False)
    refused = root.post(url, opened, follow=True)
    ben.refresh_from_db()
    assert b"this has changed since the page showed it" in refused.content
    assert ben.check_password("a-long-test-password") and not ben.is_active
    assert root.post(url, {**filled_form(refused.content), **new}).status_code == 302
    ben.refresh_from_db()
    assert ben.check_password("another-long-password") and not ben.is_active


def test_signing_in_makes_no_form_stale(root: Client) -> None:
    ben = User.objects.create_user("ben", password="a-long-test-password")
    opened = filled_form(root.get(page(ben)).content)
    Client().force_login(ben)
    assert User.objects.get(pk=ben.pk).last_login
    assert root.post(page(ben), opened).status_code == 302
