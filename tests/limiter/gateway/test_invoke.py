"""POST /invoke/<action_id>: every row of the error table, and what an admitted call looks like."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from limiter.core import keys
from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.upstream import errors
from quota_platform.base.lean.problem import method_not_allowed
from tenants.models import Action, ApiKey, Tenant
from tests.asgi import Caller
from tests.limiter.gateway.conftest import Gateway
from tests.patience import eventually
from tests.waits import passed_through

pytestmark = pytest.mark.django_db(transaction=True)


async def test_an_admitted_call_is_answered_as_the_upstream_answered(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.body, gateway.upstream.status = b'{"order": 7}', 201
    answered = await gateway.invoke("lookupOrder", key=acme_key, body=b'{"id": 7}')
    assert (answered.status, answered.body) == (201, b'{"order": 7}')
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["ratelimit-policy"] == '"minute";q=100;w=60'
    assert answered.headers["ratelimit"] == '"minute";r=99;t=60'
    assert answered.headers["x-upstream-latency-ms"] == "12.345"
    assert answered.headers["x-adaptive-multiplier"] == "1"
    assert gateway.upstream.calls[0].body == b'{"id": 7}'


@pytest.fixture
def nine_for_now(acme: Tenant, base_policy: QuotaPolicy) -> None:
    """An override that is in force, before anything is loaded."""
    times = {"starts_at": timezone.now() - timedelta(hours=1), "ends_at": timezone.now() + timedelta(hours=1)}
    Override.objects.create(tenant=acme, effect="quota", quota=9, reason="test", **times)


async def test_an_override_is_announced_as_it_is_in_force(gateway: Gateway, acme_key: str, nine_for_now: None) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key)
    assert answered.headers["ratelimit-policy"] == '"minute";q=9;w=60'
    assert answered.headers["ratelimit"] == '"minute";r=8;t=60'


async def test_exactly_the_limit_passes_and_the_next_call_is_refused_with_an_exact_wait(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    responses = await asyncio.gather(*[gateway.invoke("lookupOrder", key=acme_key) for _ in range(101)])
    statuses = sorted(response.status for response in responses)
    assert statuses == [200] * 100 + [429]
    refused = next(response for response in responses if response.status == 429)
    body = refused.json
    assert refused.headers["content-type"] == "application/problem+json"
    assert body["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert (body["error"], body["tenant_id"], body["action_id"]) == ("Rate limit exceeded", "acme", "lookupOrder")
    assert (body["violated-policies"], body["limit"], body["used"]) == (["minute"], 100, 100)
    assert 0 < body["retry_after_ms"] <= 60_000
    assert refused.headers["retry-after"] == str(max(1, -(-int(body["retry_after_ms"] * 1000) // 1_000_000)))
    assert refused.headers["ratelimit"].startswith('"minute";r=0;t=')
    assert len(gateway.upstream.calls) == 100


async def test_a_held_call_makes_no_query_and_no_thread_hop(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    queries: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the hot path hopped to a thread")

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with database.execute_wrapper(count):
        responses = [await gateway.invoke("lookupOrder", key=acme_key) for _ in range(3)]
    monkeypatch.undo()
    assert [response.status for response in responses] == [200] * 3
    assert queries == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic cWs6"},
        {"X-API-Key": "qk_aaaaaaaaaaaa_" + "A" * 43},
        {"X-API-Key": "qk_\x00"},
    ],
)
async def test_a_call_without_a_valid_key_is_401_and_says_nothing_about_keys(
    gateway: Gateway, acme_key: str, headers: dict[str, str]
) -> None:
    answered = await gateway.invoke("lookupOrder", headers=headers)
    assert answered.status == 401
    assert answered.json["detail"] == "Send a valid API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."
    assert answered.headers["www-authenticate"].startswith("Bearer")


async def test_a_revoked_an_expired_and_a_forged_key_get_the_same_401(gateway: Gateway, acme_key: str) -> None:
    forged = acme_key[:-1] + ("A" if acme_key[-1] != "A" else "B")
    unknown = await gateway.invoke("lookupOrder", key="qk_aaaaaaaaaaaa_" + "A" * 43)
    answered = await gateway.invoke("lookupOrder", key=forged)
    assert answered.status == unknown.status == 401
    assert answered.json["detail"] == unknown.json["detail"]


async def test_two_different_keys_in_one_call_are_none(gateway: Gateway, acme_key: str, globex_key: str) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key, headers={"X-API-Key": globex_key})
    assert answered.status == 401


async def test_a_key_may_name_its_own_tenant_and_no_other(
    gateway: Gateway, acme_key: str, globex: Tenant, base_policy: QuotaPolicy
) -> None:
    own = await gateway.invoke("lookupOrder", key=acme_key, headers={"X-Tenant-Id": "acme"})
    other = await gateway.invoke("createCase", key=acme_key, headers={"X-Tenant-Id": "globex"})
    assert (own.status, other.status) == (200, 403)
    assert len(gateway.upstream.calls) == 1


async def test_the_strangers_action_is_unknown_to_acme(gateway: Gateway, acme_key: str, globex_key: str) -> None:
    assert (await gateway.invoke("createCase", key=acme_key)).status == 404


async def test_an_action_that_is_not_registered_is_404_unless_the_tenant_accepts_it(
    gateway: Gateway, acme: Tenant, acme_key: str
) -> None:
    refused = await gateway.invoke("somethingNew", key=acme_key)
    assert (refused.status, refused.json["type"]) == (404, "urn:quota-platform:problem:action-unknown")


@pytest.fixture
def open_minded(acme: Tenant) -> Tenant:
    acme.accept_unlisted_actions = True
    acme.save()
    return acme


async def test_an_unlisted_action_passes_where_accepted_but_not_under_any_name(
    gateway: Gateway, open_minded: Tenant, acme_key: str
) -> None:
    assert (await gateway.invoke("somethingNew", key=acme_key)).status == 200
    assert (await gateway.invoke("bad:name", key=acme_key)).status == 404
    assert (await gateway.invoke("nul\x00", key=acme_key)).status == 404
    assert (await gateway.invoke("x" * 129, key=acme_key)).status == 404


@pytest.fixture
def suspended(acme: Tenant) -> Tenant:
    acme.status = Tenant.Status.SUSPENDED
    acme.save()
    return acme


async def test_a_suspended_tenant_is_403(gateway: Gateway, suspended: Tenant, acme_key: str) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key)
    assert (answered.status, answered.json["type"]) == (403, "urn:quota-platform:problem:tenant-suspended")


@pytest.fixture
def switched_off(acme: Tenant) -> Action:
    return Action.objects.create(tenant=acme, action_id="old", enabled=False)


async def test_an_action_that_is_switched_off_is_403(gateway: Gateway, switched_off: Action, acme_key: str) -> None:
    assert (await gateway.invoke("old", key=acme_key)).status == 403


@pytest.fixture
def platform_key(acme: Tenant, globex: Tenant) -> str:
    key, token = ApiKey.objects.issue(name="Platform")
    key.acts_for.add(acme)
    return token


async def test_a_platform_key_names_one_of_its_tenants(gateway: Gateway, platform_key: str) -> None:
    silent = await gateway.invoke("lookupOrder", key=platform_key)
    acme = await gateway.invoke("lookupOrder", key=platform_key, headers={"X-Tenant-Id": "acme"})
    globex = await gateway.invoke("createCase", key=platform_key, headers={"X-Tenant-Id": "globex"})
    nobody = await gateway.invoke("createCase", key=platform_key, headers={"X-Tenant-Id": "nobody"})
    assert [a.status for a in (silent, acme, globex, nobody)] == [400, 200, 403, 403]
    assert globex.json["detail"] == nobody.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b'{"a": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        '{"a":1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        rb'{"a": "\ud800"}',
        rb'{"\udfff": 1}',
    ],
    ids=["cut", "word", "nan", "utf8", "deep", "huge-number", "utf16", "mark", "half-pair", "half-pair-name"],
)
async def test_a_body_that_is_not_json_is_400_and_costs_nothing(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, body: bytes
) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key, body=body[:10_000])
    assert (answered.status, answered.json["type"]) == (400, "urn:quota-platform:problem:body-not-json")
    passed = await gateway.invoke("lookupOrder", key=acme_key)
    assert passed.headers["ratelimit"] == '"minute";r=99;t=60'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (rb'{"a": [{"b": "\ud800"}]}', "a[0].b: Half of a surrogate pair is no character; send whole ones."),
        (b'{"a": ' + b"9" * 5000 + b"}", "a: This number is too long; it may have at most 4,300 digits."),
        (b'{"a": {"b": Infinity}}', "a.b: Infinity is not a JSON number."),
        (b"\xef\xbb\xbf{}", "The text begins with a byte-order mark; send it without."),
        (b'{"a" 1}', "This is not JSON from line 1, column 6 on."),
    ],
)
async def test_the_fault_of_a_body_is_reported_with_its_place(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, body: bytes, says: str
) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key, body=body)
    assert answered.json["detail"] == f"The body is not JSON that can be sent on. {says}"


@pytest.mark.parametrize(
    "body", [rb'{"a": "\ud83d\ude00"}', rb'{"a": "\u0000"}', b'{"a": 1, "a": 2}', rb'{"a": "\\ud800"}', b"[1e999]"]
)
async def test_json_that_may_be_sent_on_is_sent_as_it_came(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, body: bytes
) -> None:
    assert (await gateway.invoke("lookupOrder", key=acme_key, body=body)).status == 200
    assert gateway.upstream.calls[0].body == body


@pytest.mark.parametrize("length", ["9" * 5000, "\u00b2", "-1"])
async def test_an_odd_length_is_never_a_fault_of_ours(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, length: str
) -> None:
    parts = [b"{", b"}"]
    answered = await gateway.invoke("lookupOrder", key=acme_key, body=parts, headers={"Content-Length": length})
    assert answered.status in (200, 413)


async def test_another_method_is_405_and_names_the_right_one(gateway: Gateway, acme_key: str) -> None:
    answered = await gateway.caller.call("GET", "/invoke/lookupOrder", headers=[("X-API-Key", acme_key)])
    assert (answered.status, answered.headers["allow"]) == (405, "POST")
    assert answered.json["detail"] == "This address takes POST."


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (["POST"], "This address takes POST."),
        (["GET", "HEAD"], "This address takes GET and HEAD."),
        (["GET", "HEAD", "POST"], "This address takes GET, HEAD and POST."),
    ],
)
def test_the_methods_of_an_address_are_listed_in_a_sentence(methods: list[str], sentence: str) -> None:
    problem = method_not_allowed(methods)
    assert (problem.detail, problem.fields) == (sentence, [("Allow", ", ".join(methods))])


@pytest.mark.parametrize("path", ["/invoke/", "/invoke/a/b", "/invoke", "/metricsx"])
async def test_any_other_address_is_404_as_a_problem(gateway: Gateway, path: str) -> None:
    answered = await gateway.caller.call("POST", path)
    assert (answered.status, answered.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("error", "status", "kind", "retry_after"),
    [
        (errors.Unreachable("No connection."), 502, "upstream-unreachable", None),
        (errors.OutcomeUnknown("Too slow.", timed_out=True), 504, "upstream-outcome-unknown", None),
        (errors.OutcomeUnknown("Cut off.", timed_out=False), 502, "upstream-outcome-unknown", None),
        (errors.Overloaded("Busy.", retry_after_us=2_500_000), 429, "upstream-overloaded", "3"),
        (errors.BreakerOpen("Failing.", retry_after_us=9_000_000), 503, "upstream-breaker-open", "9"),
        (errors.PayloadRefused("'|' in a parameter."), 422, "payload-refused", None),
        (errors.NotConfigured("Refused."), 502, "upstream-not-configured", None),
        (errors.Disabled("Off."), 503, "upstream-disabled", None),
    ],
)
async def test_what_went_wrong_upstream_is_said_as_such(
    gateway: Gateway,
    acme_key: str,
    base_policy: QuotaPolicy,
    error: Exception,
    status: int,
    kind: str,
    retry_after: str | None,
) -> None:
    gateway.upstream.error = error
    answered = await gateway.invoke("lookupOrder", key=acme_key)
    assert (answered.status, answered.json["type"]) == (status, f"urn:quota-platform:problem:{kind}")
    assert answered.headers.get("retry-after") == retry_after
    assert answered.headers["ratelimit"].startswith('"minute";r=99')


async def test_a_long_response_is_streamed_and_one_that_breaks_off_is_not_ended(
    gateway: Gateway, acme_key: str
) -> None:
    gateway.upstream.parts = [b"a" * 10, b"b" * 10]
    whole = await gateway.invoke("lookupOrder", key=acme_key)
    assert (whole.body, whole.ended) == (b"a" * 10 + b"b" * 10, True)
    gateway.upstream.broken = errors.OutcomeUnknown("Cut off.", timed_out=False)
    cut = await gateway.invoke("lookupOrder", key=acme_key)
    assert (cut.body, cut.ended) == (b"a" * 10 + b"b" * 10, False)


@pytest.fixture
def enveloped(acme: Tenant) -> Tenant:
    acme.envelope = True
    acme.save()
    return acme


async def test_an_envelope_holds_data_latency_and_multiplier(
    gateway: Gateway, enveloped: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    answered = await gateway.invoke("lookupOrder", key=acme_key)
    assert answered.json == {
        "status": "success",
        "data": {"ok": True},
        "latency_ms": 12.345,
        "adaptive_multiplier": 1.0,
    }
    gateway.upstream.status = 500
    failed = await gateway.invoke("lookupOrder", key=acme_key)
    assert (failed.status, failed.json["status"]) == (502, "error")
    assert failed.json["error"] == "The upstream answered 500."


async def test_the_callers_request_id_is_kept_when_it_is_one(gateway: Gateway, acme_key: str) -> None:
    kept = await gateway.invoke("lookupOrder", key=acme_key, headers={"X-Request-Id": "abc-123"})
    made = await gateway.invoke("lookupOrder", key=acme_key, headers={"X-Request-Id": "a b\r\nc"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert made.headers["x-request-id"] != "a b\r\nc"
    assert gateway.upstream.calls[0].request_id == "abc-123"


@pytest.fixture
def two_at_once(acme: Tenant, base_policy: QuotaPolicy) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Two at once")
    QuotaLimit.objects.create(policy=policy, name="inflight", algorithm="concurrency", quota=2)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


async def test_a_slot_is_freed_when_the_call_has_ended_however_it_ended(
    gateway: Gateway, two_at_once: QuotaPolicy, acme_key: str, acme: Tenant
) -> None:
    for error in (None, errors.Unreachable("No."), errors.OutcomeUnknown("Slow.", timed_out=True), RuntimeError("bug")):
        gateway.upstream.error = error
        for _ in range(3):
            answered = await gateway.invoke("lookupOrder", key=acme_key)
            assert answered.status in (200, 500, 502, 504)
            await gateway.recorded()
    slots = f"{keys.tag(acme.connection_id)}:w:inflight:c:a:acme:lookupOrder"
    assert await gateway.runtime.store.command("ZCARD", slots, key=slots) == 0


async def test_a_caller_that_hangs_up_is_accounted_and_its_slot_is_freed(
    gateway: Gateway, two_at_once: QuotaPolicy, acme_key: str, acme: Tenant
) -> None:
    gateway.upstream.parts = [b"a" * 10, b"b" * 10]

    class HungUp(Exception):
        """What a server raises when it is asked to send to nobody."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def send_once(message: Any) -> None:
            if message.get("body", b"").startswith(b"b"):
                raise HungUp
            await send(message)

        with pytest.raises(HungUp):
            await gateway.caller.app(scope, receive, send_once)

    hanging_up = Gateway(gateway.runtime, gateway.upstream, Caller(app, gateway.caller.state))
    assert (await hanging_up.invoke("lookupOrder", key=acme_key)).body == b"a" * 10
    await gateway.recorded()
    store, slots = gateway.runtime.store, f"{keys.tag(acme.connection_id)}:w:inflight:c:a:acme:lookupOrder"
    assert await store.command("ZCARD", slots, key=slots) == 0
    totals = keys.totals(acme.connection_id)
    assert await store.command("HGET", totals, "acme|allowed", key=totals) == b"1"
    assert await store.command("HGET", totals, "acme|unknown", key=totals) == b"1"


async def test_a_call_that_waits_for_its_upstream_passes_through_no_coroutine_that_adds_nothing(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    gateway.upstream.held = asyncio.Event()
    task = asyncio.ensure_future(gateway.invoke("lookupOrder", key=acme_key))

    async def sent() -> bool:
        return len(gateway.upstream.calls) == 2

    await eventually(sent, what="the call to be sent")

    names = passed_through(task)

    ours = names[names.index("LeanHandler.__call__") : names.index("FakeUpstream.invoke")]
    assert ours == ["LeanHandler.__call__", "InvokeView.post", "Gateway.invoke", "Forwarding.make"]
    gateway.upstream.held.set()
    assert (await task).status == 200
