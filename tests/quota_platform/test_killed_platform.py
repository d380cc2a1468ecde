"""The promise of the record: whatever is killed, and whenever, it equals the callers' responses, each once."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from limiter.core import keys
from quota_platform import roles
from quota_platform.demo import environment, tokens
from tests.deployment import WEB_PROCESSES, Deployment
from tests.patience import HANG_S, patiently, until

pytest_plugins = ["tests.postgres"]
pytestmark = pytest.mark.slow

CALLERS = 6
STORE_KILLED = 2
CALLS = (("acme", "lookupOrder"), ("acme", "createCase"), ("globex", "lookupOrder"), ("globex", "sendSurvey"))


@dataclass
class Received:
    """All callers' responses so far. ``unsure``: calls that were sent and got no response."""

    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    unsure: int = 0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())


@contextmanager
def callers(port: int, keys_of: dict[str, str], data: Received) -> Iterator[None]:
    """Callers that call as fast as they are answered, until the end of the block."""
    over, lock = threading.Event(), threading.Lock()

    def call() -> None:
        chance = random.Random()
        while not over.is_set():
            tenant, action = chance.choice(CALLS)
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
            try:
                link.connect()
            except OSError:
                continue  # Nobody took this call, so nobody has to know of it.
            try:
                link.request("POST", f"/invoke/{action}", b"{}", {"Authorization": f"Bearer {keys_of[tenant]}"})
                response = link.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                with lock:
                    data.unsure += 1
                continue
            finally:
                link.close()
            with lock:
                data.statuses[response.status] += 1
                if response.status == 429:
                    data.refusals.append(json.loads(body)["decision_id"])

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def after(data: Received, calls: int) -> None:
    """Return when so many more calls have been answered."""
    wanted = data.answered + calls
    for _ in patiently(f"the responses to {calls} more calls"):
        if data.answered >= wanted:
            return


def kill_at_random(deployment: Deployment, chance: random.Random) -> None:
    """A child of the web server or of Celery, or all of one of them, or the clock."""
    victim = chance.choice(("web", "worker", "worker", "beat"))
    if victim != "beat" and chance.random() < 0.5:
        deployment.kill_a_child(victim, chance)
    else:
        deployment.kill(victim)


@dataclass(frozen=True, slots=True)
class Kept:
    """The database's counts. ``usage``: allowed and refused by the minute, the hour and the day."""

    refusals: int
    usage: tuple[tuple[int, ...], ...]


def kept(database_url: str) -> Kept:
    with psycopg.connect(database_url) as link:

        def sums(of: str, table: str) -> tuple[int, ...]:
            row = link.execute(f"SELECT {of} FROM limiter_{table}").fetchone()
            assert row is not None and None not in row, f"{table} is empty"
            return tuple(map(int, row))

        (refusals,) = sums("sum(count)", "throttleevent")
        levels = (f"usage{level}" for level in ("minute", "hour", "day"))
        return Kept(refusals, tuple(sums("sum(allowed), sum(refused)", level) for level in levels))


def decisions(database_url: str) -> Counter[str]:
    with psycopg.connect(database_url) as link:
        return Counter(name for (name,) in link.execute("SELECT decision_id FROM limiter_throttleevent"))


def waits_in(store_url: str) -> int:
    """How much of the record is still in the store."""
    with redis.Redis.from_url(store_url) as client:
        names = [keys.events(1), keys.floods(1), keys.usage(1)]
        left: int = client.xlen(names[0]) + client.exists(*names[1:], *map(keys.taken, names[1:]))
        return left


def test_the_record_equals_the_callers_responses_whatever_is_killed(tmp_path: Path, postgres_url: str) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")  # shown when the test fails
    chance, data = random.Random(seed), Received()
    with Deployment.of(tmp_path / "var", database_url=postgres_url) as deployment:
        with callers(deployment.port, tokens.read(tmp_path / "var"), data):
            for _ in range(10):
                after(data, 150)
                kill_at_random(deployment, chance)
            after(data, 150)
            deployment.kill("web", "worker", "beat", "valkey")
            after(data, 150)
            with deployment.without("valkey"):
                after(data, 150)
            after(data, 150)
        until_nothing_is_held(deployment)
        deployment.end("web")
        # A lock that a killed drainer held ends after a minute.
        for _ in patiently("the rest of the record"):
            if waits_in(deployment.store_url) == 0:
                break

        # Of calls that were cut off nobody knows how they were decided; nor of decisions whose store was killed under
        # them, so that the worker decided again, alone.
        unsure = data.unsure + STORE_KILLED * CALLERS
        allowed, refused = data.answered - data.statuses[429], data.statuses[429]
        record, entered = kept(postgres_url), decisions(postgres_url)
        assert allowed > 100 and refused > 500 and unsure < data.answered / 10, data
        assert set(data.statuses) <= {200, 429}, data
        assert refused <= record.refusals <= refused + unsure
        assert {counted for _, counted in record.usage} == {record.refusals}
        (in_usage,) = {counted for counted, _ in record.usage}
        assert allowed <= in_usage <= allowed + unsure
        assert max(entered.values()) == 1
        assert len(set(entered) - set(data.refusals)) <= unsure
        verified = subprocess.run(
            [*roles.MANAGE, "verify_audit"],
            env=environment.for_platform(environment.read(tmp_path / "var")),
            capture_output=True,
            text=True,
        )
        assert verified.returncode == 0, verified.stderr
        assert f"{record.refusals:,} refusals" in verified.stdout


def until_nothing_is_held(deployment: Deployment) -> None:
    """A web process that ends before the store is back takes its own decisions with it."""
    since = time.time()
    for _ in patiently("the decisions made without the store"):
        if has_everything(deployment.store_url, since=since):
            return


def has_everything(store_url: str, *, since: float) -> bool:
    """Whether all web processes have reported since then that the store is available and that nothing waits for it."""
    try:
        with redis.Redis.from_url(store_url) as client:
            beats: Any = client.hvals(keys.workers())
    except redis.RedisError:
        return False
    heard = [beat for beat in map(json.loads, beats) if beat["at"] > since]
    return len(heard) == WEB_PROCESSES and all(
        not beat["alone"]["waiting"] and beat["degraded_since"] is None for beat in heard
    )


def responses(store: redis.Redis) -> bool:
    try:
        return bool(store.ping())
    except redis.RedisError:
        return False


def trouble(deployment: Deployment, chance: random.Random) -> None:
    """What a store goes through: a while as a replica, a restart, its scripts forgotten, all connections cut."""
    with redis.Redis.from_url(deployment.store_url) as store:
        until(lambda: responses(store), what="the store")
        match chance.choice(("replica", "replica", "restart", "flush", "cut")):
            case "replica":
                store.replicaof("127.0.0.1", "1")
                time.sleep(chance.choice((0.05, 0.5, 3)))  # nothing is waited for: so long it is one
                store.replicaof("NO", "ONE")
            case "restart":
                deployment.kill("valkey")
            case "flush":
                store.script_flush()
            case "cut":
                store.client_kill_filter(skipme=True, _type="normal")


def test_celery_outlives_whatever_the_store_does_without_a_service_manager(tmp_path: Path, postgres_url: str) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    chance, data = random.Random(seed), Received()
    var = tmp_path / "var"
    with Deployment.of(var, database_url=postgres_url, unattended=("worker", "beat")) as deployment:
        with callers(deployment.port, tokens.read(var), data):
            for _ in range(15):
                after(data, 100)
                trouble(deployment, chance)
            after(data, 100)
        until_nothing_is_held(deployment)
        deployment.end("web")
        for _ in patiently("the rest of the record"):
            assert deployment.ended() == []
            if waits_in(deployment.store_url) == 0:
                break
        assert kept(postgres_url).refusals >= data.statuses[429] > 0
