"""Which tenants a person sees, and which rows that leaves them: a permission says what, a membership where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.utils import IntegrityError
from pytest_django.fixtures import DjangoAssertNumQueries

from limiter.models import Assignment, AuditEntry, QuotaLimit, QuotaPolicy
from limiter.record import verify
from quota_platform.base import row_access
from quota_platform.base.api.resource import ReadResource
from tenants import scope
from tenants.models import Action, Connection, Membership, Tenant
from tests.people import member

pytestmark = pytest.mark.django_db


def fresh(user: User) -> User:
    """As the next request has them: Django remembers a person's rights on the object."""
    return User.objects.get(pk=user.pk)


def allowed(user: User, *rights: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    return fresh(user)


class TestWhichTenants:
    def test_a_member_with_the_right_sees_their_tenants(self, acme: Tenant, globex: Tenant) -> None:
        ana = member("ana", acme)
        assert set(scope.tenants_of(ana)) == {acme}
        assert scope.names_of(ana) == frozenset(["acme"])
        assert not row_access.sees_every_tenant(ana)

    def test_a_membership_without_the_right_shows_nothing(self, acme: Tenant) -> None:
        assert scope.names_of(member("ana", acme, without=("view_tenant",))) == frozenset()

    def test_the_right_without_a_membership_shows_nothing(self, acme: Tenant) -> None:
        assert not scope.tenants_of(member("ana")).exists()

    @pytest.mark.parametrize("how", ["superuser", "permission", "group"])
    def test_some_see_every_tenant(self, how: str, acme: Tenant, globex: Tenant) -> None:
        user = User.objects.create_user("eve", is_superuser=how == "superuser")
        if how == "permission":
            allowed(user, "see_every_tenant")
        if how == "group":
            group = Group.objects.create(name="All")
            group.permissions.add(Permission.objects.get(codename="see_every_tenant"))
            user.groups.add(group)
        assert scope.names_of(fresh(user)) is None
        assert set(scope.tenants_of(fresh(user))) == {acme, globex}

    def test_a_person_who_is_switched_off_or_not_signed_in_sees_nothing(self, acme: Tenant) -> None:
        gone = User.objects.create_user("gone", is_superuser=True, is_active=False)
        left = member("left", acme)
        left.is_active = False
        for person in (gone, left, AnonymousUser()):
            assert not row_access.sees_every_tenant(person)
            assert not scope.tenants_of(person).exists()

    @pytest.mark.parametrize("how", ["delete", "bulk", "move", "tenant"])
    def test_a_membership_that_is_removed_ends_at_once(self, how: str, acme: Tenant, globex: Tenant) -> None:
        ana = member("ana", acme)
        assert scope.names_of(ana) == frozenset(["acme"])
        mine = Membership.objects.filter(user=ana)
        match how:
            case "delete":
                mine.get().delete()
            case "bulk":
                mine.delete()
            case "move":
                mine.update(tenant=globex)
            case "tenant":
                acme.delete()
        assert scope.names_of(ana) == (frozenset({"globex"}) if how == "move" else frozenset())

    def test_the_check_costs_as_much_for_many_tenants_as_for_one(
        self, connection: Connection, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        many = [Tenant.objects.create(tenant_id=f"t{i}", name="T", connection=connection) for i in range(30)]
        ana = fresh(member("ana", *many))
        with django_assert_num_queries(3):  # the person's own rights, their groups', and the tenants
            assert len(scope.tenants_of(ana)) == 30


class TestMemberships:
    def test_a_person_belongs_to_a_tenant_once(self, acme: Tenant) -> None:
        with pytest.raises(IntegrityError):
            member("ana", acme, acme)

    def test_both_ends_are_in_the_tenants_chain(self, acme: Tenant) -> None:
        ana = member("ana", acme)
        Membership.objects.filter(user=ana).delete()
        kinds = AuditEntry.objects.filter(tenant_id="acme", kind__startswith="membership.").order_by("position")
        assert [(entry.kind, entry.payload["name"]) for entry in kinds] == [
            ("membership.created", "ana"),
            ("membership.deleted", "ana"),
        ]
        assert verify.verify(tenant_id="acme").entries == 2 + 2

    @pytest.mark.parametrize("gone", ["person", "tenant"])
    def test_one_that_goes_with_its_person_or_tenant_is_recorded_too(self, gone: str, acme: Tenant) -> None:
        ana = member("ana", acme)
        (ana if gone == "person" else acme).delete()
        assert AuditEntry.objects.filter(tenant_id="acme", kind="membership.deleted").count() == 1


def policy(name: str, *targets: Any) -> QuotaPolicy:
    """A policy given to these tenants and actions, or with None to everyone."""
    row = QuotaPolicy.objects.create(name=name)
    for target in targets:
        kind = {type(None): "default", Tenant: "tenant", Action: "action"}[type(target)]
        Assignment.objects.create(policy=row, target=kind, **({kind: target} if target else {}))
    return row


class TestWhatMayBeChanged:
    def test_a_policy_that_reaches_no_stranger(self, acme: Tenant, globex: Tenant) -> None:
        ana, theirs = member("ana", acme), Action.objects.get(tenant=globex)
        ours = Action.objects.get(tenant=acme)
        other = Action.objects.create(tenant=acme, action_id="other")
        found = {
            "nobody": policy("nobody"),
            "own": policy("own", acme, ours),
            "everyone": policy("everyone", None),
            "foreign tenant": policy("foreign tenant", globex),
            "mixed": policy("mixed", other, theirs),
        }
        may = {name for name, row in found.items() if row_access.may_change(ana, row)}
        assert may == {"nobody", "own"}
        assert set(row_access.seen(QuotaPolicy.objects.all(), ana)) == set(found.values())
        line = QuotaLimit.objects.create(policy=found["mixed"], name="minute", quota=1, window_seconds=60)
        assert not row_access.may_change(ana, line)

    def test_a_connection_that_strangers_use_is_seen_and_not_changed(self, acme: Tenant, globex: Tenant) -> None:
        ana, shared = member("ana", acme), acme.connection
        assert set(row_access.seen(Connection.objects.all(), ana)) == {shared}
        assert not row_access.may_change(ana, shared)
        globex.delete()
        assert row_access.may_change(ana, shared)
        unused = Connection.objects.create(name="unused", preset="cxone")
        assert not row_access.may_change(ana, unused)
        assert unused not in row_access.seen(Connection.objects.all(), ana)

    def test_the_default_assignment_is_seen_and_not_changed(self, acme: Tenant) -> None:
        policy("Base", None)
        ana, default = member("ana", acme), Assignment.objects.get()
        assert set(row_access.seen(Assignment.objects.all(), ana)) == {default}
        assert not row_access.may_change(ana, default)

    def test_all_of_several_rows_have_to_be_ones_own(self, acme: Tenant, globex: Tenant) -> None:
        ana = member("ana", acme)
        assert row_access.may_change_all(ana, Action.objects.filter(tenant=acme))
        assert not row_access.may_change_all(ana, Action.objects.all())


def test_a_model_without_a_rule_is_an_error_and_not_open(acme: Tenant) -> None:
    with pytest.raises(KeyError):
        row_access.seen(User.objects.all(), member("ana", acme))


def test_every_model_that_is_shown_has_a_rule() -> None:
    """In the admin or by the management API."""
    shown = {model for model in admin.site._registry if model._meta.app_label in ("tenants", "limiter")}
    shown |= {view.queryset.model for view in _views(ReadResource) if getattr(view, "queryset", None) is not None}
    assert {Tenant, QuotaPolicy, AuditEntry} <= shown
    assert all(row_access.has_rule(model) for model in shown)


def _views(base: type[Any]) -> Iterator[type[Any]]:
    for view in base.__subclasses__():
        yield view
        yield from _views(view)
