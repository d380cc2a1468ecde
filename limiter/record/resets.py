"""Entries in the record for the reset of a counter: person, time, reason, counter and count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from limiter.core import versioned
from limiter.core.versioned import Form
from limiter.record import chain
from limiter.record.chain import Draft


@dataclass(frozen=True, slots=True)
class Reset:
    """A count that is forgotten. ``action_id`` or ``key_prefix`` is empty where the limit does not count by it."""

    tenant_id: str
    action_id: str
    key_prefix: str
    limit_name: str
    counted_per: str
    used: int
    effective_limit: int


def note(reset: Reset, *, actor: str, reason: str, failed: str = "") -> None:
    """Enter it into the tenant's chain, before the reset: no reset is ever missing from the record.

    ``failed``: afterwards, why it was not done after all.
    """
    kind = "counter.not_reset" if failed else "counter.reset"
    payload = {**FORM.named(asdict(reset)), "reason": reason, **({"error": failed} if failed else {})}
    chain.append([Draft(kind, tenant_id=reset.tenant_id, actor=actor, payload=payload)])


def read(payload: Any) -> Reset:
    """What an entry says that was reset, of whichever release; raises :class:`~limiter.core.versioned.Unreadable`."""
    return FORM.take(payload)


def _read(data: Mapping[str, Any]) -> Reset:
    reset = versioned.build(Reset, data)
    return replace(reset, used=int(reset.used), effective_limit=int(reset.effective_limit))


FORM = Form("reset of a counter", {1: _read})
