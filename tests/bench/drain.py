"""How fast one process moves events from the store into PostgreSQL, chained and all.

Run as ``python -m tests.bench.drain <events>`` it is that process: it finds its store and database in the environment.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from cryptography.fernet import Fernet

from limiter.core import description, keys, refusal
from limiter.core.refusal import Refusal
from limiter.core.types import Limit
from quota_platform.embedded import start_valkey
from quota_platform.env import BASE_DIR
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.stage import Stage
from tests.postgres import running_postgres

_EVENTS = {"full": 100_000, "quick": 20_000}
_TENANTS = 20
_TOGETHER = 1_000


def measure(stage: Stage, effort: Effort) -> Findings:
    events = _EVENTS[effort.name]
    with running_postgres() as database_url, tempfile.TemporaryDirectory(prefix="quota-drain-") as directory:
        valkey = start_valkey(directory=Path(directory))
        try:
            seconds = _drained_in(events, redis_url=valkey.url, database_url=database_url)
        finally:
            valkey.stop()
    rate = events / seconds
    how = f"{events:,} events of {_TENANTS} tenants wait in the store; one process stores them in batches of 1,000."
    return Findings(
        tables=[Table("Storing events", how, ("", "events/s"), [["one process, PostgreSQL", f"{rate:,.0f}"]])],
        reaches=[Reach("events drained into PostgreSQL by one process", rate, 5_000, "/s")],
    )


def _drained_in(events: int, *, redis_url: str, database_url: str) -> float:
    data = {
        **os.environ,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SECRETS_KEYS": Fernet.generate_key().decode(),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "quota_platform.settings",
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "tests.bench.drain", str(events)]
    done = subprocess.run(command, cwd=BASE_DIR, env=data, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def _fill(client: redis.Redis, events: int) -> None:
    limits = [
        Limit("minute", "sliding_log", 600, 60_000_000, policy_name="Gold", policy_version=7),
        Limit("day", "sliding_counter", 100_000, 86_400_000_000, policy_name="Gold", policy_version=7),
    ]
    now_us = time.time_ns() // 1000
    refused = Refusal(
        *(now_us, 0, False, 1_000_000, 1, "", "lookupOrder", "", "abcdefghijkl", ""),
        states=(600, 600, 1_250_000, 1_250_000, 52_000, 100_000, 0, 1_440_000_000),
        limits=description.write(limits),
    )
    client.sadd(keys.connections(), 1)
    for start in range(0, events, _TOGETHER):
        with client.pipeline(transaction=False) as pipe:
            for n in range(start, min(start + _TOGETHER, events)):
                own = {"at_us": now_us + n, "tenant": f"tenant-{n % _TENANTS}", "decision_id": f"{n:024x}"}
                one = refused._replace(**own, request_id=f"request-{n:012}")  # type: ignore[arg-type]
                pipe.xadd(keys.events(1), {"event": refusal.write(one)})
            pipe.execute()


def _main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from limiter import clients
    from limiter.models import ThrottleEvent
    from limiter.record import keeping

    events = int(sys.argv[1])
    call_command("migrate", verbosity=0, skip_checks=True)
    client = clients.client()
    assert isinstance(client, redis.Redis)
    _fill(client, events)
    started = time.perf_counter()
    keeping.store_all(client)
    seconds = time.perf_counter() - started
    assert ThrottleEvent.objects.count() == events, "events are missing"
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    _main()
