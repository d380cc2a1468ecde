"""Calls in flight in a report: the most slots in use in each span, from the record of demand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from limiter.demand import blocks
from limiter.demand.points import Demand, Level
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.reports import build, in_flight, sources
from limiter.reports.figures import POINTS
from tenants.models import Tenant
from tests.limiter.reports.given import DAY, NOON, usage
from tests.limiter.reports.test_consumption import day

pytestmark = pytest.mark.django_db
START = int(NOON.timestamp())


@pytest.fixture
def slots(acme: Tenant) -> QuotaLimit:
    policy = QuotaPolicy.objects.create(name="Base")
    Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT)
    usage("acme", allowed=100, refused=0)
    return QuotaLimit.objects.create(
        policy=policy, name="slots", quota=25, algorithm="concurrency", counted_per="tenant"
    )


def found_by_calls(**levels: Level) -> None:
    """By seconds after noon: what the calls of that second found of the limit ``slots``."""
    by_second = {START + int(after[1:]): level for after, level in levels.items()}
    blocks.add(START, 3600, {"acme": Demand(limits={("", "slots"): by_second})})


def test_the_most_slots_in_use_in_each_span_are_drawn(slots: QuotaLimit) -> None:
    found_by_calls(_1=Level(7, 25, 25), _2=Level(24, 25, 25), _1900=Level(9, 25, 25))
    (found,), more = in_flight.fullest(day())
    assert (found.peaks[24], found.peaks[25], sum(found.peaks), more) == (24, 9, 33, 0)
    assert (found.of.action_id, found.share) == ("", 24 / 25)


def test_a_cut_of_the_slots_shows_in_its_span_and_the_whole_limit_elsewhere(slots: QuotaLimit) -> None:
    found_by_calls(_1=Level(7, 25, 25), _2=Level(10, 12, 25))
    (found,), _ = in_flight.fullest(day())
    assert (found.effective[24], set(found.effective[:24] + found.effective[25:])) == (12, {25})


def test_demand_outside_the_time_and_of_strangers_is_not_in_it(slots: QuotaLimit) -> None:
    found_by_calls(_1=Level(7, 25, 25), _1900=Level(20, 25, 25))
    half = timedelta(days=1) / POINTS
    (found,), _ = in_flight.fullest(day(since=NOON, until=NOON + half))
    assert max(found.peaks) == 7
    assert in_flight.fullest(day(scope=["globex"])) == ([], 0)
    assert in_flight.fullest(day(since=DAY - timedelta(days=2), until=DAY - timedelta(days=1))) == ([], 0)


def test_the_pdf_draws_calls_in_flight(slots: QuotaLimit, tmp_path: Path) -> None:
    found_by_calls(_1=Level(24, 25, 25))
    chosen = day()
    build.write(tmp_path / "a.pdf", chosen, format="pdf", rows=sources.rows(chosen))
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages)
    assert "Acme, all actions / slots: 24 of 25 in flight at once (96%)" in text
