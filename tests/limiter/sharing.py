"""Everything that today's processes share in the store, written by what writes it in production."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import redis.asyncio
from django.utils import timezone

from limiter import clients
from limiter.core import keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.refusal import Refusal, write
from limiter.core.store import DecidedAlone, EndedCall
from limiter.core.types import CountedPer, Subject
from limiter.core.window import Call, Stack, bind
from limiter.live.loader import Loader
from limiter.live.shared_cache import SecondLevel, Touched
from limiter.models import Override, QuotaLimit, QuotaPolicy
from limiter.record import runs
from limiter.upstream import health
from limiter.upstream.call import UpstreamCall, UpstreamResponse
from limiter.upstream.dedupe import Claim, Dedupe
from limiter.upstream.discovery import Endpoints
from limiter.upstream.errors import OutcomeUnknown
from limiter.upstream.health import ConnectionFault
from limiter.upstream.vault import Vault
from tenants.directory import ConnectionSpec
from tenants.models import ApiKey, Tenant
from tests.limiter import patient
from tests.limiter.core.given import T0, S, bucket, counter, log, slots, store_at
from tests.limiter.upstream.conftest import call_to, connection_to

GOLD: dict[str, Any] = {"policy_name": "Gold; 100 % | é", "policy_version": 7}
HOUR = 3600 * S
LIMITS = (
    log(3, window_us=HOUR, **GOLD),
    counter(900, window_us=HOUR, **GOLD),
    bucket(60, burst=9, window_us=60 * S, counted_per=CountedPer.TENANT, adaptive=False, **GOLD),
    slots(5, lease_us=HOUR, **GOLD),
    log(2, name="trial", window_us=HOUR, shadow=True, **GOLD),
)
STACK: Stack = bind(
    LIMITS, subject=Subject(connection=1, tenant="acme", action="lookupOrder", key="k1"), default_ppm=1_000_000
)
CONNECTION = connection_to("http://127.0.0.1:8801", dedupe_ttl_s=120)
ENDPOINTS = Endpoints("https://cxone.example.com/token", 1.5, "https://api.example.com", 2.5)
FAULT = ConnectionFault("The credentials were refused.", 1.5, 2.5, 3, True, "f1")
ANSWER = UpstreamResponse(201, [("Content-Type", "application/json")], 1500, body=b'{"contactId": 1}\x00\xff')
OUTCOMES: dict[str, UpstreamResponse | OutcomeUnknown] = {
    "answered": ANSWER,
    "long": UpstreamResponse(200, [], 1, body=b"x" * 70_000),
    "unknown": OutcomeUnknown("x"),
}


def keyed(key: str) -> UpstreamCall:
    return call_to(CONNECTION)._replace(idempotency_key=key)


def decide(url: str) -> None:
    """Calls of which most are refused, what came of them, and what a worker decided alone."""
    data = Refusal(T0 + 9 * S, 0, False, 1_000_000, 1, "acme", "alone", "alone0", "k1", "r|0", (), "")
    described = "minute|Base|3|sliding_log|action|100|60000000|0|0|1"
    states = (25, 25, S, S)
    folded = data._replace(at_us=data.at_us + 5, folded=7, decision_id="alone8", states=states, limits=described)
    counts = {f"{T0 // 60_000_000}|acme|alone|refused": 8}

    async def calls() -> None:
        store = store_at(url)
        await store.open()
        for number in range(18):
            await store.decide(STACK, Call(f"d{number}", context=f"k1|r|{number}", now_us=T0 + number))
        ends = [EndedCall("d0", "answered", 12_345), EndedCall("d1", "upstream_busy", 9_000_000, pushback=True)]
        await store.record(STACK, ends, settings=AdaptiveSettings(min_samples=2), now_us=T0 + 100)
        part = DecidedAlone("0" * 24, (write(data), write(folded)), counts, 3, T0, T0 + 9 * S)
        await store.take_over(1, part)
        await store.close()

    asyncio.run(calls())


def tasks() -> None:
    client = clients.client()
    client.sadd(keys.connections(), 1)
    runs.run_alone(client, "store_events", lambda: 7, at_most_s=30)
    client.close()


def entries(acme: Tenant, policy: QuotaPolicy) -> None:
    """A tenant with an override, its key, a platform key and the policy, in the cache."""
    ends_at = timezone.now() + timedelta(days=1)
    Override.objects.create(tenant=acme, effect="factor", factor=1.5, ends_at=ends_at, reason="campaign")
    QuotaLimit.objects.create(
        policy=policy,
        name="burst",
        algorithm="token_bucket",
        quota=60,
        burst=9,
        window_seconds=60,
        counted_per="tenant",
    )
    ApiKey.objects.issue(name="platform", tenant=None)[0].acts_for.add(acme)
    loader = Loader(second=SecondLevel(), touched=Touched())
    loader.tenants(["acme"])
    loader.keys(list(ApiKey.objects.values_list("prefix", flat=True)))
    loader.policies([policy.pk])
    loader.default()


def upstream(connection: ConnectionSpec, *, mark: str) -> None:
    """A token with its endpoints, a fault, and the responses to repeated calls."""

    async def share() -> None:
        client: redis.asyncio.Redis = patient.side()
        await Vault(client).put(connection, mark=mark, value="token-1", lifetime_s=3600.0, endpoints=ENDPOINTS)
        await health.record(client, connection.uid, FAULT)
        dedupe = Dedupe(client)
        for key, outcome in OUTCOMES.items():
            claim = await dedupe.recall(keyed(key))
            assert isinstance(claim, Claim)
            await dedupe.remember(claim, outcome)
        await dedupe.recall(keyed("pending"))
        await client.aclose()

    asyncio.run(share())
