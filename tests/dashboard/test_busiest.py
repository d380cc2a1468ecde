"""The overview of very many tenants reads those that matter, and counts the calls of all."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from dashboard import topics
from dashboard.busiest import Busiest, pick
from dashboard.live import Live
from dashboard.topics import MAX_READ
from dashboard.viewers import Sight, sight
from limiter.core import keys
from limiter.core.store import Store
from limiter.demand.marks import Marked
from limiter.demand.points import Calls
from limiter.gateway.runtime import Runtime
from limiter.models import QuotaPolicy
from tenants.models import Tenant
from tests.dashboard.test_live import call, runtime
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import SECOND, called

__all__ = ["runtime"]
ALL = topics.overview([], every=True)
NOBODY: dict[str, int] = {}


def marked(
    *,
    refused: dict[str, int] = NOBODY,
    near: dict[str, int] = NOBODY,
    called: dict[str, int] = NOBODY,
    cut: dict[str, int] = NOBODY,
) -> Marked:
    return Marked(refused, near, called, cut)


async def in_use(store: Store, connection: int = 1) -> None:
    """As a worker's heartbeat reports it."""
    await store.command("SADD", keys.connections(), connection, key=keys.connections())


def many(tenant: Tenant, number: int = MAX_READ + 1) -> None:
    """So many tenants more, which nobody calls."""
    rows = (Tenant(tenant_id=f"t{n:04}", name=f"T {n}", connection=tenant.connection) for n in range(number))
    Tenant.objects.bulk_create(rows)


def test_those_that_refuse_come_first_then_those_near_a_limit_then_those_that_called() -> None:
    found = [
        marked(called={"a": SECOND, "b": SECOND}, refused={"late": SECOND - 300}),
        marked(near={"n": SECOND}, refused={"now": SECOND - 10}, cut={"slow": SECOND + 90}),
    ]
    assert pick(found, held=[], now=SECOND) == ["now", "n", "slow", "late", "a", "b"]


def test_a_tenant_that_is_read_stays_and_the_newest_of_the_others_join_it() -> None:
    calls = {f"t{n:04}": SECOND - n % 7 for n in range(10 * MAX_READ)}
    first = pick([marked(called=calls)], held=[], now=SECOND)
    assert len(first) == MAX_READ
    later = {name: SECOND + 5 - number % 3 for number, name in enumerate(calls)}
    assert set(pick([marked(called=later)], held=first, now=SECOND + 5)) == set(first)


async def test_what_a_look_reads_of_the_store_does_not_grow_with_the_tenants(redis_url: str) -> None:
    store, asked = store_at(redis_url), []
    command = store.command

    async def counted(*words: Any, key: str) -> Any:
        found = await command(*words, key=key)
        asked.append(len(found) if isinstance(found, list) else 1)
        return found

    store.command = counted  # type: ignore[method-assign]
    sizes = []
    for number in (3 * MAX_READ, 12 * MAX_READ):
        await called(store, *(f"t{n}" for n in range(number)), allowed=False).send()
        await in_use(store)
        looking = Busiest(store, clock=lambda: SECOND + 2.0)
        await looking.look(ALL)
        asked.clear()
        crowd = await looking.look(ALL)
        sizes.append(sum(asked))
        assert len(crowd.tenant_ids) == MAX_READ and crowd.refusing == number
    assert sizes[0] == sizes[1]
    await store.close()


async def test_the_calls_of_all_are_summed_and_minutes_that_are_over_are_not_read_again(redis_url: str) -> None:
    store = store_at(redis_url)
    await in_use(store)
    await called(store, "acme", "globex").send()
    await called(store, "hooli", allowed=False, second=SECOND + 1).send()
    now = [SECOND + 2.0]
    looking = Busiest(store, clock=lambda: now[0])
    crowd = await looking.look(ALL)
    assert crowd.calls == {SECOND: Calls(allowed=2), SECOND + 1: Calls(refused=1)}
    assert crowd.pace() == (2, 1)
    now[0] += 600
    await called(store, "acme", second=SECOND + 602).send()
    crowd = await looking.look(ALL)
    assert crowd.pace() == (1, 0)
    refused = crowd.refused()
    assert refused is not None and (refused.minute, refused.quarter) == (0, 1)
    await store.close()


async def test_who_does_not_see_every_tenant_sees_their_own_only(redis_url: str) -> None:
    store = store_at(redis_url)
    await in_use(store)
    await called(store, "acme", "globex", allowed=False).send()
    own = topics.overview([f"t{n}" for n in range(MAX_READ)] + ["globex"])
    crowd = await Busiest(store, clock=lambda: SECOND + 2.0).look(own)
    assert crowd.tenant_ids == {"globex"} and crowd.refusing == 1
    assert crowd.pace() is None, "the calls of others are not theirs to see"
    await store.close()


@pytest.mark.django_db(transaction=True)
async def test_an_overview_of_very_many_shows_a_call_its_sums_and_how_many_there_are(
    runtime: Runtime, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    await sync_to_async(many)(acme)
    live = Live(runtime, every_s=0)
    await call(runtime, "acme", "lookupOrder")
    await runtime.gateway.demand.send()
    await in_use(runtime.gateway.store, acme.connection_id)
    names = await live.choose([ALL])
    assert names == {"acme"}
    await live.read(names)
    frame = await live.frame(ALL)
    assert [row["id"] for row in frame["rows"]] == ["acme|lookupOrder|minute"]
    assert frame["figures"]["calls_per_min"]["value"] == 1
    assert frame["summary"]["of"] == {"code": "overview.some", "shown": 1, "tenants": MAX_READ + 3}
    assert len(await live.before(ALL)) == 120
    await live.close()


@pytest.mark.django_db
def test_a_sight_of_very_many_names_none_of_them_but_the_one_of_the_page(acme: Tenant, admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    session = Session.objects.get().pk
    assert sight(session) == Sight(admin_user.pk, frozenset(["acme"]))
    many(acme)
    assert sight(session) == Sight(admin_user.pk, frozenset(), every=True)
    assert sight(session, "acme") == Sight(admin_user.pk, frozenset(["acme"]))
    assert sight(session, "nobody") == Sight(admin_user.pk, frozenset())


@pytest.mark.django_db
def test_the_filter_of_refusals_lists_no_tenants_where_there_are_very_many(acme: Tenant, admin_client: Client) -> None:
    assert 'value="acme"' in admin_client.get("/dashboard/refusals/").content.decode()
    many(acme)
    page = admin_client.get("/dashboard/refusals/").content.decode()
    assert 'value="t0000"' not in page and '<input name="tenant"' in page
