"""How far an edit has come: how many workers decide by it, and after how long all of them did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rollout:
    """Of the workers heard lately, those that have taken an edit in. ``seconds``: until the last of them had.

    None while some have not, or where nobody noted when.
    """

    workers: int
    live: int
    seconds: float | None


def of(change: int, made_at: float | None, beats: Iterable[Mapping[str, Any]]) -> Rollout:
    """By the workers' heartbeats. ``made_at``: when the edit was made (epoch seconds), if that is known."""
    beats = list(beats)
    live = [beat["snapshot"] for beat in beats if beat["snapshot"]["seq"] >= change]
    times = [when for each in live if (when := _applied_at(change, each["applied"])) is not None]
    seconds = None
    if len(live) == len(beats) and times and made_at is not None:
        seconds = max(0.0, round(max(times) - made_at, 1))
    return Rollout(len(beats), len(live), seconds)


def _applied_at(change: int, applied: Iterable[Any]) -> float | None:
    """When a worker took it in: of the edits it noted, the time of the first that is not before this one."""
    found = [at for seq, at in applied if seq >= change]
    return min(found, default=None)
