"""Calls that come back at the time of their Retry-After, where no unit is held for them: how many pass."""

from __future__ import annotations

from typing import cast

import pytest
import redis

from limiter.core import keys
from limiter.core.types import Decision
from limiter.gateway.named_waits import NamedWaits
from limiter.gateway.names import NAMELESS, RETURNED
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.upstream.call import UpstreamCall
from tenants.directory import ActionSpec
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

S = 1_000_000


class Named:
    """Named waits, and the clock that they go by."""

    def __init__(self, max_named: int = 9) -> None:
        self.now = 0.0
        self.waits = NamedWaits(max_named=max_named, clock=lambda: self.now)

    def refuse(self, name: str | None, wait_us: int = S) -> None:
        self.waits.refused("k1", _call(name), Decision(False, "d", 0, 1, S, (), wait_us))

    def returns(self, name: str | None, key: str = "k1") -> bool:
        names = self.waits.names_of(key, _call(name), reserves=False)
        assert names in (NAMELESS, RETURNED)
        return names.returned


def _call(name: str | None) -> UpstreamCall:
    action = cast(ActionSpec, type("Action", (), {"action_id": "lookupOrder"}))
    return UpstreamCall(None, action, "acme", "r", b"", {}, name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after_s", "returned"),
    [(0.9, False), (1.0, True), (61.0, True), (61.1, False)],
    ids=["early", "", "", "much later"],
)
def test_a_call_returns_at_its_time_or_a_little_later(after_s: float, returned: bool) -> None:
    named = Named()
    named.refuse("once")
    named.now = after_s
    assert [named.returns("once"), named.returns("once")] == [returned, False]


def test_only_the_same_call_of_the_same_key_returns() -> None:
    named = Named()
    named.refuse("once")
    named.refuse(None)
    named.now = 1.0
    assert not any([named.returns("other"), named.returns("once", key="k2"), named.returns(None)])
    assert named.returns("once")


def test_the_last_refusal_of_a_call_counts() -> None:
    named = Named()
    named.refuse("once")
    named.refuse("once", 5 * S)
    named.now = 1.0
    assert not named.returns("once")


def test_as_many_are_known_as_a_worker_may_keep() -> None:
    named = Named(max_named=2)
    for name in ("one", "two", "three"):
        named.refuse(name)
    named.now = 1.0
    assert [named.returns(name) for name in ("one", "two", "three")] == [False, True, True]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("prefer", ["wait=0", "wait=1"])
async def test_returns_are_counted_and_of_them_those_that_pass(
    gateway: Gateway, acme: Tenant, acme_key: str, raw: redis.Redis, prefer: str
) -> None:
    policy = await QuotaPolicy.objects.acreate(name="Tight")
    await QuotaLimit.objects.acreate(policy=policy, name="tight", quota=1, window_seconds=60)
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)

    named = Named()
    gateway.runtime.gateway.named_waits = named.waits

    async def call(name: str, prefer: str = "wait=0") -> Answered:
        headers = {"Idempotency-Key": name, "Prefer": prefer}
        return await gateway.invoke("lookupOrder", key=acme_key, headers=headers)

    assert (await call("first")).status == 200
    refused = [await call(name) for name in ("kept", "broken")]
    assert [each.status for each in refused] == [429, 429]
    named.now = 60.0
    raw.delete(f"{keys.tag(acme.connection_id)}:w:tight:l:a:acme:lookupOrder")  # the unit leaves
    again = [await call(name, prefer) for name in ("kept", "broken")]
    assert [each.status for each in again] == [200, 429]
    assert await call("new") is not None
    counts = raw.hmget(keys.totals(acme.connection_id), "acme|returned", "acme|kept")
    assert counts == [b"2", b"1"]
