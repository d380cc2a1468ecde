"""What tests find in their database, and what one that commits leaves for the next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase

from tenants.models import Tenant
from tests import migrated


@pytest.mark.django_db
def test_every_migration_is_in_the_database() -> None:
    call_command("migrate", check_unapplied=True, verbosity=0)  # exits with 1 if one is missing


@pytest.fixture
def seeded(transactional_db: None) -> dict[str, set[str]]:
    return rights()


def rights() -> dict[str, set[str]]:
    return {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}


def put_back() -> None:
    """As after a test."""
    TransactionTestCase()._fixture_teardown()  # type: ignore[attr-defined]


def test_committed_rows_are_gone_and_deleted_ones_are_back(seeded: dict[str, set[str]], acme: Tenant) -> None:
    Group.objects.all()[0].delete()
    Permission.objects.filter(codename="view_tenant").delete()
    put_back()
    assert not Tenant.objects.exists()
    assert rights() == seeded and any(seeded.values())


def test_other_threads_with_open_connections_see_it_too(seeded: dict[str, set[str]], acme: Tenant) -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(Tenant.objects.count).result() == 1
        put_back()
        assert thread.submit(Tenant.objects.count).result() == 0
        thread.submit(connections.close_all).result()


def test_a_changed_migration_needs_another_database(tmp_path: Path) -> None:
    (tmp_path / "requirements-dev.txt").touch()
    migration = tmp_path / "tenants" / "migrations" / "0001_initial.py"
    migration.parent.mkdir(parents=True)
    seen = {migrated.fingerprint(tmp_path)}
    for text in ("", "one", "two"):
        migration.write_text(text)
        seen.add(migrated.fingerprint(tmp_path))
    migration.rename(migration.with_name("0002_initial.py"))
    seen.add(migrated.fingerprint(tmp_path))
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("file", "another"),
    [
        ("tenants/models/tenant.py", True),
        ("limiter/models.py", True),
        ("limiter/policies/feature.py", True),
        ("quota_platform/base/groups.py", True),
        ("limiter/policies/cuts.py", False),
        ("dashboard/views.py", False),
    ],
)
def test_edits_of_models_and_rights_need_another_database_and_no_others_do(
    tmp_path: Path, file: str, another: bool
) -> None:
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / file).parent.mkdir(parents=True)
    before = migrated.fingerprint(tmp_path)
    (tmp_path / file).write_text("")
    assert (migrated.fingerprint(tmp_path) != before) == another
