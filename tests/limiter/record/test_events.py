"""Refusals on their way from the store into the database: each exactly once, whatever dies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import Sum

from limiter.core import keys
from limiter.models import AuditEntry, DeadLetter, RecordGap, ThrottleEvent
from limiter.record import events, keeping
from limiter.record.drain import MAX_DELIVERIES, MAX_OF_NEWER, drain
from limiter.record.scripts import Client
from limiter.record.streams import GROUP, EventStream, StreamEntry
from tests.limiter.core.given import T0, S, counter, log
from tests.limiter.record.given import GOLD, refuse

pytestmark = pytest.mark.django_db
START = datetime.fromtimestamp(T0 // S, UTC)


class Killed(Exception):
    """Stands for SIGKILL."""


class DiesBeforeSettling(EventStream):
    """Its drainer is killed between the commit and the acknowledgement."""

    def settle(self, entries: Sequence[StreamEntry]) -> int:
        raise Killed


def stream(client: Client) -> EventStream:
    return events.of(client, 1)


def decisions() -> list[str]:
    return sorted(ThrottleEvent.objects.values_list("decision_id", flat=True))


def waiting(client: Client) -> Any:
    return client.xlen(keys.events(1))


def test_a_refusal_becomes_a_row_that_says_why(client: Client, redis_url: str) -> None:
    limits = [log(1, window_us=60 * S, **GOLD), counter(9, policy_name="Plan", policy_version=2, adaptive=False)]
    refuse(redis_url, 1, limits=limits)
    assert keeping.store_all(client) == 1
    row = ThrottleEvent.objects.get()
    assert (row.tenant_id, row.action_id, row.key_prefix, row.request_id) == ("acme", "lookupOrder", "k1", "r0")
    assert (row.decision_id, row.at, row.count, row.first_at) == ("d0", START, 1, None)
    assert (row.policy_name, row.policy_version, row.limit_name) == ("Gold", 7, "minute")
    assert (row.used, row.quota, row.effective_limit, row.multiplier, row.cost) == (1, 1, 1, 1.0, 1)
    assert (row.retry_after_ms, row.shadow) == (59_000.0, False)
    minute, hour = row.limits
    assert (minute["algorithm"], minute["window_us"], minute["wait_us"]) == ("sliding_log", 60 * S, 59 * S)
    assert (hour["name"], hour["used"], hour["effective"], hour["adaptive"]) == ("hour", 1, 9, False)
    assert waiting(client) == 0


def test_a_shadow_refusal_names_the_shadow_limit(client: Client, redis_url: str) -> None:
    refuse(redis_url, 1, limits=[log(5, **GOLD), log(1, name="trial", window_us=60 * S, shadow=True)])
    keeping.store_all(client)
    row = ThrottleEvent.objects.get()
    assert (row.shadow, row.limit_name, row.used) == (True, "trial", 1)


def test_a_cut_tells_the_p95_it_was_computed_from(client: Client, redis_url: str) -> None:
    client.hset(keys.evidence(1), "acme|", f"500000|1000000|1410000|100|800000|0|{T0}|{T0 + 60 * S}")
    client.set(keys.multiplier(1, "acme", None), 500_000)
    refuse(redis_url, 1, limits=[log(2, window_us=60 * S)])
    keeping.store_all(client)
    row = ThrottleEvent.objects.get()
    assert (row.multiplier, row.quota, row.effective_limit) == (0.5, 2, 1)
    assert (row.p95_ms, row.p95_samples, row.threshold_ms) == (1410.0, 100, 800.0)


def test_too_few_calls_for_a_p95_have_none(client: Client, redis_url: str) -> None:
    client.hset(keys.evidence(1), "acme|", f"1000000|1000000|0|2|800000|0|{T0}|{T0 + 60 * S}")
    refuse(redis_url, 1, limits=[log(1, window_us=60 * S)])
    keeping.store_all(client)
    row = ThrottleEvent.objects.get()
    assert (row.p95_ms, row.p95_samples, row.threshold_ms) == (None, 2, 800.0)


def test_of_a_flood_one_row_stands_for_all_that_have_none_of_their_own(client: Client, redis_url: str) -> None:
    refuse(redis_url, 500, per_second=500)
    keeping.store_all(client)
    assert ThrottleEvent.objects.count() == 11
    row = ThrottleEvent.objects.get(count__gt=1)
    assert (row.count, row.decision_id, row.first_at) == (490, "d499", START)
    assert row.at == START + timedelta(microseconds=499)
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count")) == {"refusals": 500}


def test_a_drainer_killed_between_commit_and_acknowledgement_stores_nothing_twice(
    client: Client, redis_url: str
) -> None:
    refuse(redis_url, 30)
    with pytest.raises(Killed):
        drain(DiesBeforeSettling(client, keys.events(1), connection=1), events.write)
    assert ThrottleEvent.objects.count() == 30 and waiting(client) == 30
    assert drain(stream(client), events.write, idle_ms=0) == 0
    assert ThrottleEvent.objects.count() == 30 and waiting(client) == 0
    assert AuditEntry.objects.filter(kind="events").count() == 1


def test_entries_of_a_dead_drainer_are_taken_over(client: Client, redis_url: str) -> None:
    refuse(redis_url, 7)
    dead = stream(client)
    dead.attend()
    assert len(dead.read(5)) == 5
    assert drain(stream(client), events.write, idle_ms=60_000) == 2
    assert drain(stream(client), events.write, idle_ms=0) == 5
    assert decisions() == [f"d{number}" for number in range(7)]


def test_while_the_database_is_unavailable_nothing_is_lost_or_given_up(client: Client, redis_url: str) -> None:
    refuse(redis_url, 20)

    def away(stream: EventStream, entries: Sequence[StreamEntry]) -> int:
        raise OperationalError("the database is unavailable")

    for _ in range(MAX_DELIVERIES + 2):
        with pytest.raises(OperationalError):
            drain(stream(client), away, idle_ms=0)
    assert waiting(client) == 20
    assert drain(stream(client), events.write, idle_ms=0) == 20
    assert not DeadLetter.objects.exists()


def test_an_entry_of_a_newer_release_is_tried_far_longer(client: Client, redis_url: str) -> None:
    refuse(redis_url, 1)
    client.xadd(keys.events(1), {"event": "=2=soon"})
    for _ in range(2):
        drain(stream(client), events.write, idle_ms=0)
    assert (decisions(), waiting(client), DeadLetter.objects.get().deliveries) == (["d0"], 0, MAX_OF_NEWER)


def test_a_flood_of_a_newer_release_waits_as_its_other_refusals_do(client: Client, redis_url: str) -> None:
    refuse(redis_url, 15, per_second=15)
    floods: Any = client.hgetall(keys.floods(1))
    ((kind, text),) = ((kind, text) for kind, text in floods.items() if kind.endswith(b"|last"))
    client.hset(keys.floods(1), kind, b"=2=" + text)
    assert (events.store_floods(client, 1), DeadLetter.objects.count()) == (0, 0)
    drain(stream(client), events.write)
    assert (len(decisions()), waiting(client), DeadLetter.objects.count()) == (10, 1, 0)
    left: Any = client.xrange(keys.events(1))
    ((id_, fields),) = left
    understood = {"event": text.decode(), "flood": fields[b"flood"].decode()}
    again = StreamEntry("2-0", "c1/2-0", understood)  # a drainer died when it had put the refusal into the stream
    assert events.write(stream(client), [StreamEntry(id_.decode(), "c1/1-0", understood), again]) == 1
    assert ThrottleEvent.objects.get(stream_id=understood["flood"]).count == 5


def test_a_poison_entry_holds_nobody_up_and_ends_as_a_dead_letter(client: Client, redis_url: str) -> None:
    refuse(redis_url, 3)
    client.xadd(keys.events(1), {"event": "soon", b"raw": b"\xff\x00"})
    refuse(redis_url, 3, name="later", after_s=1)
    assert drain(stream(client), events.write) == 6
    assert waiting(client) == 1 and not DeadLetter.objects.exists()
    for _ in range(MAX_DELIVERIES - 1):
        drain(stream(client), events.write, idle_ms=0)
    letter = DeadLetter.objects.get()
    assert (letter.stream, letter.fields, letter.deliveries) == (
        keys.events(1),
        {"event": "soon", "raw": "\\xff\\0"},
        MAX_DELIVERIES,
    )
    assert waiting(client) == 0


def test_a_stream_that_was_trimmed_leaves_a_gap_in_the_record(client: Client, redis_url: str) -> None:
    refuse(redis_url, 10)
    drain(stream(client), events.write)
    refuse(redis_url, 30, name="late", after_s=1)
    client.xtrim(keys.events(1), maxlen=18, approximate=False)
    assert drain(stream(client), events.write) == 18
    gap = RecordGap.objects.get()
    assert (gap.stream, gap.lost, gap.total) == (keys.events(1), 12, 12)
    assert gap.after is not None and gap.before is not None and gap.after <= gap.before
    drain(stream(client), events.write)
    assert RecordGap.objects.count() == 1
    assert AuditEntry.objects.get(kind="gap").payload["lost"] == 12


def test_entries_trimmed_from_under_a_dead_drainer_are_a_gap_too(client: Client, redis_url: str) -> None:
    refuse(redis_url, 10)
    dead = stream(client)
    dead.attend()
    dead.read(4)
    client.xtrim(keys.events(1), maxlen=8, approximate=False)
    assert drain(stream(client), events.write, idle_ms=0) == 8
    drain(stream(client), events.write, idle_ms=0)
    assert RecordGap.objects.get().lost == 2


def test_an_emptied_store_starts_a_new_count_and_no_gap(client: Client, redis_url: str) -> None:
    for second in range(2):
        refuse(redis_url, 5, after_s=second)
        drain(stream(client), events.write)
        client.delete(keys.events(1))
    client.delete(keys.settled(keys.events(1)))
    refuse(redis_url, 5, after_s=2)
    drain(stream(client), events.write)
    client.delete(keys.settled(keys.events(1)))
    drain(stream(client), events.write)
    assert ThrottleEvent.objects.count() == 15 and not RecordGap.objects.exists()


def test_a_flood_that_was_set_aside_and_stored_is_not_stored_again(client: Client, redis_url: str) -> None:
    refuse(redis_url, 40, per_second=40)
    aside = keys.taken(keys.floods(1))
    client.rename(keys.floods(1), aside)
    client.hset(aside, "#batch", "b1")
    copy: Any = client.dump(aside)
    assert events.store_floods(client, 1) == 1
    client.restore(aside, 0, copy)  # as if the drainer had died before it forgot the batch
    assert events.store_floods(client, 1) == 0
    assert ThrottleEvent.objects.get().count == 30
    assert client.exists(aside) == 0


def test_a_group_that_exists_is_used_as_it_is(client: Client, redis_url: str) -> None:
    refuse(redis_url, 2)
    client.xgroup_create(keys.events(1), GROUP, id="0")
    assert drain(stream(client), events.write) == 2


def test_a_flood_that_cannot_be_stored_holds_no_other_up(client: Client, redis_url: str) -> None:
    refuse(redis_url, 15, per_second=15)
    client.hset(keys.floods(1), mapping={"odd": 99, "odd|last": b"\xff{"})
    assert events.store_floods(client, 1) == 1
    assert ThrottleEvent.objects.get().count == 5
    assert DeadLetter.objects.get().stream == keys.floods(1)
    assert events.store_floods(client, 1) == 0
