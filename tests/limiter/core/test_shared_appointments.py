"""Appointments of a shared limit: promised within a tenant's share, kept whatever others do, and nobody's gain."""

from __future__ import annotations

import heapq
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
import redis

from limiter.core import keys
from limiter.core.deciding import script_of
from limiter.core.types import Decision, Limit, ServiceClass, Share, Subject
from limiter.core.window import Call, bind
from tests.limiter.core.contending import Contention, paced
from tests.limiter.core.given import T0, S, bucket, counter, log
from tests.limiter.core.returning import GRACE_US, Crowd, passed, shared_limit, total

LOG, COUNTER, BUCKET = map(shared_limit, (log(100), counter(100, window_us=10 * S), bucket(100, burst=100)))
CRITICAL = Share(service_class=ServiceClass.CRITICAL)
KINDS = pytest.mark.parametrize("limit", [LOG, COUNTER, BUCKET], ids=lambda limit: limit.algorithm)


def client_of(name: str, number: int = 0) -> str:
    """One of a tenant's clients: the first eight digits are its API key."""
    return f"{name.encode().hex():0>8}"[-8:] + f"{number:012x}"


def ask(
    contention: Contention, tenant: str, at_us: int, *, client: str = "", cost: int = 1, patience_us: int | None = 0
) -> Decision:
    """A call that comes for its client's unit, or gets one."""
    client = client or client_of(tenant)
    contention.calls += 1
    itself = f"{client[:8]}{contention.calls:012x}"
    call = Call(f"d{contention.calls}", cost, True, "", T0 + at_us, patience_us, False, client, itself)
    return contention.decide(tenant, call)


def come(contention: Contention, calls: Iterable[tuple[int, str]]) -> list[tuple[str, bool]]:
    """Let calls come at these times (us after T0), and wait in the gateway where it keeps them: who passed."""
    coming = [(at_us, number, tenant, "", 0) for number, (at_us, tenant) in enumerate(sorted(calls))]
    passed = []
    while coming:
        at_us, number, tenant, itself, at_last = heapq.heappop(coming)
        client, waited = client_of(tenant), bool(itself)
        itself = itself or f"{client[:8]}{number + 0xC000:012x}"
        patience_us = None if waited and at_us > at_last else 0
        call = Call(f"c{number}-{at_us}", 1, True, "", T0 + at_us, patience_us, waited, client, itself)
        decision = contention.decide(tenant, call)
        if decision.waits:
            wait = decision.retry_after_us or 0
            heapq.heappush(coming, (at_us + wait, number, tenant, itself, at_last or at_us + wait + GRACE_US))
        else:
            passed.append((tenant, decision.allowed))
    return passed


def fill(contention: Contention, *tenants: str, at_us: int = 0) -> None:
    """Until no call passes."""
    passing = True
    while passing:
        asked = list(contention.ask((at_us, tenant, 1) for tenant in tenants))
        passing = any(each.allowed for each in asked)


def entries(url: str, contention: Contention) -> int:
    """How many appointments are open."""
    with redis.Redis.from_url(url) as store:
        book = store.get(keys.appointments(contention.stack("any").windows[0])) or b"2"
    return len(re.findall(rb"\d\|\d+\|\d+\|\d+\|[a-z]+\0", book))


@KINDS
def test_a_refused_call_gets_a_time_at_which_its_share_has_room_and_passes_then(redis_url: str, limit: Limit) -> None:
    with Contention(redis_url, limit) as contention:
        fill(contention, "acme", "globex")
        fill(contention, "acme", "globex", at_us=S)  # its share is known in the next slice
        waits = [ask(contention, "acme", S + 1).retry_after_us or 0 for _ in range(60)]
        assert waits == sorted(waits)
        assert all(wait % S == 0 for wait in waits)
        assert sum(wait < waits[0] + 10 * S for wait in waits) <= 51  # its share of a window
        assert come(contention, [(S + 1 + wait, "acme") for wait in waits]) == 60 * [("acme", True)]


@KINDS
def test_a_flooder_gains_nothing_by_appointments(redis_url: str, limit: Limit) -> None:
    """The meek one has all its calls served, and comes back at most once for each."""
    with Contention(redis_url, limit) as contention:
        flows = paced("greedy", per_s=20, until_s=40), paced("meek", per_s=4, until_s=40)
        seen = list(Crowd(contention, random.Random(1)).serve(heapq.merge(*flows), until_us=45 * S))
    served = passed(seen)
    assert served["meek"] >= 158 and served["greedy"] >= 210
    assert max(each.used for each in seen) <= 100
    assert total(redis_url, "returned") == total(redis_url, "kept") >= 150


def test_a_tenant_with_many_keys_leaves_places_to_others(redis_url: str) -> None:
    with Contention(redis_url, replace(LOG, quota=600)) as contention:
        fill(contention, "acme", "globex")
        for number in range(600):
            ask(contention, "acme", S, client=f"{number % 10:08x}{0:012x}")
        assert 240 <= entries(redis_url, contention) <= 260
        wait = ask(contention, "globex", S).retry_after_us or 0
        assert wait <= 10 * S and ask(contention, "globex", S + wait).allowed


def test_who_comes_anew_waits_for_what_is_promised_and_then_has_its_share(redis_url: str) -> None:
    """At most for twenty seconds of promises, or a window if that is longer, and a window in which they count."""
    with Contention(redis_url, LOG) as contention:
        flows = paced("greedy", per_s=30, until_s=50), paced("owner", per_s=4, from_s=1, until_s=50)
        seen = list(Crowd(contention, random.Random(1)).serve(heapq.merge(*flows), until_us=50 * S))
    served = [each.come.at_us for each in seen if each.come.tenant == "owner" and each.decision.allowed]
    assert served[0] <= 31 * S
    assert sum(at >= 40 * S for at in served) >= 38


@KINDS
def test_a_promise_holds_when_the_terms_change_and_others_come(redis_url: str, limit: Limit) -> None:
    with Contention(redis_url, limit) as contention:
        fill(contention, "acme", "globex")
        calls = [(1 + (ask(contention, "acme", 1).retry_after_us or 0), "acme") for _ in range(20)]
        contention.give({"acme": Share(service_class=ServiceClass.BULK), "hooli": CRITICAL, "globex": Share(floor=80)})
        calls += [(at * S // 10, tenant) for at in range(1, 120) for tenant in ("hooli", "globex", "hooli")]
        allowed = come(contention, calls)
        assert [passes for tenant, passes in allowed if tenant == "acme"] == 20 * [True]


def test_nobody_passes_its_ceiling_by_appointments(redis_url: str) -> None:
    with Contention(redis_url, LOG, {"held": Share(ceiling=10)}) as contention:
        seen = list(Crowd(contention, random.Random(1)).serve(paced("held", per_s=3, until_s=40), until_us=60 * S))
    times = [each.come.at_us for each in seen if each.decision.allowed]
    assert max(sum(at - 10 * S < other <= at for other in times) for at in times) == 10
    assert total(redis_url, "returned") == total(redis_url, "kept") >= 30


def test_tenants_whose_shares_are_less_than_a_call_take_turns(redis_url: str) -> None:
    limit = shared_limit(bucket(2, burst=2, window_us=S))
    with Contention(redis_url, limit) as contention:
        fill(contention, "acme", "globex", "hooli")
        fill(contention, "acme", "globex", "hooli", at_us=S)
        refused = [(tenant, ask(contention, tenant, S + 1).retry_after_us or 0) for tenant in 4 * ["acme", "hooli"]]
        assert come(contention, [(S + 1 + wait, tenant) for tenant, wait in refused if wait]) == [
            (tenant, True) for tenant, _ in sorted(refused, key=lambda each: each[1])
        ]


def test_where_larger_shares_leave_less_than_a_call_no_time_is_promised(redis_url: str) -> None:
    limit = shared_limit(bucket(4, burst=4, window_us=S))
    with Contention(redis_url, limit, {"acme": Share(floor=3)}) as contention:
        for at_us in (0, S, 2 * S):
            fill(contention, "acme", "globex", "hooli", at_us=at_us)
        before = entries(redis_url, contention)
        assert ask(contention, "globex", 2 * S + 1).retry_after_us
        assert ask(contention, "hooli", 2 * S + 1).retry_after_us
        assert entries(redis_url, contention) == before


def test_a_call_that_waits_holds_a_unit_within_its_share(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        fill(contention, "acme", "globex")
        waits = ask(contention, "acme", 1, patience_us=15 * S)
        assert waits.held and waits.retry_after_us
        itself = f"{client_of('acme')[:8]}{contention.calls:012x}"
        at_us = T0 + 1 + waits.retry_after_us
        again = Call("again", 1, True, "", at_us, 5 * S, True, client_of("acme"), itself)
        assert contention.decide("acme", again).allowed


def test_a_look_names_the_next_time_and_holds_nothing(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        fill(contention, "acme", "globex")
        ask(contention, "acme", 1)
        looks = {contention.look("acme", 1).retry_after_us for _ in range(3)}
        assert len(looks) == 1 and entries(redis_url, contention) == 1


def test_a_due_unit_counts_as_used_until_its_grace_is_over(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        fill(contention, "acme", "globex")
        wait = ask(contention, "acme", 1).retry_after_us or 0
        assert contention.look("acme", 1 + wait + S).shares[0].used == 1
        assert contention.look("acme", 1 + wait + GRACE_US + 1).shares[0].used == 0


HERDS = pytest.mark.parametrize(
    "limit",
    [
        shared_limit(bucket(2, burst=2, window_us=S)),
        shared_limit(bucket(2, burst=10, window_us=S)),
        shared_limit(log(20)),
        shared_limit(counter(20, window_us=10 * S)),
        shared_limit(log(2, window_us=S)),
    ],
    ids=["bucket-2", "bucket-10", "log-20", "counter-20", "log-2"],
)


@HERDS
@pytest.mark.parametrize("sizes", [(30,), (15, 15), (25, 5), (10, 10, 10), (6, 6, 6, 6, 6)])
def test_herds_pass_at_their_first_return(redis_url: str, limit: Limit, sizes: tuple[int, ...]) -> None:
    """Thirty clients at two units a second, all at once: of one tenant or of several, who come in any order."""
    dice = random.Random(len(sizes))
    crowd = [f"t{number}" for number, clients in enumerate(sizes) for _ in range(clients)]
    calls = sorted((dice.randint(0, 9_000), tenant, 1) for tenant in crowd)
    with Contention(redis_url, limit) as contention:
        seen = list(Crowd(contention, dice).serve(calls, until_us=60 * S))
    assert passed(seen) == Counter(crowd)
    assert sum(not each.come.itself for each in seen) <= 62
    last = max(each.come.at_us for each in seen if each.decision.allowed)
    ideal = (30 - limit.burst) * S / 2 if limit.burst else (29 // limit.quota) * limit.window_us
    assert last <= 1.05 * ideal
    assert total(redis_url, "returned") == total(redis_url, "kept")


def test_units_that_were_held_while_the_limit_was_not_shared_stay_held(redis_url: str) -> None:
    """And those of a shared limit when it is shared no longer: an edit breaks no promise."""
    apart = bind([LOG], subject=Subject(1, "acme", "act", ""))
    with Contention(redis_url, LOG) as contention, redis.Redis.from_url(redis_url) as store:
        store.script_load(script_of(apart).source)
        shared = contention.stack("acme")
        fill(contention, "acme", "globex")
        waits = []
        for number, stack in enumerate((apart, shared, apart, shared)):
            call = Call(f"h{number}", 1, True, "", T0 + S, 0, False, client_of("acme", number), client_of("acme", 100))
            waits.append(contention.decide_by(stack, call).retry_after_us or 0)
        for number, stack in enumerate((shared, apart, apart, shared)):
            at_us = T0 + S + waits[number]
            call = Call(f"r{number}", 1, True, "", at_us, 0, False, client_of("acme", number), client_of("acme", 100))
            assert contention.decide_by(stack, call).allowed
        assert entries(redis_url, contention) == 0
    assert total(redis_url, "kept") == 4
