"""What changed between two frames: no more than that, and enough to make the second from the first."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from dashboard.deltas import Frame, delta, line_of
from tests.browser.visit import frame as written

KEPT = {"spark": 40, "points": 300, "feed": 60}


def laid_over(held: Frame, changed: Frame) -> Frame:
    """What a page makes of the two: the obvious reference."""
    apart = {"rows", "gone", "feed", "charts", "points", "figures"}
    whole = copy.deepcopy(held) | {name: value for name, value in changed.items() if name not in apart}
    rows = {row["id"]: row for row in whole["rows"]}
    for row in changed.get("rows", []):
        now = rows.get(row["id"], {}) | {name: value for name, value in row.items() if name != "next"}
        if "next" in row:
            now["spark"] = [*now["spark"], row["next"]][-KEPT["spark"] :]
        rows[row["id"]] = now
    whole["rows"] = [row for row in rows.values() if row["id"] not in changed.get("gone", [])]
    lines = {line_of(line): line for line in [*whole["feed"], *changed.get("feed", [])]}
    whole["feed"] = list(lines.values())
    if "figures" in held:
        whole["figures"] |= changed.get("figures", {})
    if "charts" in held:
        charts = whole["charts"] | changed.get("charts", {})
        for name, point in changed.get("points", {}).items():
            charts[name]["times"] = [*charts[name]["times"], point["time"]][-KEPT["points"] :]
            for column, values in charts[name]["columns"].items():
                charts[name]["columns"][column] = [*values, point["columns"][column]][-KEPT["points"] :]
        whole["charts"] = {row["id"]: charts[row["id"]] for row in whole["rows"] if row["id"] in charts}
    return whole


def comparable(frame: Frame) -> Any:
    """Without fields that have no order, or only describe the frame's transport."""
    lines = sorted(map(line_of, frame["feed"]))[-KEPT["feed"] :]
    counts = {line_of(line): line["count"] for line in frame["feed"]}
    rows = {row["id"]: row for row in frame["rows"]}
    rest = {name: value for name, value in frame.items() if name not in ("kind", "seq", "feed", "rows")}
    return rest, rows, [(line, counts[line]) for line in lines]


def life(name: str, *, seed: int, seconds: int) -> Iterator[Frame]:
    """A page's frames over some seconds in which rows come, fill, go, and are refused."""
    chance = random.Random(seed)
    now = written(name)
    every = {row["id"]: row for row in now["rows"]}
    for second in range(seconds):
        now = copy.deepcopy(now)
        now["at_ms"] += 1000
        now["summary"]["workers"] = {"seen": chance.choice([3, 4]), "seqs": [812]}
        if "figures" in now:
            now["figures"]["calls_per_min"]["value"] = chance.choice([100, 101])
        hidden = chance.choice([*every, None, None])
        now["rows"] = [_turned(row, chance) for row in now["rows"] if row["id"] != hidden]
        shown = {row["id"] for row in now["rows"]}
        back = chance.choice(list(every.values()))
        if back["id"] not in shown:
            now["rows"].append(copy.deepcopy(back))
        if "charts" in now:
            now["charts"] = {row["id"]: _next_point(now, row, chance) for row in now["rows"]}
        if now["feed"] and chance.random() < 0.5:
            newest = copy.deepcopy(now["feed"][0])
            if chance.random() < 0.5:
                newest["at_ms"] += 1000
            newest["count"] += 1
            now["feed"] = [newest, *(line for line in now["feed"] if line_of(line) != line_of(newest))][: KEPT["feed"]]
        yield {**now, "seq": second + 1, "kind": "full"}


def _turned(row: Frame, chance: random.Random) -> Frame:
    if chance.random() < 0.3:
        return row
    used = chance.randrange(100)
    return {**row, "used": used, "spark": [*row["spark"], used][-KEPT["spark"] :]}


def _next_point(now: Frame, row: Frame, chance: random.Random) -> Frame:
    held = now["charts"].get(row["id"]) or {"times": [], "columns": {"used": [], "limit": []}}
    limit = chance.choice([100, 100, 100, 200])
    columns = {name: [*values, row["used"]][-KEPT["points"] :] for name, values in held["columns"].items()}
    columns["limit"] = [limit] * len(columns["used"])
    return {"times": [*held["times"], now["at_ms"] // 1000][-KEPT["points"] :], "columns": columns}


def test_the_whole_can_be_made_from_what_changed() -> None:
    for name in ("overview", "tenant"):
        for seed in range(20):
            frames = life(name, seed=seed, seconds=60)
            held = before = next(frames)
            for now in frames:
                held = laid_over(held, delta(before, now))
                assert comparable(held) == comparable(now)
                before = now


def test_the_delta_of_a_second_without_changes_has_at_most_a_hundred_bytes() -> None:
    before = written("overview")
    now = {**before, "seq": 2, "at_ms": before["at_ms"] + 1000}
    assert delta(before, now) == {"v": 4, "seq": 2, "at_ms": now["at_ms"], "kind": "delta"}


def test_a_delta_contains_only_the_changed_fields_of_a_row() -> None:
    before = written("overview")
    row = before["rows"][0]
    now = {**before, "rows": [{**row, "used": 7, "spark": [*row["spark"][1:], 7]}, *before["rows"][1:]]}
    assert delta(before, now)["rows"] == [{"id": row["id"], "used": 7, "next": 7}]


def test_a_delta_contains_only_the_changed_key_figures() -> None:
    before = written("overview")
    now = copy.deepcopy(before)
    now["figures"]["refused_per_min"]["value"] = 180
    assert delta(before, now)["figures"] == {"refused_per_min": now["figures"]["refused_per_min"]}


def test_a_delta_names_a_removed_row_by_its_id() -> None:
    before = written("overview")
    changed = delta(before, {**before, "rows": before["rows"][1:]})
    assert (changed["gone"], "rows" in changed) == ([before["rows"][0]["id"]], False)


def test_a_delta_repeats_a_line_that_counts_more() -> None:
    before = written("overview")
    more = {**before["feed"][0], "count": before["feed"][0]["count"] + 5}
    assert delta(before, {**before, "feed": [more, *before["feed"][1:]]})["feed"] == [more]
    known = {**before["feed"][0], "incident": 31}
    assert delta(before, {**before, "feed": [known, *before["feed"][1:]]})["feed"] == [known]


def test_a_chart_continues_with_a_point_and_is_whole_when_its_limit_moves() -> None:
    chart = {"times": [1, 2], "columns": {"used": [5, 6], "limit": [9, 9]}}
    before = {**written("tenant"), "charts": {"a": chart}}
    longer = {"times": [1, 2, 3], "columns": {"used": [5, 6, 7], "limit": [9, 9, 9]}}
    assert delta(before, {**before, "charts": {"a": longer}})["points"] == {
        "a": {"time": 3, "columns": {"used": 7, "limit": 9}}
    }
    moved = {"times": [1, 2, 3], "columns": {"used": [5, 6, 7], "limit": [8, 8, 8]}}
    assert delta(before, {**before, "charts": {"a": moved}})["charts"] == {"a": moved}
