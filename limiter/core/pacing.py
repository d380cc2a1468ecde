"""The pace of an upstream that publishes no limit: learned from the calls that it turned away, held, and probed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.core.versioned import Form
from limiter.stores.scripts import Script

LEARN = "learn"
NOTED = ["at", "probe"]
"""Fields of the evidence that people are shown."""
_PARTS = {
    "sent_log": "pace_log",
    "gaps": "pace_gaps",
    "flight": "pace_under_way",
    "counts": "pace_counts",
    "rates": "pace_rates",
    "probes": "pace_probes",
    "in_force": "pace_in_force",
}
"""Files in front of the script, by the names that they have there; each may use those before it."""
_SCRIPT = Script(
    __file__, "pace", before=b"".join(Script(__file__, file).as_local(name) for name, file in _PARTS.items())
)


class Ended(NamedTuple):
    """A call of which a response has come: how long ago it was sent, and how long ago that was."""

    sent_us: int
    ended_us: int


class HeldPace(NamedTuple):
    """Calls a minute, None without a pace. ``at_once``: whether the end of each call is to be reported at once."""

    per_minute: float | None
    at_once: bool = False


class Pace(NamedTuple):
    """Calls a minute in force; when that was found, and when it was raised last (us since the epoch; 0: never)."""

    per_minute: float
    found_us: int = 0
    probed_us: int = 0


def _interval_us(text: str) -> int:
    """The first of three numbers; what stands behind is ignored."""
    interval_us, _, _ = map(int, text.split("|", 3)[:3])
    return max(1, interval_us)


FORM = Form("pace", {1: _interval_us})


def pace_or_none(stored: bytes | str | None, noted: Sequence[bytes | str | None]) -> Pace | None:
    """The pace that is stored, with the :data:`NOTED` fields of its evidence."""
    interval_us = FORM.text_or_none(stored)
    if interval_us is None:
        return None
    found, probed = (int(value) if value is not None and value.isdigit() else 0 for value in noted)
    return Pace(60 * MICROS / interval_us, found, probed)


async def learn(
    store: Store,
    connection: int,
    *,
    ran: int,
    held: int,
    pushed_back: int,
    ago_us: int = 0,
    said_us: int = 0,
    away_us: int | None = None,
    mode: str = LEARN,
    shared: bool = False,
    ended: Sequence[Ended] = (),
    now_us: int | None = None,
) -> HeldPace:
    """Hand in the calls of one worker since its last report.

    ``ran``: calls that the upstream took. ``held``: calls held back. ``pushed_back``: requests it turned away.
    ``ago_us``: since when those that ran were sent, on average.
    ``said_us``: the wait in the response to the last of ``pushed_back``; 0 without one. ``away_us``: since when it was
    sent; None if it was no first attempt. ``mode``: :data:`LEARN`; the calls a minute that a person has set; "" for
    no pace. ``shared``: tenants have shares of it. ``ended``: the calls that ran.
    Raises :class:`~limiter.stores.errors.StoreError`.
    """
    names = [keys.pace(connection), keys.pace_evidence(connection), keys.pause(connection)]
    now = "" if now_us is None else now_us
    seen = (ran, held, pushed_back, mode, ago_us, said_us, int(shared), "" if away_us is None else away_us)
    ends = " ".join(f"{each.sent_us // 1000}:{each.ended_us // 1000}" for each in ended)
    per_minute, counts, _ = (await store.run(_SCRIPT, names, now, *seen, ends)).decode().partition("|")
    return HeldPace(float(per_minute) if per_minute else None, at_once=bool(counts))
