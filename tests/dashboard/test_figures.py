"""The key figures: what each tells, and that one declaration is all it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard import figures
from dashboard.figures import FIGURES, Figure, Now, Value
from dashboard.messages import overview_frame
from dashboard.readings import TenantReading
from dashboard.stored import StoredReadings
from dashboard.streams import LiveStream
from dashboard.topics import overview
from limiter.core.adaptive import Evidence
from limiter.demand.coverage import Covered
from limiter.demand.points import Calls
from tests.dashboard.demanded import recent

AT = 1_784_025_727.0


def reading(**values: object) -> TenantReading:
    return replace(TenantReading("acme", at=AT), **values)  # type: ignore[arg-type]


def paced(allowed: int, refused: int) -> TenantReading:
    calls = Calls(allowed, refused, units=allowed, refused_units=refused)
    return reading(now_s=int(AT), recent=recent(AT, calls={5: calls}))


def test_refused_calls_are_shown_as_a_share_and_in_the_colour_of_refusals() -> None:
    data = figures.data(Now([paced(90, 10)]))
    assert data["refused_per_min"] == {
        "value": 10,
        "state": "stop",
        "note": {"code": "figure.refused_per_min.share", "share": 0.1},
    }
    assert data["calls_per_min"]["value"] == 100


def test_an_unknown_pace_is_not_shown() -> None:
    data = figures.data(Now([reading()]))
    assert data["refused_per_min"] == {"value": None, "state": "", "note": None}


def test_a_latency_above_its_threshold_names_the_tenant() -> None:
    slow = reading(evidence=Evidence(620_000, 1_410_000, samples=100, pushback_ppm=0, fresh_for_us=0), threshold_ms=800)
    data = figures.data(Now([slow], {"acme": "Acme Retail"}))["p95_ms"]
    about = {"threshold": 800, "tenant": "Acme Retail"}
    assert data == {"value": 1410, "state": "near", "note": {"code": "figure.p95_ms.slow", **about}}


def test_the_lowest_multiplier_is_shown_with_its_tenant() -> None:
    data = figures.data(Now([reading(multiplier=0.62), replace(reading(), tenant_id="globex")]))["multiplier"]
    assert data == {"value": 0.62, "state": "near", "note": {"code": "figure.multiplier.lowest", "tenant": "acme"}}


def test_the_kept_ratio_is_that_of_the_calls_that_came_back_meanwhile() -> None:
    data = figures.data(Now([], returned=(40, 39)))["kept"]
    assert data == {"value": 0.975, "state": "near", "note": {"code": "figure.kept.of", "calls": 40}}
    assert figures.data(Now([]))["kept"] == {
        "value": None,
        "state": "",
        "note": {"code": "figure.kept.none"},
    }


def test_calls_that_wait_are_those_of_the_tenants_that_the_viewer_sees() -> None:
    platform = {"calls_waiting": {"acme": 4, "globex": 9}}
    frame = overview_frame([reading()], StoredReadings(), platform=platform, degraded=None)
    assert frame["figures"]["calls_waiting"] == {
        "value": 4,
        "state": "",
        "note": {"code": "figure.calls_waiting.some"},
    }
    assert "globex" not in str(frame)


def test_the_lines_of_calls_begin_before_the_page_was_opened() -> None:
    stream = LiveStream(overview(["acme"]))
    now = paced(90, 10).now_s
    stream.begin(figures.before([paced(90, 10)], seconds=3, covered=[Covered(now - 9, now)]))
    stream.advance(overview_frame([paced(90, 10)], StoredReadings(), platform={}, degraded=None))
    assert '"refused_per_min":[10,10,10]' in stream.text(after=None)
    assert figures.before([reading()], seconds=3, covered=[]) == []


def test_a_time_of_which_the_record_has_nothing_is_a_gap_in_the_lines_and_no_zero() -> None:
    now = paced(0, 0).now_s

    def line(covered: list[Covered] | None, *, allowed: int = 0) -> list[float | None]:
        found = figures.before([paced(allowed, 0)], seconds=4, covered=covered)
        return [each["calls_per_min"]["value"] for each in found]

    assert line([Covered(now - 2, now)]) == [None, None, 0, 0]
    assert line(None) == [None] * 4, "the times of which all is known could not be read"
    assert line(None, allowed=9) == [9] * 4, "calls that came were recorded"
    stream = LiveStream(overview(["acme"]))
    stream.begin(figures.before([paced(0, 0)], seconds=2, covered=[Covered(now - 1, now)]))
    stream.advance(overview_frame([paced(0, 0)], StoredReadings(), platform={}, degraded=None))
    assert '"calls_per_min":[null,0]' in stream.text(after=None)


def test_every_note_that_a_figure_tells_has_words() -> None:
    for now in (
        Now([]),
        Now([reading()]),
        Now([paced(9, 1)]),
        Now([], returned=(3, 3)),
        Now([reading(multiplier=0.5)], events_waiting=3, calls_waiting=2),
    ):
        notes = [data["note"]["code"] for data in figures.data(now).values() if data["note"]]
        assert set(notes) <= set(figures.words())


def test_a_declared_figure_is_in_the_frames_the_lines_and_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Figure(
        "tenants",
        "Tenants",
        lambda now: Value(len(now.readings), "seen"),
        {"seen": "seen now"},
        of_calls=lambda allowed, refused: 2 * allowed + refused,
    )
    monkeypatch.setattr(figures, "FIGURES", (*FIGURES, one))
    stream = LiveStream(overview(["acme"]))
    for _ in range(2):
        stream.advance(overview_frame([reading()], StoredReadings(), platform={}, degraded=None))
    assert '"tenants":{"value":1,"state":"","note":{"code":"figure.tenants.seen"}}' in stream.text(after=None)
    assert '"tenants":[1]' in stream.text(after=None)
    assert figures.words()["figure.tenants.seen"] == "seen now"
    assert [each["tenants"] for each in figures.before([paced(90, 10)], seconds=2, covered=None)] == [
        {"value": 190}
    ] * 2
