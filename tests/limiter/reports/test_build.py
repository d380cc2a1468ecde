"""Building exports: one file however often it is delivered, cancelled, expired, signed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from limiter.models import Export
from limiter.reports import access, build, manifest, selection, sources
from tests.limiter.reports.given import event, export

pytestmark = pytest.mark.django_db


def files(stored: Path) -> list[Path]:
    return [path for path in stored.rglob("*") if path.is_file()]


def test_a_task_delivered_twice_makes_one_file(stored: Path) -> None:
    event(1)
    order = export()
    assert build.build(order.pk) is True
    assert build.build(order.pk) is False
    order.refresh_from_db()
    assert (order.state, order.rows, len(files(stored))) == ("done", 1, 1)


def test_an_export_of_a_kind_that_only_a_newer_release_knows_is_left_to_that_one(stored: Path) -> None:
    orders = export(kind="forecast"), export(format="parquet")
    assert build.unfinished() == []
    assert [build.build(order.pk) for order in orders] == [False, False]
    assert {*Export.objects.values_list("state", flat=True)} == {"waiting"}
    assert not access.may_export(User.objects.create_superuser("root"), "forecast")


def test_an_export_that_somebody_builds_is_left_to_them(stored: Path) -> None:
    order = export(state="building", claim="other", alive_at=timezone.now())
    assert build.build(order.pk) is False and files(stored) == []


def test_the_export_of_a_dead_builder_is_built_anew_and_its_file_goes(stored: Path) -> None:
    order = export(state="building", claim="dead", alive_at=timezone.now() - timedelta(hours=1))
    (stored / str(order.pk)).mkdir(parents=True)
    (stored / str(order.pk) / "dead.csv.gz").write_text("half")
    assert build.unfinished() == [order.pk]
    assert build.build(order.pk) is True and len(files(stored)) == 1


def test_a_cancelled_export_stops_between_rows_and_leaves_no_file(stored: Path) -> None:
    order = export()
    Export.objects.filter(pk=order.pk).update(cancel_asked=True)
    event(1)
    assert build.build(order.pk) is False
    order.refresh_from_db()
    assert (order.state, files(stored)) == ("cancelled", [])


def test_a_waiting_export_is_cancelled_at_once_and_never_built(stored: Path) -> None:
    order = export()
    build.cancel(order)
    assert build.build(order.pk) is False
    order.refresh_from_db()
    assert (order.state, files(stored)) == ("cancelled", [])


def test_a_file_is_deleted_when_its_time_is_over(stored: Path) -> None:
    order = export()
    build.build(order.pk)
    assert build.expire() == 0 and len(files(stored)) == 1
    Export.objects.filter(pk=order.pk).update(expires_at=timezone.now())
    assert build.expire() == 1 and build.expire() == 0
    order.refresh_from_db()
    assert (order.state, files(stored)) == ("expired", [])


def test_a_failed_export_says_so_without_telling_secrets(stored: Path) -> None:
    stored.write_text("no folder")
    order = export()
    with pytest.raises(OSError) as failed:
        build.build(order.pk)
    order.refresh_from_db()
    assert (order.state, order.error) == ("failed", f"{failed.type.__name__}: see the worker's log")


def test_the_command_writes_a_file_that_verifies_until_a_byte_is_altered(tmp_path: Path) -> None:
    event(1)
    path = tmp_path / "a.csv.gz"
    call_command("export_events", path, since="2030-05-02T00:00:00Z", until="2030-05-03", verbosity=0)
    call_command("verify_export", path)
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CommandError, match="the file is not the one"):
        call_command("verify_export", path)


def test_a_manifest_that_was_altered_or_signed_by_another_is_refused(stored: Path) -> None:
    event(1)
    order = export()
    build.build(order.pk)
    order.refresh_from_db()
    (path,) = files(stored)
    manifest.verify(path, order.manifest, public=manifest.public_key())
    forged = {**json.loads(json.dumps(order.manifest)), "rows": 2}
    for data, public in ((forged, manifest.public_key()), (order.manifest, "A" * 43 + "="), ({}, "no key")):
        with pytest.raises(manifest.ManifestBroken):
            manifest.verify(path, data, public=public)


def test_an_empty_scope_holds_no_row_and_a_scope_only_its_tenants() -> None:
    event(1)
    event(2, tenant_id="globex")
    assert list(sources.rows(selection.of(export(scope=[])))) == []
    assert [row[3] for row in sources.rows(selection.of(export(scope=["globex"], tenants=["acme", "globex"])))] == [
        "globex"
    ]
    assert list(sources.rows(selection.of(export(scope=["globex"], tenants=["acme"])))) == []
