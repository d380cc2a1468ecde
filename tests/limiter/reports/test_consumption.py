"""Consumption against limits: the fullest windows that usage tells, under the limits they were counted against."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pypdf import PdfReader

from limiter.models import (
    Assignment,
    Export,
    MultiplierChange,
    QuotaLimit,
    QuotaPolicy,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from limiter.reports import build, consumption, selection, sources
from limiter.reports.figures import POINTS
from limiter.reports.selection import Selection
from tenants.models import Tenant
from tests.limiter.reports.given import DAY, NOON, event, export

pytestmark = pytest.mark.django_db
SPAN = timedelta(days=1) / POINTS


def limit(name: str, quota: int, window_seconds: int, **fields: Any) -> None:
    policy = QuotaPolicy.objects.filter(name="Base").first()
    if policy is None:
        policy = QuotaPolicy.objects.create(name="Base", adaptive=True)
        Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT)
    QuotaLimit.objects.create(policy=policy, name=name, quota=quota, window_seconds=window_seconds, **fields)


def charged(units: int, at: datetime = NOON, *, action: str = "lookupOrder", model: Any = UsageMinute) -> None:
    """The day's row is what finds the busiest."""
    for level, start in ((model, at), (UsageDay, DAY)):
        level.objects.update_or_create(tenant_id="acme", action_id=action, start=start, defaults={"cost": units})


def day(**fields: Any) -> Selection:
    return selection.of(export(kind=Export.Kind.SUMMARY, format=Export.Format.PDF, **fields))


def change(at: datetime, after: float) -> None:
    MultiplierChange.objects.create(
        stream_id=f"{at}", at=at, tenant_id="acme", before=1, after=after, p95_ms=1400, samples=100, threshold_ms=800
    )


def test_the_fullest_minute_of_each_span_is_shown(acme: Tenant) -> None:
    limit("minute", 100, 60)
    charged(40)
    charged(96, NOON + timedelta(minutes=7))
    (found,), more = consumption.fullest(day())
    assert (max(found.peaks), found.peaks[24], found.share, more) == (96, 96, 0.96, 0)
    assert sum(found.peaks) == 96


def test_a_window_between_two_whole_minutes_counts_if_a_refused_call_met_it(acme: Tenant) -> None:
    limit("minute", 100, 60)
    limit("hour", 1_000, 3600)
    charged(50)
    charged(50, NOON + timedelta(minutes=1))
    event(1, used=100, limit_name="minute")
    event(2, used=250, limit_name="minute", shadow=True)
    full, other = consumption.fullest(day())[0]
    assert (full.of.limit.name, max(full.peaks), full.most, full.share) == ("minute", 50, 100, 1.0)
    assert (other.of.limit.name, other.most) == ("hour", 100)


def test_a_longer_window_adds_its_minutes_up_also_those_before_the_time(acme: Tenant) -> None:
    limit("hour", 1000, 3600)
    charged(30, DAY - timedelta(minutes=10))
    charged(50, DAY + timedelta(minutes=20))
    (found,), _ = consumption.fullest(day())
    assert found.peaks[:4] == [80, 80, 50, 0]  # the 30 leave 50 minutes into the day, the 50 at 80 minutes


def test_a_limit_per_tenant_counts_its_actions_together(acme: Tenant) -> None:
    limit("all", 100, 60, counted_per="tenant")
    charged(40)
    charged(50, action="other")
    (found,), _ = consumption.fullest(day())
    assert (found.of.action_id, max(found.peaks)) == ("", 90)


def test_the_multiplier_cuts_from_its_change_to_the_next(acme: Tenant) -> None:
    limit("minute", 100, 60)
    charged(40)
    change(DAY - timedelta(hours=1), 0.8)
    change(DAY + SPAN * 10, 0.5)
    change(DAY + SPAN * 20.5, 1.0)
    (found,), _ = consumption.fullest(day())
    assert found.effective == [80] * 10 + [50] * 11 + [100] * 27


def test_a_limit_that_latency_does_not_change_is_never_cut(acme: Tenant) -> None:
    limit("minute", 100, 60, adaptive=False)
    charged(40)
    change(DAY, 0.5)
    (found,), _ = consumption.fullest(day())
    assert set(found.effective) == {100}


def test_the_fullest_come_first_and_the_rest_is_counted(acme: Tenant) -> None:
    for number in range(6):
        limit(f"l{number}", 100 * (number + 1), 60)
    charged(60)
    found, more = consumption.fullest(day())
    assert ([each.of.limit.name for each in found], more) == (["l0", "l1", "l2", "l3"], 2)


def test_a_window_shorter_than_usage_tells_is_left_out(acme: Tenant) -> None:
    limit("second", 10, 10)
    charged(60)
    assert consumption.fullest(day()) == ([], 0)


def test_where_minutes_are_not_kept_any_more_hours_tell_the_longer_windows(acme: Tenant) -> None:
    limit("minute", 100, 60)
    limit("hours", 1000, 7200)
    long_ago = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=60)
    for hours, units in ((0, 10), (3, 300), (4, 200)):
        charged(units, long_ago + timedelta(hours=hours), model=UsageHour)
    (found,), _ = consumption.fullest(day(since=long_ago, until=long_ago + timedelta(hours=6)))
    assert (found.of.limit.name, max(found.peaks)) == ("hours", 500)


def test_a_stranger_is_not_in_it(acme: Tenant) -> None:
    limit("minute", 100, 60)
    charged(40)
    assert consumption.fullest(day(scope=["globex"])) == ([], 0)


def test_the_pdf_says_and_draws_it(acme: Tenant, tmp_path: Path) -> None:
    limit("minute", 100, 60)
    charged(96)
    chosen = day()
    build.write(tmp_path / "a.pdf", chosen, format="pdf", rows=sources.rows(chosen))
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages)
    assert "Acme / lookupOrder / minute: 96 of 100 in its fullest 60 s (96%)" in text
