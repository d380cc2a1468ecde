"""PostgreSQL refuses what SQLite takes: one such event must not keep the others out.

`make test-postgres` runs it.
"""

from __future__ import annotations

from typing import Any

import pytest

from limiter.core import keys, refusal
from limiter.models import DeadLetter, ThrottleEvent
from limiter.record import events
from limiter.record.drain import MAX_DELIVERIES, drain
from limiter.record.scripts import Client
from limiter.record.verify import verify
from tests.limiter.record.given import refuse

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("hostile", [{"request_id": "r\0"}, {"decision_id": "d" * 33}, {"cost": 2**40}])
def test_an_event_that_the_database_refuses_ends_as_a_dead_letter(
    client: Client, redis_url: str, hostile: dict[str, Any]
) -> None:
    refuse(redis_url, 5)
    name = keys.events(1)
    oldest: Any = client.xrange(name, count=1)
    good = refusal.read(oldest[0][1][b"event"].decode())
    client.xadd(name, {"event": refusal.write(good._replace(**hostile))})
    refuse(redis_url, 5, name="later", after_s=1)
    stream = events.of(client, 1)
    assert drain(stream, events.write) == 10
    for _ in range(MAX_DELIVERIES - 1):
        drain(stream, events.write, idle_ms=0)
    assert ThrottleEvent.objects.count() == 10 and DeadLetter.objects.count() == 1
    assert client.xlen(name) == 0 and verify().events == 10
