"""Migrations run while processes of the release before go on reading and writing the tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db.migrations import AddField, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import BaseConstraint, IntegerField, ManyToManyField
from django.db.models.fields import NOT_PROVIDED

FIRST_RELEASE = {"tenants": "0003_", "limiter": "0011_"}
"""The last migrations of the first release: there was none beside it."""
TAKES_AWAY = (RemoveField, DeleteModel, RenameField, RenameModel)
NOBODY_MISSES: frozenset[str] = frozenset()
"""Migrations that take away what the release before did not use any more."""


def later() -> Iterator[tuple[str, Operation]]:
    """Every step since the first release, with its migration's name."""
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app in FIRST_RELEASE and name[:4] > FIRST_RELEASE[app][:4]:
            yield from ((f"{app}.{name}", operation) for operation in migration.operations)


def fault(operation: Operation) -> str:
    """What the release before would trip over; empty for nothing."""
    if isinstance(operation, TAKES_AWAY):
        return "takes away what the release before uses"
    if isinstance(operation, AddField):
        field = operation.field
        fills_itself = field.null or field.db_default is not NOT_PROVIDED or isinstance(field, ManyToManyField)
        return (
            "" if fills_itself else "adds a column that the release before cannot fill: give it a db_default, or null"
        )
    return ""


def test_no_migration_is_in_the_way_of_the_release_before() -> None:
    found = {f"{name}: {operation.describe()}: {why}" for name, operation in later() if (why := fault(operation))}
    assert {each for each in found if each.partition(":")[0] not in NOBODY_MISSES} == set()


def test_a_column_that_the_release_before_cannot_fill_is_found() -> None:
    for field, ready in ((IntegerField(), False), (IntegerField(default=1), False), (IntegerField(db_default=1), True)):
        assert (fault(AddField("throttleevent", "new", field)) == "") is ready
    assert fault(RemoveField("throttleevent", "used")) and not fault(AddField("tenant", "new", IntegerField(null=True)))


OFFERED = [
    ("limiter.QuotaLimit", "algorithm"),
    ("limiter.QuotaPolicy", "store_failure"),
    ("limiter.Export", "format"),
    ("limiter.ReportSchedule", "format"),
    ("limiter.AlertDelivery", "event"),
    ("tenants.Connection", "preset"),
    ("tenants.Action", "kind"),
]


@pytest.mark.parametrize(("model", "field"), OFFERED)
def test_a_choice_that_the_code_declares_needs_no_migration(model: str, field: str) -> None:
    declared = apps.get_model(model)._meta.get_field(field)
    function = declared.deconstruct()[3]["choices"]
    assert callable(function) and declared.flatchoices == function()
    assert not [each.name for each in declared.model._meta.constraints if _lists_all(each, function())]


def _lists_all(constraint: BaseConstraint, choices: list[tuple[str, str]]) -> bool:
    return all(repr(value) in repr(constraint) for value, _ in choices)


@pytest.mark.parametrize("app", FIRST_RELEASE)
def test_the_first_release_s_migrations_are_there(app: str) -> None:
    assert any(key[0] == app and key[1].startswith(FIRST_RELEASE[app]) for key in MigrationLoader(None).disk_migrations)
