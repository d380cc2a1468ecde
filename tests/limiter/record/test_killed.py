"""Drainers that are killed at any instant lose nothing and store nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import Sum

from limiter.core import keys
from limiter.models import ThrottleEvent, UsageDay, UsageMinute
from limiter.record import events, usage
from limiter.record.drain import drain
from limiter.record.scripts import Client
from limiter.record.verify import verify
from tests.limiter.core.given import T0, S
from tests.limiter.record.given import refuse

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@contextmanager
def drainers(count: int) -> Iterator[None]:
    """Processes that drain the test's store into the test's database, and are killed in the end."""
    data = {**os.environ, "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}"}
    command = [sys.executable, "-m", "tests.limiter.record.drainer"]
    processes = [subprocess.Popen(command, env=data) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_nothing_is_lost_or_doubled_when_drainers_are_killed(client: Client, redis_url: str) -> None:
    refuse(redis_url, 3_000)
    refuse(redis_url, 500, tenant="globex", name="g", per_second=100, after_s=1_000)
    waiting, counted = client.xlen(keys.events(1)), 2  # the two calls that filled the windows
    assert waiting == 3_050
    for left in (2_900, 2_500, 2_100, 1_500, 800, 790):
        with drainers(2):
            while client.xlen(keys.events(1)) > left:
                client.hincrby(keys.usage(1), f"{T0 // (60 * S)}|acme|lookupOrder|allowed", 1)
                counted += 1
    while drain(events.of(client, 1), events.write, idle_ms=0) or usage.drain(client, 1):
        pass
    events.store_floods(client, 1)
    usage.drain(client, 1)
    assert client.xlen(keys.events(1)) == 0
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count")) == {"refusals": 3_500}
    for model in (UsageMinute, UsageDay):
        assert model.objects.aggregate(allowed=Sum("allowed")) == {"allowed": counted}
    assert verify().refusals == 3_500
