"""A refusal as one text: what an event carries from the script that refused to the task that writes the record.

One text and not a field for each value, since a refused call waits for the store to keep it.
"""

from __future__ import annotations

from typing import NamedTuple

from limiter.core.versioned import Form


class Refusal(NamedTuple):
    """A refused call, or one that a shadow limit would have refused, as ``decide.lua`` saw it.

    ``at_us``: the store's clock, microseconds since the epoch. ``folded``: how many refusals of a flood it stands for;
    0 for one that stands for itself. ``states``: for each limit used (units), effective limit (units), wait (us; 0 lets
    the call pass, -1 never) and reset (us). ``limits``: see :mod:`limiter.core.description`.
    """

    at_us: int
    folded: int
    shadow: bool
    multiplier_ppm: int
    cost: int
    tenant: str
    action: str
    decision_id: str
    key_prefix: str
    request_id: str
    states: tuple[int, ...]
    limits: str


def write(refusal: Refusal) -> str:
    """``<at>|<folded>|<1 if shadow>|<multiplier>|<cost>|<tenant>|<action>|<decision>|<key prefix>|<request id>``, then
    a line of states and one of limits.
    """
    at_us, folded, shadow, ppm, cost, *names = refusal[:-2]
    head = (at_us, folded, int(shadow), ppm, cost, *names)
    return FORM.marked("\n".join(("|".join(map(str, head)), ",".join(map(str, refusal.states)), refusal.limits)))


def read(text: str) -> Refusal:
    """What :func:`write` or the script wrote, of whichever release; raises ``Unreadable``, a ValueError, for the rest.

    ``decide.lua`` writes the text too: who raises its version raises it there.
    """
    return FORM.text(text)


def _read(text: str) -> Refusal:
    head, states, limits = text.split("\n", 2)
    at_us, folded, shadow, ppm, cost, tenant, action, decision_id, context = head.split("|", 8)
    key_prefix, _, request_id = context.partition("|")
    return Refusal(
        at_us=int(at_us),
        folded=int(folded),
        shadow=shadow == "1",
        multiplier_ppm=int(ppm),
        cost=int(cost),
        tenant=tenant,
        action=action,
        decision_id=decision_id,
        key_prefix=key_prefix,
        request_id=request_id,
        states=tuple(map(int, states.split(","))) if states else (),
        limits=limits,
    )


FORM = Form("refusal", {1: _read})
"""A policy's name may hold a line break, so nothing can be added to this version: a field more is a new one."""
