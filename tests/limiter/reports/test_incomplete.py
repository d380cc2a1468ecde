"""A report names its gaps to the people concerned."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from pypdf import PdfReader

from limiter.models import DeadLetter, RecordGap, ThrottleEvent
from limiter.record import chain, keeping, retention
from limiter.reports import build, incomplete, selection
from tenants.models import Connection, Tenant
from tests.limiter.record.given import refuse
from tests.limiter.reports.given import DAY, export

pytestmark = pytest.mark.django_db


def gap(connection: int = 1, *, after: datetime | None = DAY, hours: int = 1) -> RecordGap:
    before = (after or DAY) + timedelta(hours=hours)
    stream = f"q:{{c{connection}}}:events"
    return RecordGap.objects.create(
        stream=stream, generation=f"g{after}", lost=1_234, total=1_234, after=after, before=before
    )


def notes(**fields: Any) -> list[str]:
    return incomplete.notes(selection.of(export(**fields)))


def test_a_gap_in_its_time_is_in_the_manifest(stored: Path) -> None:
    gap()
    gap(after=DAY - timedelta(days=2))
    order = export()
    build.build(order.pk)
    order.refresh_from_db()
    assert order.manifest["incomplete"] == [
        "1,234 entries of all tenants on one connection were dropped before they were stored,"
        " made between 2030-05-02 00:00:00 UTC and 2030-05-02 01:00:00 UTC."
    ]


def test_a_gap_whose_time_is_not_known_may_be_in_any() -> None:
    RecordGap.objects.create(stream="q:{c1}:events", generation="g", lost=7, total=7)
    assert "between a time that is not known and a time that is not known" in notes()[0]


def test_a_gap_concerns_who_uses_the_connection(acme: Tenant, connection: Connection) -> None:
    other = Connection.objects.create(name="other", base_url="https://api-na1.niceincontact.com", client_id="x")
    Tenant.objects.create(tenant_id="initech", name="Initech", connection=other)
    gap(connection.pk)
    assert len(notes(scope=["acme"])) == 1
    assert notes(scope=["initech"]) == []
    assert notes(tenants=["initech"]) == []


def test_usage_and_edits_have_no_gaps() -> None:
    gap()
    assert notes(kind="usage") == [] and notes(kind="changes", format="jsonl") == []


def test_dead_letters_are_named_to_people_who_see_everything() -> None:
    DeadLetter.objects.create(stream_id="1", stream="q:{c1}:events", fields={}, error="x", deliveries=5, at=DAY)
    assert "1 entries could not be stored" in notes()[0]
    assert notes(scope=["acme"]) == []


def test_events_removed_by_their_age_are_named(redis_url: str, settings: Any) -> None:
    refuse(redis_url, 5)
    with redis.Redis.from_url(redis_url) as client:
        keeping.store_all(client)
    settings.ENV = settings.ENV.model_copy(update={"EVENTS_KEPT_DAYS": 1})
    at = ThrottleEvent.objects.earliest("at").at
    assert retention.prune(now=at + timedelta(days=9)) == 4
    span = {"since": at - timedelta(hours=1), "until": at + timedelta(hours=1)}
    (note,) = notes(**span)
    assert note.startswith("Events of acme up to ") and "taken out by their age" in note
    assert notes(**span, scope=["globex"]) == []
    assert notes(since=at + timedelta(days=1), until=at + timedelta(days=2)) == []
    assert chain.head(ThrottleEvent, "acme")[0] == 5


def test_the_pdf_says_so_before_any_number(stored: Path) -> None:
    for number in range(12):
        gap(after=DAY + timedelta(minutes=number))
    order = export(kind="summary", format="pdf")
    build.build(order.pk)
    order.refresh_from_db()
    text = PdfReader(stored / order.stored_as).pages[0].extract_text()
    assert text.index("The record of this time is incomplete") < text.index("calls")
    assert "2 more: see the manifest" in text
