"""Celery's worker and clock, in processes of their own, outlive what their store does; nobody starts them again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from limiter.record import runs
from quota_platform import beat, broker, roles
from quota_platform.embedded import Valkey, start_valkey
from tests.patience import patiently, until

PREFIX = "here"


@dataclass
class Celery:
    """A worker and a clock on a store of their own, which lets them touch no key without their prefix.

    Their database has no tables: tasks fail, and say in the store that they ran.
    """

    directory: Path
    store: Valkey
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def start(cls, directory: Path) -> Celery:
        made = cls(directory, start_valkey(directory=directory / "valkey"))
        made.confine()
        made._start("worker", roles.worker(), "--concurrency", "1")
        made._start("beat", roles.beat(), "--schedule", str(directory / "schedule"))
        return made

    def _start(self, name: str, command: list[str], *arguments: str) -> None:
        url = f"redis://127.0.0.1:1,127.0.0.1:{self.store.port}/0"  # the first of the two servers is dead
        data = {"REDIS_URL": url, "REDIS_KEY_PREFIX": PREFIX, "DATABASE_URL": "sqlite:///:memory:"}
        with (self.directory / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*command, *arguments], env={**os.environ, **data}, stdout=log, stderr=log
            )

    def confine(self) -> None:
        """Let the default user touch names with the prefix only; a server that starts has forgotten it."""
        names = {"keys": [f"{PREFIX}:*"], "channels": [f"{PREFIX}:*"]}
        with self.client() as client:
            client.acl_setuser("operator", enabled=True, nopass=True, categories=["+@all"], keys=["*"])
            client.acl_setuser(
                *("default", True, True), reset_keys=True, reset_channels=True, categories=["+@all"], **names
            )

    def client(self, user: str = "default") -> redis.Redis:
        return redis.Redis(port=self.store.port, username=user, password="any")

    def last_run(self) -> float:
        with self.client("operator") as client:
            return max((run.at for run in runs.read(client.hgetall(f"{PREFIX}:q:tasks")).values()), default=0.0)

    def works(self, what: str) -> None:
        """Return when one more task has run from now on."""
        before = self.last_run()
        for _ in patiently(what):
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, (ended, self.said())
            if self.last_run() > before:
                return

    def said(self) -> str:
        return (self.directory / "log").read_text()[-5_000:]

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.store.kill()


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Celery]:
    made = Celery.start(tmp_path_factory.mktemp("celery"))
    yield made
    made.stop()


def turned_away(client: redis.Redis) -> int:
    """How often a store that is a replica has said READONLY, or has been asked for its role and left for that."""
    data: Any = client.info("everything")
    refused = int(data.get("errorstat_READONLY", {}).get("count", 0))
    return refused + int(data.get("cmdstat_role", {}).get("calls", 0))


def requests(client: redis.Redis) -> int:
    """How often something was asked for that may wait once only."""
    data: Any = client.info("commandstats")
    return int(data["cmdstat_evalsha"]["calls"])


def test_worker_and_clock_warn_at_start_of_a_store_that_forgets(celery: Celery) -> None:
    log = celery.directory / "log"
    until(lambda: log.read_text().count("The store keeps no append-only file") == 2, what="both to say it")


def test_celery_outlives_a_store_that_becomes_a_replica_and_primary_again(celery: Celery) -> None:
    celery.works("a first task")
    with celery.client("operator") as client:
        before = turned_away(client)
        client.replicaof("127.0.0.1", "1")
        for _ in patiently("somebody who wants to write"):
            if turned_away(client) > before + 1:
                break
        client.replicaof("NO", "ONE")
    celery.works("a task after the change of roles")


def test_celery_outlives_scripts_that_are_flushed_and_connections_that_are_cut(celery: Celery) -> None:
    with celery.client("operator") as client:
        client.script_flush()
        client.client_kill_filter(skipme=True, _type="normal")
    celery.works("a task after the flush")


def test_celery_outlives_a_store_that_is_killed_and_started_again(celery: Celery) -> None:
    celery.store.kill()
    celery.store = start_valkey(directory=celery.directory / "valkey", port=celery.store.port)
    celery.confine()
    celery.works("a task after the restart")


def test_a_message_that_is_put_back_waits_only_where_no_other_does(redis_url: str) -> None:
    with Connection(redis_url, transport=broker.NAME) as connection, connection.SimpleQueue("periodic.x") as queue:
        for _ in range(2):
            queue.put({})
        queue.get(block=False).requeue()
        assert queue.qsize() == 1
        taken = queue.get(block=False)
        queue.put({})
        taken.requeue()
        assert queue.qsize() == 1


def test_the_name_of_a_task_outlives_the_place_of_its_module() -> None:
    strays = [periodic.task for periodic in beat.periodic() if not periodic.task.startswith("limiter.tasks.")]
    assert strays == [], "messages of the previous release carry the name"


def test_while_no_worker_runs_one_message_at_most_waits_for_each_periodic_task(celery: Celery) -> None:
    worker = celery.processes.pop("worker")
    worker.kill()
    worker.wait()
    with celery.client("operator") as client:
        lists = [f"{PREFIX}:celery:{queue.name}" for queue in beat.queues()]
        every_second = f"{PREFIX}:celery:{beat.queue_of('limiter.tasks.store_events')}"
        first = until(lambda: client.lrange(every_second, 0, -1), what="the message that waits")
        asked = requests(client)
        until(lambda: requests(client) > asked + 2, what="the clock to ask again")
        assert client.lrange(every_second, 0, -1) == first
        assert sum(client.llen(name) for name in lists) <= len(beat.periodic())


def test_celery_touches_no_name_without_the_prefix(celery: Celery) -> None:
    with celery.client("operator") as client:
        assert [entry["object"] for entry in client.acl_log()] == []
        assert [key for key in client.scan_iter() if not key.startswith(f"{PREFIX}:".encode())] == []
