"""The findings of a summary: what came, who was refused by which limit and when, and how full limits were."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from limiter.core.types import Limit
from limiter.models import MultiplierChange, ThrottleEvent, UsageMinute
from limiter.reports import build, figures, findings, manifest, sources
from limiter.reports.consumption import Consumption, LimitUse
from limiter.reports.naming import TenantNames
from tenants.models import Tenant
from tests.limiter.reports.given import NOON, event, usage
from tests.limiter.reports.test_consumption import day

pytestmark = pytest.mark.django_db


def said(*windows: Consumption) -> list[str]:
    chosen = day()
    return findings.sentences(chosen, figures.of(chosen), TenantNames(["acme"]), windows=windows, slots=())


def test_a_time_without_calls_has_one_finding(acme: Tenant) -> None:
    assert said() == ["No call came in this time."]


def test_a_quiet_time_says_that_nothing_was_refused_and_nothing_cut(acme: Tenant) -> None:
    usage("acme", allowed=12_345, refused=0)
    nothing_cut = "No multiplier changed."
    assert said() == ["None of the 12,345 calls was refused.", nothing_cut]


def test_refusals_are_found_by_share_limit_and_time(acme: Tenant) -> None:
    usage("acme", allowed=900, refused=100)
    event(1, count=100)
    shares, limit, times, *_ = said()
    assert shares == "100 of 1,000 calls were refused (10.0%)."
    assert limit == "The limit 'minute' of Acme / lookupOrder refused most: 100 calls."
    assert times == "Most refusals came between 2030-05-02 12:00 and 12:30 UTC: 100."


def test_the_time_of_most_refusals_is_to_the_second_where_it_is_short_and_has_both_days_where_it_has_two(
    acme: Tenant,
) -> None:
    usage("acme", allowed=900, refused=100)
    hour = dataclasses.replace(day(), since=NOON - timedelta(minutes=6), until=NOON + timedelta(minutes=6))
    found = findings.sentences(hour, figures.of(hour), TenantNames(["acme"]), windows=(), slots=())
    assert "Most refusals came between 2030-05-02 12:00:00 and 12:00:15 UTC: 100." in found
    UsageMinute.objects.update(start=NOON + timedelta(hours=11, minutes=45))
    assert "Most refusals came between 2030-05-02 23:30 and 2030-05-03 00:00 UTC: 100." in said()


def test_refusals_of_what_is_no_policys_limit_are_named_in_words(acme: Tenant) -> None:
    usage("acme", allowed=900, refused=100)
    event(1, count=100, limit_name="(in flight)")
    assert said()[1] == "The learned limit of Acme / lookupOrder refused most: 100 calls."
    ThrottleEvent.objects.update(limit_name="(pace)")
    assert said()[1] == "The pace of the connection of Acme / lookupOrder refused most: 100 calls."


def test_a_limit_that_was_cut_without_a_multiplier_is_found_with_its_lowest_value(acme: Tenant) -> None:
    usage("acme", allowed=900, refused=100)
    event(1, count=60, limit_name="(in flight)", quota=100, effective_limit=4)
    event(2, count=40, limit_name="inflight", quota=25, effective_limit=8)
    assert said()[-2:] == [
        "No multiplier changed.",
        "The learned limit of Acme / lookupOrder was cut to 4 of 100 at its lowest.",
    ]


def test_the_fullest_limit_and_the_lowest_multiplier_are_found(acme: Tenant) -> None:
    usage("acme", allowed=96, refused=0)
    for number, after in enumerate([0.62, 0.8]):
        MultiplierChange.objects.create(
            stream_id=f"m{number}", at=NOON, tenant_id="acme", before=1.0, after=after, p95_ms=1400, samples=100,
            threshold_ms=800,
        )  # fmt: skip
    full = Consumption(LimitUse("acme", "lookupOrder", Limit("minute", "fixed_window", 100)), [96, 3], [100, 100])
    _, limit, multiplier = said(full)
    assert limit == "Acme / lookupOrder used at most 96 of the 100 units in a window of 'minute' (96%)."
    assert multiplier == "The upstream was slow: the multiplier of Acme fell to 0.62 at 2030-05-02 12:00 UTC."


def test_tenants_of_one_name_have_their_ids_beside_it(acme: Tenant) -> None:
    Tenant.objects.create(tenant_id="acme-2", name="Acme", connection=acme.connection)
    Tenant.objects.create(tenant_id="globex", name="Globex", connection=acme.connection)
    names = TenantNames(["acme", "acme-2", "globex", "deleted"])
    assert [names.of(each) for each in ("acme", "acme-2", "globex", "deleted")] == [
        *("Acme (acme)", "Acme (acme-2)"),
        *("Globex", "deleted"),
    ]
    assert names.pair("globex", "lookupOrder") == "Globex / lookupOrder"


def test_the_pdf_begins_with_its_findings_and_ends_with_the_way_to_verify_it(acme: Tenant, tmp_path: Path) -> None:
    usage("acme", allowed=900, refused=100)
    chosen = day()
    build.write(tmp_path / "a.pdf", chosen, format="pdf", rows=sources.rows(chosen))
    pages = [page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages]
    assert "100 of 1,000 calls were refused (10.0%)." in pages[0]
    assert "Acme (acme)" in "".join(pages)
    assert "verify_export" in pages[-1] and manifest.public_key() in pages[-1].replace("\n", "")
