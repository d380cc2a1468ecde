"""Two releases side by side: this one reads what the first one's processes left in the store, and the first one's
rules read what this one's write.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import redis
from celery import current_app
from django.core.cache import cache
from django.db import OperationalError, connection
from django.db.models import Sum
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard import news
from limiter import clients
from limiter.alerts.tasks import post_alert
from limiter.core import keys, versioned
from limiter.core.types import Decision
from limiter.core.window import Call
from limiter.live.loader import Loader
from limiter.live.shared_cache import SecondLevel, Touched
from limiter.models import (
    AlertDelivery,
    DeadLetter,
    MultiplierChange,
    QuotaPolicy,
    RecordGap,
    ThrottleEvent,
    UsageMinute,
)
from limiter.record import keeping, runs
from limiter.record.scripts import Client
from limiter.record.tasks import note_overrides
from limiter.upstream.dedupe import REPLAYED, Dedupe, NotRepeated
from limiter.upstream.vault import Shelf, Vault
from quota_platform.base import secrets
from tenants.models import ApiKey, Tenant
from tests import releases
from tests.limiter import patient, sharing
from tests.limiter.core.given import T0, store_at
from tests.limiter.sharing import ANSWER, CONNECTION, STACK, keyed
from tests.releases import first, newer

T = TypeVar("T")
pytestmark = pytest.mark.django_db
SHARED = releases.sample(releases.FIRST, "shared")


@pytest.fixture(params=["as it was written", "with a field more everywhere"])
def shared(request: pytest.FixtureRequest, redis_url: str, settings: Settings) -> dict[str, Any]:
    """What the first release's processes left in the store."""
    settings.SECRETS_KEYS = [SHARED["secrets_key"]]
    data = SHARED if request.param == "as it was written" else newer.with_more(SHARED)
    releases.put_into_store(data, redis_url)
    return data


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    made = clients.client()
    yield made
    made.close()


# This release's readers.


def test_refusals_become_rows_and_usage_is_added(shared: dict[str, Any], client: Client) -> None:
    keeping.store_all(client)
    keeping.store_all_usage(client)
    assert not DeadLetter.objects.exists()
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count"))["refusals"] == 1 + 15 + 1 + 7
    row = ThrottleEvent.objects.get(decision_id="d3")
    assert (row.policy_name, row.policy_version, row.limit_name) == ("Gold; 100 % | é", 7, "minute")
    assert [limit["algorithm"] for limit in row.limits] == [limit.algorithm for limit in sharing.LIMITS]
    assert ThrottleEvent.objects.get(decision_id="alone8").alone
    assert RecordGap.objects.get().lost == 3
    change = MultiplierChange.objects.get(after=0.2)
    assert (change.before, change.samples, change.pushed_back) == (1.0, 2, 0.5)
    usage = UsageMinute.objects.aggregate(allowed=Sum("allowed"), refused=Sum("refused"))
    assert usage == {"allowed": 4, "refused": 23}


def test_counts_go_on_where_they_were(shared: dict[str, Any], redis_url: str) -> None:
    async def decide() -> tuple[Decision, Any]:
        store = store_at(redis_url)
        await store.open()
        decided = await store.decide(STACK, Call("d99", now_us=T0 + 18)), await store.evidence(STACK)
        await store.close()
        return decided

    decision, evidence = asyncio.run(decide())
    assert (decision.allowed, decision.multiplier_ppm) == (False, 200_000)
    assert {state.limit.name: state.used for state in decision.states} == {
        "minute": 4,
        "hour": 3,
        "burst": 3,
        "inflight": 1,
        "trial": 2,
    }
    assert (evidence.p95_us, evidence.samples, evidence.pushback_ppm) == (8_550_617, 2, 500_000)


def test_cached_keys_and_policies_spare_the_database(
    shared: dict[str, Any], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    loader, policy_id = Loader(second=SecondLevel(), touched=Touched()), shared["rows"]["policy"]
    with django_assert_num_queries(0):
        found_keys = [each.value for each in loader.keys(shared["rows"]["keys"]).values()]
        policy = loader.policies([policy_id])[policy_id].value
        assert loader.default().value == policy_id
    assert policy is not None
    assert [key and key.tenant_id for key in found_keys] == [None, "acme"]
    assert [limit.name for limit in policy.limits] == ["minute", "burst"]


def test_cached_tenants_serve_while_the_database_is_unavailable(shared: dict[str, Any]) -> None:
    loader = Loader(second=SecondLevel(), touched=Touched())
    found = without_database(lambda: loader.tenants(["acme", "globex"]))
    rules, stranger = (found[name].value for name in ("acme", "globex"))
    assert rules is not None and stranger is not None
    assert (rules.tenant.connection.client_id, list(rules.tenant.actions)) == ("demo-client", ["lookupOrder"])
    assert (rules.overrides[0].factor, list(stranger.tenant.actions)) == (1.5, ["createCase"])


def without_database(call: Callable[[], T]) -> T:
    """The outcome in a thread whose connection executes nothing."""

    def refuse(*_: object) -> None:
        raise OperationalError("the database is unavailable")

    def job() -> T:
        with connection.execute_wrapper(refuse):
            return call()

    with ThreadPoolExecutor(1) as other:
        return other.submit(job).result()


def lacking(url: str, name: str, *path: str) -> None:
    """Take a field out of a cached entry, as if a release that does not know it had written the entry."""
    with redis.Redis.from_url(url) as store:
        data: Any = json.loads(store.get(f"cache:1:snapshot:2:{name}") or "")
        inner = data["data"]
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        store.set(f"cache:1:snapshot:2:{name}", json.dumps(data))


@pytest.mark.parametrize(("field", "value"), [("dedupe_ttl_s", 7), ("shared", True), ("pace", "learn")])
def test_a_cached_entry_that_lacks_a_field_gives_way_to_the_database(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, field: str, value: Any
) -> None:
    """Somebody may have set it since, though the release that wrote the entry does not know it."""
    sharing.entries(acme, base_policy)
    setattr(acme.connection, field, value)
    acme.connection.save()
    lacking(redis_url, "tenant:acme", "tenant", "connection", field)
    fetched = Loader(second=SecondLevel(), touched=Touched()).tenants(["acme"])["acme"]
    assert fetched.value is not None and getattr(fetched.value.tenant.connection, field) == value


@pytest.mark.parametrize("value", [7, "x", [], {}, {"seq": "x"}, {"seq": 1, "data": 7}, {"seq": 1, "data": {}, "v": 9}])
def test_a_cached_entry_that_makes_no_sense_gives_way_to_the_database(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, value: Any
) -> None:
    cache.set("snapshot:2:tenant:acme", value)
    cache.set(f"snapshot:2:policy:{base_policy.pk}", value)
    loader = Loader(second=SecondLevel(), touched=Touched())
    assert loader.tenants(["acme"])["acme"].value is not None
    assert loader.policies([base_policy.pk])[base_policy.pk].value is not None


def test_tokens_endpoints_and_faults_are_shared(shared: dict[str, Any]) -> None:
    connection = replace(CONNECTION, uid=shared["connection_uid"])

    async def read() -> Shelf:
        side = patient.side()
        shelf = await Vault(side).read(connection, mark=shared["mark"])
        await side.aclose()
        return shelf

    shelf = asyncio.run(read())
    assert shelf.token is not None and shelf.fault is not None
    assert (shelf.token.value, shelf.token.api_base) == ("token-of-the-first-release", "https://api.example.com")
    assert (shelf.endpoints.token_url, shelf.endpoints.api_at) == ("https://cxone.example.com/token", 2.5)
    assert (shelf.fault.reason, shelf.fault.failures, shelf.fault.lasting) == ("The credentials were refused.", 3, True)


def recalled(*names: str) -> list[Any]:
    async def recall() -> list[Any]:
        side = patient.side()
        found = [await Dedupe(side).recall(keyed(name)) for name in names]
        await side.aclose()
        return found

    return asyncio.run(recall())


def test_a_call_that_had_a_response_is_not_made_again(shared: dict[str, Any]) -> None:
    answered, unknown, long = recalled("answered", "unknown", "long")
    assert (answered.status, answered.body, answered.headers[-1]) == (201, ANSWER.body, REPLAYED)
    assert (unknown.kind, unknown.status) == ("upstream-outcome-unknown", 502)
    assert long.kind == "idempotency-too-long"


@pytest.mark.parametrize(
    "sealed", ["{}", '{"v": 2}', "7", '{"status": 200, "headers": 7, "latency_us": 1, "ok": true}']
)
def test_a_call_whose_kept_response_is_unreadable_is_not_made_again(redis_url: str, sealed: str) -> None:
    (claim,) = recalled("mine")
    with redis.Redis.from_url(redis_url) as store:
        store.set(claim.key, f"a{claim.value[1:33]}" + secrets.seal(sealed, purpose=claim.key))
        (held,) = recalled("mine")
        assert isinstance(held, NotRepeated) and held.status == 409
        store.set(claim.key, f"z{claim.value[1:33]}new")
        assert recalled("mine") == [held]


def test_news_of_another_release_are_understood(shared: dict[str, Any]) -> None:
    assert news.FORM.take(shared["news"]) == 7
    assert news.FORM.take({**shared["news"], "v": 2, "person": "everyone"}) == news.EVERYONE


def required(task: Any) -> list[int]:
    parameters = inspect.signature(task.run).parameters.values()
    return [0 for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]


def test_tasks_use_the_arguments_that_they_recognize() -> None:
    current_app.loader.import_default_modules()
    ours: list[Any] = [task for name, task in current_app.tasks.items() if name.startswith("limiter.tasks.")]
    assert len(ours) >= 15
    for task in ours:
        args = SHARED["tasks"].get(task.name) or required(task)  # no earlier release sends one that is new
        task.__header__(*args, zone="another")  # what Celery checks a call's arguments against


def test_a_message_with_more_in_it_does_its_work(shared: dict[str, Any]) -> None:
    assert post_alert.apply(args=(AlertDelivery.objects.count() + 1,), kwargs={"zone": "b"}).get() is None
    assert note_overrides.apply(kwargs={"zone": "b"}).get() == 0


# The first release's rules.


def test_the_first_release_reads_what_today_s_processes_write(
    redis_url: str, client: Client, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    sharing.decide(redis_url)
    sharing.tasks()
    sharing.entries(acme, base_policy)
    sharing.upstream(CONNECTION, mark="f1")
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        read_streams(store)
        read_numbers(store)
        read_json(store)
    assert first.news(news.FORM.named({"type": "rights.changed", "person": 7})) == 7


def read_streams(store: Any) -> None:
    events = [fields for _, fields in store.xrange(keys.events(1))]
    texts = [fields["event"] for fields in events if "event" in fields]
    texts += [text for kind, text in store.hgetall(keys.floods(1)).items() if kind.endswith("|last")]
    refusals = [first.refusal(text) for text in texts]
    assert {data[2][2] for data in refusals} >= {"d3", "d17", "alone0", "alone8"}
    assert [first.lost(fields)[0] for fields in events if "lost" in fields] == [3]
    assert [first.change(fields)[3] for _, fields in store.xrange(keys.multiplier_changes(1))] == [1_000_000]


def read_numbers(store: Any) -> None:
    assert first.evidence(store.hget(keys.evidence(1), "acme|"))[0] == 200_000
    assert len([first.sample(text) for text in store.lrange(keys.samples(1, "acme", None), 0, -1)]) == 2
    counted = [first.count(field, value) for field, value in store.hgetall(keys.usage(1)).items()]
    assert ("acme", "lookupOrder", "refused", 15) in {data[1:] for data in counted}


def read_json(store: Any) -> None:
    assert first.run(store.hget(keys.tasks(), "store_events"))["done"] == 7
    assert first.fault(store.get(keys.health(CONNECTION.uid)))["failures"] == 3
    assert first.endpoints(store.get(keys.endpoints(CONNECTION.uid)))["api_base"] == "https://api.example.com"
    sealed = store.get(keys.token(CONNECTION.uid)).partition(".")[2]
    assert first.token(secrets.unseal(sealed, purpose=f"token:{CONNECTION.uid}"))[:2] == ("f1", "token-1")
    responses = {name: store.get(name) for name in store.keys(f"{keys.tag(CONNECTION.id)}:answer:*")}
    assert sorted(value[0] for value in responses.values()) == ["a", "l", "p", "u"]
    (plain,) = (secrets.unseal(value[33:], purpose=name) for name, value in responses.items() if value[0] == "a")
    assert first.remembered(plain)[0] == 201
    for name in ("tenant:acme", "default:0"):
        key = f"cache:1:snapshot:2:{name}"
        written, was = (first.cached(json.loads(text))[1] for text in (store.get(key), SHARED["store"][key]["value"]))
        # An entry with a field more it leaves out, and reads the row; one with a field less would serve with a default.
        assert fields(was) <= fields(written)


def test_the_first_release_reads_the_row_of_a_platform_key_and_not_that_it_acts_for_nobody(
    redis_url: str, acme: Tenant
) -> None:
    tenants_own, _ = ApiKey.objects.issue(name="own", tenant=acme)
    platform, _ = ApiKey.objects.issue(name="platform")
    platform.acts_for.add(acme)
    Loader(second=SecondLevel(), touched=Touched()).keys([tenants_own.prefix, platform.prefix])
    with redis.Redis.from_url(redis_url) as store:
        own, shared = (
            first.cached(json.loads(store.get(f"cache:1:snapshot:2:key:{row.prefix}") or ""))[1]
            for row in (tenants_own, platform)
        )
    assert first.key(own) == ("acme", frozenset())
    with pytest.raises(KeyError):
        first.key(shared)


def test_the_first_release_reads_the_row_of_a_key_with_a_class(redis_url: str, acme: Tenant) -> None:
    bulk, _ = ApiKey.objects.issue(name="bulk", tenant=acme, max_class="bulk")
    loader = Loader(second=SecondLevel(), touched=Touched())
    read, cached = (loader.keys([bulk.prefix])[bulk.prefix].value for _ in range(2))
    assert read is not None and read == cached and read.max_class == "bulk"
    with redis.Redis.from_url(redis_url) as store:
        entry = first.cached(json.loads(store.get(f"cache:1:snapshot:2:key:{bulk.prefix}") or ""))[1]
    with pytest.raises(TypeError):
        first.key(entry)


def fields(value: Any, path: str = "") -> set[str]:
    """The names of all fields, with where they stand."""
    if isinstance(value, list):
        return {each for some in value for each in fields(some, path)}
    if not isinstance(value, dict):
        return {path}
    return {each for name, inner in value.items() for each in fields(inner, f"{path}.{name}")}


@pytest.mark.parametrize("release", releases.ALL)
def test_nothing_that_a_release_left_in_the_store_is_unreadable(
    release: str, client: Client, redis_url: str, settings: Settings
) -> None:
    data = releases.sample(release, "shared")
    settings.SECRETS_KEYS = [data["secrets_key"]]
    releases.put_into_store(data, redis_url)
    before = versioned.unreadable.copy()
    keeping.store_all(client)
    keeping.store_all_usage(client)
    assert "store_events" in runs.last(client)
    cached = [
        name.removeprefix("cache:1:snapshot:2:") for name in data["store"] if name.startswith("cache:1:snapshot:2:")
    ]
    names = {kind: [name.split(":")[1] for name in cached if name.startswith(f"{kind}:")] for kind in ("tenant", "key")}
    loader = Loader(second=SecondLevel(), touched=Touched())
    loaded: list[Any] = [
        *without_database(lambda: loader.tenants(names["tenant"])).values(),
        *loader.keys(names["key"]).values(),
        loader.default(),
    ]
    assert all(each.value for each in loaded)
    assert recalled("answered")[0].status == 201
    assert (DeadLetter.objects.count(), versioned.unreadable) == (0, before)


def test_unreadable_values_are_counted(shared: dict[str, Any]) -> None:
    before = versioned.unreadable["run"]
    assert runs.read({b"x": b"{", b"y": b'{"at": 1, "ok": true}'}).keys() == {"y"}
    assert versioned.unreadable["run"] == before + 1
