"""The periodic tasks: safe when doubled or missed, and their state for all to see."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from redis.exceptions import ResponseError

from limiter.core import keys
from limiter.models import ThrottleEvent
from limiter.record import runs, state, tasks
from limiter.record.scripts import Client
from quota_platform.celery import app
from tests.limiter.core.given import T0, S
from tests.limiter.record.given import refuse

pytestmark = pytest.mark.django_db


def test_a_task_that_is_running_is_not_run_beside_itself(client: Client) -> None:
    def outer() -> int:
        assert runs.run_alone(client, "store_events", lambda: 1, at_most_s=5) is None
        return 7

    assert runs.run_alone(client, "store_events", outer, at_most_s=5) == 7
    assert runs.run_alone(client, "store_events", lambda: 1, at_most_s=5) == 1


def test_a_run_that_died_gives_way_in_the_end(client: Client) -> None:
    client.set(keys.running("store_events"), "a dead run", px=60_000)
    assert runs.run_alone(client, "store_events", lambda: 1, at_most_s=5) is None
    assert 0 < int(client.pttl(keys.running("store_events"))) <= 60_000
    client.delete(keys.running("store_events"))  # its time is over
    assert runs.run_alone(client, "store_events", lambda: 1, at_most_s=5) == 1


def test_a_run_that_outlived_its_time_does_not_release_its_successor(client: Client) -> None:
    def slow() -> int:
        client.set(keys.running("prune"), "the successor")
        return 1

    runs.run_alone(client, "prune", slow, at_most_s=5)
    assert client.get(keys.running("prune")) == b"the successor"


def test_the_result_of_a_run_is_reported_also_when_it_failed(client: Client) -> None:
    def fails() -> int:
        raise ValueError("a secret detail")

    runs.run_alone(client, "good", lambda: 3, at_most_s=5)
    with pytest.raises(ValueError):
        runs.run_alone(client, "bad", fails, at_most_s=5)
    last = runs.last(client)
    assert (last["good"].ok, last["good"].done, last["bad"].ok, last["bad"].error) == (True, 3, False, "ValueError")
    assert "secret" not in str(client.hvals(keys.tasks()))


def test_a_task_delivered_twice_stores_events_once(client: Client, redis_url: str) -> None:
    refuse(redis_url, 25)
    task: Any = tasks.store_events
    assert (task.apply().get(), task.apply().get()) == (25, 0)
    assert ThrottleEvent.objects.count() == 25


def test_a_connection_that_cannot_be_stored_delays_no_other_and_is_reported(client: Client, redis_url: str) -> None:
    client.set(keys.events(1), "not a stream")
    client.sadd(keys.connections(), 1)
    refuse(redis_url, 3, connection=2)
    task: Any = tasks.store_events
    outcome = task.apply()
    assert isinstance(outcome.result, ResponseError)
    assert ThrottleEvent.objects.count() == 3
    last = runs.last(client)["store_events"]
    assert (last.ok, last.error) == (False, "ResponseError")


def test_every_entry_of_the_schedule_is_a_task_that_exists_and_has_a_queue_of_its_own() -> None:
    app.loader.import_default_modules()
    tasks = [entry["task"] for entry in app.conf.beat_schedule.values()]
    assert tasks and set(tasks) <= set(current_app.tasks)
    queues = {app.conf.task_routes[task]["queue"] for task in tasks}
    assert len(queues) == len(tasks) and queues <= {queue.name for queue in app.conf.task_queues}
    patience: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    assert patience > settings.CELERY_TASK_TIME_LIMIT


def test_every_task_of_the_record_runs_on_an_empty_platform(client: Client) -> None:
    for task in (tasks.store_events, tasks.store_usage, tasks.note_overrides, tasks.anchor_record, tasks.prune):
        job: Any = task
        assert job.apply().get() is not None
    assert set(runs.last(client)) == {"store_events", "store_usage", "note_overrides", "anchor_record", "prune"}


def test_the_delay_of_the_record_is_reported(client: Client, redis_url: str) -> None:
    refuse(redis_url, 3)
    behind = state.behind(client)
    assert behind.waiting == 3 and not behind.late
    oldest: Any = [(b"%d-0" % (T0 // 1000), {})]
    assert state.lag_of(oldest, now=T0 / S + 45) == 45 > state.LATE_S
    assert state.lag_of([], now=0) == 0
