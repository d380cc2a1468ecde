"""A record is verified for ever, whichever release wrote it and whatever columns came since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import transaction
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED
from pydantic import SecretStr
from pytest_django import Settings

from limiter.models import AuditEntry, ThrottleEvent
from limiter.record import anchors, chain, formats, keeping, retention, signing
from limiter.record.anchor_files import AnchorBroken
from limiter.record.chain import Draft
from limiter.record.scripts import Client
from limiter.record.verify import Broken, verify
from limiter.reports import manifest
from tests import releases
from tests.limiter.record.given import refuse
from tests.releases import first

pytestmark = pytest.mark.django_db


@pytest.fixture(params=releases.ALL)
def record(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The record that a release wrote."""
    written: dict[str, Any] = releases.sample(request.param, "record")
    return written


@pytest.fixture
def folder(record: dict[str, Any], tmp_path: Path, settings: Settings) -> Path:
    """The anchors of a release's record, whose rows are in the database."""
    settings.ENV = settings.ENV.model_copy(update={"AUDIT_KEY": SecretStr(record["audit_key"])})
    releases.put_back(record, tmp_path / "anchors")
    return tmp_path / "anchors"


def test_the_record_of_a_release_is_what_it_wrote(folder: Path, record: dict[str, Any]) -> None:
    assert str(verify(anchored_in=folder)) == record["checked"]
    if "format" not in record["tables"]["limiter_throttleevent"]["columns"]:
        assert {*ThrottleEvent.objects.values_list("format", flat=True)} == {1}


def another(value: Any) -> Any:
    """A value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1_000
    if isinstance(value, datetime):
        return value.replace(year=2001)
    return f"x{value[1:]}" if isinstance(value, str) else [value]


FILLED = {"first_at": datetime(2001, 1, 1, tzinfo=UTC), "once": "x"}
"""The value put into an empty column."""


@pytest.mark.parametrize(
    ("model", "only"), [(AuditEntry, {"kind": "counter.reset"}), (ThrottleEvent, {"decision_id": "cut0"})]
)
def test_an_alteration_of_any_column_of_a_released_format_shows(
    folder: Path, model: type[Model], only: dict[str, Any]
) -> None:
    row: Any = model._default_manager.filter(tenant_id="acme", **only).get()
    for name in formats.covered(model, row.format):
        before = getattr(row, name)
        with pytest.raises(Broken), transaction.atomic():
            after = FILLED[name] if before is None else another(before)
            model._default_manager.filter(pk=row.pk).update(**{name: after})
            verify(anchored_in=folder)


def altered() -> None:
    ThrottleEvent.objects.filter(decision_id="cut0").update(used=999)


def with_another_format() -> None:
    ThrottleEvent.objects.filter(decision_id="cut0").update(format=99)


def deleted() -> None:
    ThrottleEvent.objects.filter(decision_id="cut0").delete()


def inserted() -> None:
    event = ThrottleEvent.objects.get(decision_id="late1")
    event.pk, event.stream_id, event.position = None, "forged", (event.position or 0) + 1
    event.hash = chain.hash_of(event, previous=event.hash)
    event.save()


def cut() -> None:
    ThrottleEvent.objects.filter(tenant_id="acme", decision_id__startswith="late").delete()
    last = AuditEntry.objects.filter(tenant_id="acme", kind=chain.EVENTS).order_by("-position")[0]
    last.delete()


def cut_with_an_entry() -> None:
    payload = {**AuditEntry.objects.filter(kind=retention.KIND, tenant_id="acme")[0].payload, "last": 9}
    chain.append([Draft(retention.KIND, tenant_id="acme", payload=payload)])
    ThrottleEvent.objects.filter(tenant_id="acme", position__lte=9).delete()


FORGERIES: list[tuple[Callable[[], None], str]] = [
    (altered, "was altered, put in or moved"),
    (with_another_format, "names format 99, and this release knows 1: check it with the release that wrote it"),
    (deleted, "is missing"),
    (inserted, "events were put in"),
    (cut, "its tail was cut"),
    (cut_with_an_entry, "was not signed by this platform"),
]


@pytest.mark.parametrize(("forge", "named"), FORGERIES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_forgery_of_a_release_s_record_is_named(folder: Path, forge: Callable[[], None], named: str) -> None:
    forge()
    with pytest.raises(Broken, match=named):
        verify(anchored_in=folder)


def test_an_altered_anchor_of_a_release_is_named(folder: Path) -> None:
    first = min(folder.glob("*.json"))
    first.write_text(first.read_text().replace('"position"', '"Position"'))
    with pytest.raises(AnchorBroken, match=f"anchor {first.name} is not signed"):
        verify(anchored_in=folder)


def test_an_export_of_a_release_is_verified(record: dict[str, Any], tmp_path: Path) -> None:
    data = record["export"]
    path = tmp_path / data["file"]
    path.write_text(data["text"])
    manifest.verify(path, data["manifest"], public=data["public_key"])
    path.write_text(data["text"].replace("globex", "g1obex"))
    with pytest.raises(manifest.ManifestBroken, match="not the one the manifest was signed for"):
        manifest.verify(path, data["manifest"], public=data["public_key"])


def signed_anew(cut: AuditEntry, **more: object) -> None:
    """The platform signs something else for the cut, as another release might."""
    cut.payload = signing.sign(anchors.key(), {**cut.payload, **more})
    cut.hash = chain.hash_of(cut, previous=cut.previous_hash)
    cut.save()


def test_a_cut_is_read_as_far_as_it_is_understood_and_no_further(folder: Path) -> None:
    cut = AuditEntry.objects.filter(kind=retention.KIND, tenant_id="acme").order_by("-position")[0]
    was = retention.read(cut)
    signed_anew(cut, zone="another")
    assert retention.read(cut) == was
    signed_anew(cut, version=2)
    with pytest.raises(Broken, match=r"cannot be read here \(cut of version 2: this release reads 1 at most\)"):
        verify(anchored_in=folder)


def test_today_s_anchors_manifests_and_cuts_name_their_version_and_the_first_release_reads_them(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    anchors.write(now=datetime(2030, 1, 1, tzinfo=UTC), where=folder)
    newest = json.loads(max(folder.glob("*.json")).read_text())
    assert newest["version"] == 1 and newest["heads"]["acme"]["format"] == 1
    path = tmp_path / "events.csv"
    path.write_text("x")
    data = manifest.sign({"bytes": 1, "sha256": manifest.digest(path)})
    assert data["version"] == 1
    manifest.verify(path, data, public=manifest.public_key())
    for wrong in ({"version": 2}, {"bytes": None, "sha256": 7}):
        newer = signing.sign(manifest.key(), {**data, **wrong}, ascii_only=False)
        with pytest.raises(manifest.ManifestBroken):
            manifest.verify(path, newer, public=manifest.public_key())
    settings.ENV = settings.ENV.model_copy(update={"EVENTS_KEPT_DAYS": 1})
    assert retention.prune(now=datetime(2100, 1, 1, tzinfo=UTC)) > 0
    for cut in AuditEntry.objects.filter(kind=retention.KIND):
        first.cut(cut.payload)


def test_an_anchor_of_a_newer_version_is_named(folder: Path) -> None:
    path = max(folder.glob("*.json"))
    anchor = {**json.loads(path.read_text()), "version": 2}
    path.write_text(json.dumps(signing.sign(anchors.key(), anchor)))
    with pytest.raises(AnchorBroken, match=f"anchor {path.name} was signed, but cannot be read here"):
        verify(anchored_in=folder)


def test_a_release_s_chains_go_on(folder: Path, client: Client, redis_url: str) -> None:
    before = verify(anchored_in=folder)
    refuse(redis_url, 3, name="today")
    keeping.store_all(client)
    now = verify(anchored_in=folder)
    assert (now.events, now.entries) == (before.events + 3, before.entries + 1)


def test_a_chain_holds_rows_of_two_formats(
    folder: Path, client: Client, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = verify(anchored_in=folder)
    with monkeypatch.context() as next_release:
        for model in (AuditEntry, ThrottleEvent):
            next_release.setitem(formats.COVERED[model], 2, (*formats.covered(model, 1), "format"))
        refuse(redis_url, 3, name="next")
        keeping.store_all(client)
        assert ThrottleEvent.objects.filter(format=2).count() == 3
        assert AuditEntry.objects.get(format=2).payload["format"] == 2
        assert verify(anchored_in=folder).events == before.events + 3
        with pytest.raises(Broken, match="was altered"), transaction.atomic():
            ThrottleEvent.objects.filter(decision_id="next1").update(format=1)
            verify(anchored_in=folder)
    with pytest.raises(Broken, match="names format 2"):
        verify(anchored_in=folder)


@pytest.mark.parametrize("model", formats.COVERED)
def test_every_column_of_a_chained_model_is_covered_or_left_out_for_a_reason(model: type[Model]) -> None:
    assert list(formats.faults(model, formats.COVERED[model], formats.LEFT_OUT[model])) == []


def test_a_column_of_events_that_the_database_fills_is_filled_here_too() -> None:
    # COPY takes values; it cannot take expressions of the database.
    filled = [field for field in ThrottleEvent._meta.concrete_fields if field.db_default is not NOT_PROVIDED]
    assert [field.name for field in filled if not field.has_default()] == [] and filled


def faults(covered: dict[int, formats.Columns], left_out: dict[str, str]) -> list[str]:
    return [fault.msg for fault in formats.faults(AuditEntry, covered, left_out)]


def test_a_column_that_nobody_thought_of_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_left_out: dict[type[Model], dict[str, str]] = {model: {} for model in formats.COVERED}
    with monkeypatch.context() as careless:
        careless.setattr(formats, "LEFT_OUT", nothing_left_out)
        with pytest.raises(SystemCheckError, match=r"limiter.E001.* The hash of a row covers 'format' in no list"):
            call_command("check")
    known, left_out = formats.covered(AuditEntry, 1), dict(formats.LEFT_OUT[AuditEntry])
    (new,) = faults({1: known[1:]}, left_out)
    assert new == "The hash of a row covers 'tenant_id' in no list."
    (gone,) = faults({1: (*known, "colour")}, left_out)
    assert gone == "Format 1 covers 'colour', which the model does not have."
    (unnamed,) = faults({1: known, 2: known}, left_out)
    assert unnamed == "Format 2 does not cover 'format'."
    (both,) = faults({1: known, 2: (*known, "format")}, left_out)
    assert both == "'format' is left out, but it is covered or gone."
