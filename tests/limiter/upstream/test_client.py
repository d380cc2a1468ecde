"""One call on a bad day: which failures are repeated, what the caller learns, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from limiter.core.retrying import Turn
from limiter.upstream import exchange
from limiter.upstream.client import Client
from limiter.upstream.connections import NotConnected, NotConnectedInTime
from limiter.upstream.errors import Disabled, NotConfigured, OutcomeUnknown, Overloaded, Unreachable, UpstreamError
from limiter.upstream.retry import Budget
from limiter.upstream.wire import BrokenResponse
from quota_platform.sandbox import Running
from tenants.directory import ActionSpec, ConnectionSpec
from tests.limiter.upstream.conftest import LOOKUP, START, Connect, HandClock, MakeClient, call_to, connection_to
from tests.patience import eventually
from tests.waits import passed_through

IDEMPOTENT = replace(LOOKUP, idempotent=True)
THEIRS = START + 3600
"""An upstream whose clock is an hour ahead of ours."""
PUT = ActionSpec(9, "put", kind="rest", method="PUT", path_template="/rest/thing")


def invocations(sandbox: Running, endpoint: str = "webaction") -> int:
    return len(sandbox.state.log.entries(endpoint=endpoint))


async def test_an_upstreams_own_error_passes_through_unchanged(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sandbox.state.faults.add({"fault": "404", "body": {"error": "no such order"}})

    response = await client.invoke(call_to(connect()))

    assert (response.status, response.ok, response.attempts) == (404, False, 1)
    assert response.body is not None and b"no such order" in response.body


async def test_success_is_what_the_action_says(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "404"})

    response = await client.invoke(call_to(connect(), replace(LOOKUP, success_statuses=(200, 404))))

    assert response.ok


@pytest.mark.parametrize(
    ("fault", "action", "sent"),
    [
        ({"fault": "500"}, LOOKUP, 1),
        ({"fault": "502"}, LOOKUP, 1),
        ({"fault": "504"}, LOOKUP, 1),
        ({"fault": "503"}, LOOKUP, 1),
        ({"fault": "503", "headers": {"Retry-After": "1"}}, LOOKUP, 2),
        ({"fault": "429"}, LOOKUP, 2),
        ({"fault": "500"}, IDEMPOTENT, 2),
        ({"fault": "502"}, IDEMPOTENT, 2),
        ({"fault": "503"}, IDEMPOTENT, 2),
        ({"fault": "504"}, IDEMPOTENT, 2),
        ({"fault": "404"}, IDEMPOTENT, 1),
    ],
)
async def test_only_a_call_that_did_not_run_or_may_run_twice_is_repeated(
    sandbox: Running, client: Client, connect: Connect, fault: dict[str, Any], action: ActionSpec, sent: int
) -> None:
    sandbox.state.faults.add(fault | {"count": 1})

    response = await client.invoke(call_to(connect(), action))

    assert invocations(sandbox) == response.attempts == sent
    assert (response.status == 200) == (sent == 2)
    assert response.pushback == (fault["fault"] in ("429", "503"))


@pytest.mark.parametrize("fault", ["reset_before_headers", "close_before_headers", "reset_mid_body"])
@pytest.mark.parametrize(("action", "sent"), [(LOOKUP, 1), (PUT, 1), (IDEMPOTENT, 2)])
async def test_a_response_that_breaks_off_is_retried_only_if_idempotent(
    sandbox: Running, client: Client, connect: Connect, fault: str, action: ActionSpec, sent: int
) -> None:
    connection = connect()
    # A kept connection, so that HTTP clients that quietly repeat PUT on a stale one would be seen to.
    await client.invoke(call_to(connection))
    sandbox.state.faults.add({"fault": fault, "count": 1})
    before = sandbox.state.log.last_seq

    if sent == 2:
        assert (await client.invoke(call_to(connection, action))).status == 200
    else:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.invoke(call_to(connection, action))
        assert (caught.value.status, caught.value.timed_out, caught.value.attempts) == (502, False, 1)

    assert len(sandbox.state.log.entries(since=before)) == sent


@pytest.mark.parametrize("action", [LOOKUP, PUT, IDEMPOTENT])
async def test_a_timeout_is_reported_as_unknown_and_not_repeated(
    sandbox: Running, client: Client, connect: Connect, action: ActionSpec
) -> None:
    connection = connect()
    await client.invoke(call_to(connection))  # fetches the token, which the short time is not for
    sandbox.state.faults.add({"fault": "stall"})
    before = sandbox.state.log.last_seq

    with pytest.raises(OutcomeUnknown) as caught:
        await client.invoke(call_to(connection, replace(action, timeout_ms=150)))

    assert caught.value.timed_out and caught.value.status == 504
    assert caught.value.latency_us is not None and caught.value.latency_us >= 140_000
    assert len(sandbox.state.log.entries(since=before)) == 1
    assert sandbox.state.conduct.public()["breaches"]["repeated_after_unknown"] == 0


async def test_a_connection_that_was_refused_is_tried_again(
    client: Client, make_client: MakeClient, sandbox: Running, connect: Connect, clock: HandClock
) -> None:
    connection = connect()
    await client.invoke(call_to(connection))
    assert sandbox.listener is not None
    await sandbox.listener.close()

    with pytest.raises(Unreachable) as caught:
        await make_client().invoke(call_to(connection))

    assert (caught.value.status, caught.value.attempts) == (502, 4)
    assert len(clock.slept) == 3


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("7", 7.35),
        (formatdate(THEIRS + 9, usegmt=True), 9.45),
        (formatdate(THEIRS - 60, usegmt=True), 0.25),
        ("0", 0.25),
        ("-5", 0.25),
        ("soon", 0.25),
        (None, 0.25),
    ],
)
async def test_retry_after_is_honoured_and_nonsense_is_backed_off_from(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock, retry_after: str | None, waits: float
) -> None:
    headers = {"Date": formatdate(THEIRS, usegmt=True)}
    headers |= {} if retry_after is None else {"Retry-After": retry_after}
    sandbox.state.faults.add({"fault": "429", "count": 1, "headers": headers})

    response = await client.invoke(call_to(connect()))

    # A tenth more at most than its wait, at a luck of one half; full jitter on half a second where it gives none.
    assert response.status == 200
    assert clock.slept == pytest.approx([waits])
    assert sandbox.state.conduct.public()["ok"]


async def test_a_wait_longer_than_the_deadline_is_not_begun(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "3600"}})

    with pytest.raises(Overloaded) as caught:
        await client.invoke(call_to(connect()))

    assert (caught.value.status, caught.value.retry_after_us) == (429, 3_600_000_000)
    assert (caught.value.attempts, caught.value.pushback, clock.slept) == (1, True, [])


@pytest.mark.parametrize(
    ("first", "may_have_run"),
    [({"fault": "429"}, False), ({"fault": "500"}, True), ({"fault": "503"}, True)],
    ids=["turned away", "failed", "failed without saying when"],
)
async def test_a_call_that_is_turned_away_at_last_says_whether_it_may_have_run_before(
    sandbox: Running, client: Client, connect: Connect, first: dict[str, str], may_have_run: bool
) -> None:
    sandbox.state.faults.add({**first, "count": 1})
    sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "3600"}})

    with pytest.raises(Overloaded) as caught:
        await client.invoke(call_to(connect(), IDEMPOTENT))

    assert (caught.value.attempts, caught.value.may_have_run) == (2, may_have_run)


async def test_an_upstream_that_turns_everything_away_gets_few_repeats(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    """A hundred calls of up to four attempts each."""
    sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "1"}})
    connection = connect()
    for _ in range(100):
        with pytest.raises(Overloaded):
            await client.invoke(call_to(connection))
    assert 100 <= invocations(sandbox) <= 120


class Paused:
    """A budget of retries whose connection is paused meanwhile, for these times; then one has to wait for its place."""

    def __init__(self, *waits_us: int, place_us: int) -> None:
        self.waits_us, self.place_us = list(waits_us), place_us

    async def draw(self, connection: ConnectionSpec, budget: Budget, *, within_s: float) -> Turn:
        return Turn(True, 0)

    async def turn(self, connection: ConnectionSpec, *, within_s: float) -> Turn:
        return Turn(False, self.waits_us.pop(0)) if self.waits_us else Turn(True, self.place_us)


async def test_a_retry_waits_a_little_longer_than_a_pause_that_began_meanwhile(
    sandbox: Running, make_client: MakeClient, connect: Connect, clock: HandClock
) -> None:
    sandbox.state.faults.add({"fault": "429", "count": 1})
    client = make_client(draws=Paused(2_000_000, 6_000_000, place_us=500_000))

    assert (await client.invoke(call_to(connect()))).status == 200

    assert clock.slept == pytest.approx([0.25, 2.1, 6.3, 0.5])


async def test_a_retry_whose_pause_outlasts_the_deadline_is_not_sent(
    sandbox: Running, make_client: MakeClient, connect: Connect, clock: HandClock
) -> None:
    sandbox.state.faults.add({"fault": "429", "count": 1})

    with pytest.raises(Overloaded):
        await make_client(draws=Paused(600_000_000, place_us=0)).invoke(call_to(connect()))

    assert (invocations(sandbox), clock.slept) == (1, [0.25])


async def test_an_upstream_that_keeps_refusing_is_asked_four_times_at_growing_intervals(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    sandbox.state.faults.add({"fault": "429"})
    clock.luck = 0.999

    with pytest.raises(Overloaded) as caught:
        await client.invoke(call_to(connect()))

    assert caught.value.retry_after_us is None
    assert invocations(sandbox) == 4
    assert clock.slept == pytest.approx([0.5, 1.0, 2.0], rel=0.01)
    assert client.units()[connect().uid].pushbacks == 4


async def test_the_connection_says_how_often_a_call_is_repeated(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sandbox.state.faults.add({"fault": "429"})

    with pytest.raises(Overloaded):
        await client.invoke(call_to(connect(max_retries=1)))

    assert invocations(sandbox) == 2


async def test_repeats_end_with_the_shorter_of_the_two_deadlines(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "2"}})

    with pytest.raises(Overloaded):
        await client.invoke(call_to(connect(total_deadline_s=5)))

    assert clock.slept == [2.1, 2.1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(sandbox: Running, client: Client, connect: Connect, status: int) -> None:
    sandbox.state.faults.add({"fault": "redirect", "status": status})

    with pytest.raises(NotConfigured, match="redirect"):
        await client.invoke(call_to(connect()))

    breaches = sandbox.state.conduct.public()["breaches"]
    assert breaches["redirect_followed"] == breaches["token_followed_redirect"] == 0


async def test_a_connection_that_is_switched_off_sends_nothing(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    with pytest.raises(Disabled):
        await client.invoke(call_to(connect(enabled=False)))

    assert sandbox.state.log.entries() == []


async def test_a_compressed_response_is_passed_on_as_it_came(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sandbox.state.faults.add({"fault": "gzip"})

    response = await client.invoke(call_to(connect()))

    assert response.body is not None and response.body.startswith(b"\x1f\x8b")
    assert ("content-encoding", "gzip") in [(name.lower(), value) for name, value in response.headers]


async def test_a_long_response_is_streamed_whole(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "big_body", "bytes": 300_000})

    response = await client.invoke(call_to(connect()))

    assert response.body is None and response.chunks is not None
    assert len(b"".join([chunk async for chunk in response.chunks])) >= 300_000


@pytest.mark.parametrize("cap", [100, 70_000])
async def test_a_response_above_the_cap_is_broken_off(
    sandbox: Running, client: Client, connect: Connect, cap: int
) -> None:
    sandbox.state.faults.add({"fault": "big_body", "bytes": 300_000})

    with pytest.raises(OutcomeUnknown, match=f"longer than the {cap} bytes") as caught:
        response = await client.invoke(call_to(connect(max_response_bytes=cap)))
        assert response.chunks is not None
        async for _ in response.chunks:
            pass

    assert caught.value.status == 502


async def test_a_reader_can_give_up_a_long_response(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "big_body", "bytes": 900_000})
    response = await client.invoke(call_to(connect()))
    assert isinstance(response.chunks, exchange.ResponseStream)

    await anext(response.chunks)
    await response.chunks.aclose()

    with pytest.raises((StopAsyncIteration, UpstreamError)):
        while True:
            await anext(response.chunks)


async def test_a_caller_that_leaves_ends_its_call(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "stall", "where": "invoke"})
    under_way = asyncio.ensure_future(client.invoke(call_to(connect())))
    await sandbox.state.log.reached(2)

    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    while sandbox.state.counters.in_flight:
        await asyncio.sleep(0)

    assert sandbox.state.log.entries()[-1].outcome != "answered"


async def test_an_edit_of_the_connection_counts_from_the_next_call(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    await client.invoke(call_to(connect()))

    response = await client.invoke(call_to(connect("generic_oauth2"), replace(PUT, path_template="/rest/new")))

    assert response.status == 200
    assert sandbox.state.log.entries()[-1].path == "/rest/new"


async def test_what_an_origin_sent_unasked_is_in_the_state_of_its_connection(make_client: MakeClient) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        token = b'{"access_token": "t", "expires_in": 3600}'
        body = token if b"/oauth/token" in head else b"{}"
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        writer.write(response if body == token else response * 2)
        writer.close()

    async with await asyncio.start_server(script, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connection = connection_to(f"http://{address}")
        client = make_client(redis=None, sandbox_hosts=[address])
        assert (await client.invoke(call_to(connection))).body == b"{}"

    status = client.units()[connection.uid]
    assert (status.unsolicited, status.without_keep_alive_why) == (1, "it sent more than one response to a request")
    assert status.without_keep_alive_until > START


async def test_what_happened_is_counted_per_connection(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "500", "count": 1})
    for _ in range(3):
        await client.invoke(call_to(connect()))

    status = client.units()[connect().uid]

    assert (status.name, status.calls, status.failures, status.breaker.value) == ("cxone_webaction", 3, 1, "closed")


@pytest.mark.parametrize(
    "error",
    [
        NotConnected,
        NotConnectedInTime,
        BrokenResponse,
        ssl.SSLCertVerificationError,
        TimeoutError,
        OSError,
        ConnectionResetError,
        ValueError,
    ],
)
def test_every_failure_of_the_http_client_becomes_one_of_ours(error: type[Exception]) -> None:
    made = error.__new__(error)

    mapped = exchange.as_upstream_error(made, elapsed_us=5)

    assert isinstance(mapped, Unreachable | OutcomeUnknown | NotConfigured)
    assert mapped.detail and "://" not in mapped.detail


async def test_a_call_that_waits_for_its_response_passes_through_no_coroutine_that_adds_nothing(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    connection = connect()
    await client.invoke(call_to(connection))
    sandbox.state.faults.add({"fault": "stall"})
    before = sandbox.state.log.last_seq
    task = asyncio.ensure_future(client.invoke(call_to(connection)))

    async def arrived() -> bool:
        return bool(sandbox.state.log.entries(since=before))

    await eventually(arrived, what="the call to arrive")

    waiting = ["Client._attempt_until_done", "Client._attempt", "Exchange.send", "Wire.request"]
    assert passed_through(task) == waiting
    task.cancel()
