"""Which processes share the limits while the store is unavailable: those that decide, in whichever release."""

from __future__ import annotations

import pytest

from limiter.gateway.heartbeat import FORM
from limiter.gateway.living import Living
from limiter.models import QuotaPolicy
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_process_for_pages_takes_no_share_until_it_has_decided_a_call(
    gateway: Gateway, base_policy: QuotaPolicy, acme_key: str
) -> None:
    runtime = gateway.runtime
    await runtime.close()
    await runtime.store.open()
    heartbeat = runtime.heartbeat
    heartbeat.decides = lambda: runtime.gateway.decided

    async def counted() -> int:
        """As another process counts, which is one itself."""
        return await Living(runtime.store, read=FORM.load_or_none).count("another")

    await heartbeat.report()
    assert not FORM.load(FORM.dump(heartbeat.state()))["decides"]
    assert await counted() == 1
    runtime.gateway.decided = True
    await heartbeat.report()
    assert await counted() == 2


async def test_a_call_that_is_decided_counts_its_process(
    gateway: Gateway, base_policy: QuotaPolicy, acme_key: str
) -> None:
    assert not gateway.runtime.gateway.decided
    await gateway.invoke("lookupOrder", key=acme_key)
    assert gateway.runtime.gateway.decided
