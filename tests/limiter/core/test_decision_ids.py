"""IDs of refused calls: what the caller is sent is what the record makes of the same refusal."""

from __future__ import annotations

import pytest

from limiter.core.decision_ids import IdKind, complete, half_of, kept, read
from limiter.core.types import PPM, Decision, LimitState
from limiter.core.window import retry_after
from tests.limiter.core.given import T0, log, slots

HALF = half_of("0123456789abcdef01234567")
MINUTE = IdKind("acme", "lookupOrder", "k1", "minute", shadow=False)
ACME = {"tenant": "acme", "action": "lookupOrder", "key_prefix": "k1"}


def decision(*states: LimitState, allowed: bool = False, paused_us: int = 0) -> Decision:
    wait = 0 if allowed else retry_after(states)
    return Decision(allowed, HALF, T0 + 7, 1, PPM, states, wait, paused_us=paused_us)


def refusing(name: str, wait_us: int, *, shadow: bool = False) -> LimitState:
    return LimitState(log(1, name=name, shadow=shadow), 1, 1, wait_us, wait_us)


def test_an_id_of_a_refusal_has_32_characters_and_is_read_back() -> None:
    whole = complete(HALF, T0 + 7, MINUTE)
    assert len(whole) == 32 and whole.startswith(HALF)
    assert read(whole) == (HALF, T0 + 7, MINUTE.digest)


@pytest.mark.parametrize("other", ["479912d896c15657c8e2348a", "d0", HALF, "q" + "é" * 31, "f" * 32, "q" + "1" * 31])
def test_another_id_is_not_read(other: str) -> None:
    assert read(other) is None


def test_an_id_that_an_earlier_release_drew_stays() -> None:
    assert complete("479912d896c15657c8e2348a", T0, MINUTE) == "479912d896c15657c8e2348a"


@pytest.mark.parametrize(
    ("refused", "limit", "shadow"),
    [
        (decision(refusing("minute", 5)), "minute", False),
        (decision(refusing("minute", 5), refusing("hour", 9)), "hour", False),
        (decision(refusing("minute", -1), refusing("hour", 9)), "minute", False),
        (decision(refusing("trial", 9, shadow=True), refusing("minute", 5)), "minute", False),
        (decision(refusing("trial", 9, shadow=True), allowed=True), "trial", True),
        (decision(LimitState(slots(1), 0, 1, 0, 0), paused_us=9), "(upstream)", False),
    ],
)
def test_a_refusal_is_kept_by_the_limit_that_bound(refused: Decision, limit: str, shadow: bool) -> None:
    kind = IdKind("acme", "lookupOrder", "k1", limit, shadow)
    assert kept(refused, **ACME) == complete(HALF, T0 + 7, kind)


def test_an_admitted_call_keeps_its_id() -> None:
    admitted = decision(LimitState(log(2), 1, 2, 0, 5), allowed=True)
    assert kept(admitted, **ACME) == admitted.decision_id
