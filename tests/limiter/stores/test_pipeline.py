"""One connection: what a tick says leaves at once, and replies come back to those who asked."""

from __future__ import annotations

import asyncio

import hiredis
import pytest

from limiter.stores.errors import StoreOutcomeUnknown, StoreUnavailable
from limiter.stores.pipeline import Address, Pipeline, pack
from tests.limiter.core.fake_store import connected


class Wire(asyncio.Transport):
    """Keeps the written bytes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_the_commands_of_one_tick_leave_in_one_segment() -> None:
    async with connected() as (pipeline, fake):

        async def caller(number: int) -> bytes:
            response: bytes = await pipeline.send(pack("ECHO", str(number)))
            return response

        assert await asyncio.gather(*(caller(number) for number in range(20))) == [b"%d" % n for n in range(20)]
        assert len(fake.segments) == 1
        assert len(fake.commands) == 20


async def test_many_commands_of_one_tick_do_not_wait_for_its_end() -> None:
    wire, pipeline = Wire(), Pipeline(timeout_s=5)
    pipeline.connection_made(wire)
    commands = [pack("ECHO", str(number)) for number in range(60)]
    asked = [pipeline.send(command) for command in commands]
    assert wire.written == [b"".join(commands[:24]), b"".join(commands[24:48])]
    await asyncio.sleep(0)
    assert b"".join(wire.written) == b"".join(commands)
    pipeline.data_received(b"".join(b":%d\r\n" % number for number in range(60)))
    assert await asyncio.gather(*asked) == list(range(60))
    pipeline.connection_lost(None)


async def test_the_next_tick_s_commands_leave_in_the_next_segment() -> None:
    async with connected() as (pipeline, fake):
        asked = [pipeline.send(pack("ECHO", word)) for word in ("a", "b")]
        assert await asyncio.gather(*asked) == [b"a", b"b"]
        assert await pipeline.send(pack("ECHO", "c")) == b"c"
        assert fake.segments == [pack("ECHO", "a") + pack("ECHO", "b"), pack("ECHO", "c")]


async def test_replies_in_pieces_come_to_those_who_asked() -> None:
    async with connected() as (pipeline, fake):
        fake.answering = False
        asked = [pipeline.send(pack("ECHO", str(number))) for number in range(3)]
        for piece in (b"$5\r\nfi", b"rst\r\n:", b"2\r\n*2\r\n$1\r\nx\r\n", b"$-1\r\n"):
            fake.say(piece)
            await asyncio.sleep(0)
        assert await asyncio.gather(*asked) == [b"first", 2, [b"x", None]]


async def test_a_reply_nobody_waits_for_any_more_is_dropped_in_its_turn() -> None:
    async with connected() as (pipeline, _):
        asked = [pipeline.send(pack("ECHO", word)) for word in ("a", "b", "c")]
        asked[1].cancel()
        assert (await asked[0], await asked[2]) == (b"a", b"c")


async def test_an_error_is_a_reply() -> None:
    async with connected() as (pipeline, fake):
        fake.answering = False
        asked = pipeline.send(pack("PING"))
        fake.say(b"-NOSCRIPT No matching script.\r\n")
        reply = await asked
        assert isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
        assert pipeline.open


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$x\r\n"])
async def test_bytes_that_are_not_the_protocol_end_the_connection(noise: bytes) -> None:
    async with connected() as (pipeline, fake):
        fake.answering = False
        asked = pipeline.send(pack("PING"))
        fake.say(noise)
        with pytest.raises(StoreOutcomeUnknown, match="not RESP"):
            await asked
        assert not pipeline.open


async def test_a_reply_nobody_asked_for_ends_the_connection() -> None:
    async with connected() as (pipeline, fake):
        fake.say(b"+OK\r\n")
        await fake.gone.wait()
        assert not pipeline.open


async def test_a_server_that_hangs_up_leaves_the_outcome_unknown() -> None:
    async with connected() as (pipeline, fake):
        fake.answering = False
        asked = [pipeline.send(pack("PING")) for _ in range(2)]
        fake.hang_up()
        assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {StoreOutcomeUnknown}


async def test_a_server_that_says_nothing_is_left() -> None:
    async with connected(timeout_s=0.1) as (pipeline, fake):
        fake.answering = False
        with pytest.raises(StoreOutcomeUnknown, match="in time"):
            await pipeline.send(pack("PING"))
        await fake.gone.wait()
        assert (pipeline.open, pipeline.pending) == (False, 0)


async def test_the_oldest_command_s_time_is_what_counts() -> None:
    async with connected(timeout_s=0.1) as (pipeline, fake):
        fake.answering = False
        oldest = pipeline.send(pack("PING"))
        while not oldest.done():
            pipeline.send(pack("PING")).add_done_callback(lambda late: late.exception())
            await asyncio.sleep(0)
        with pytest.raises(StoreOutcomeUnknown):
            await oldest


async def test_a_closed_connection_sends_nothing() -> None:
    async with connected() as (pipeline, _):
        pipeline.close()
        with pytest.raises(StoreUnavailable) as raised:
            await pipeline.send(pack("PING"))
        assert not isinstance(raised.value, StoreOutcomeUnknown)


async def test_a_retired_connection_ends_when_all_is_answered() -> None:
    async with connected() as (pipeline, fake):
        fake.answering = False
        asked = [pipeline.send(pack("PING")) for _ in range(2)]
        pipeline.retire()
        fake.say(b"+ONE\r\n")
        assert await asked[0] == b"ONE"
        assert pipeline.open
        fake.say(b"+TWO\r\n")
        assert await asked[1] == b"TWO"
        await fake.gone.wait()


async def test_an_idle_connection_ends_as_soon_as_it_is_retired() -> None:
    async with connected() as (pipeline, fake):
        pipeline.retire()
        await fake.gone.wait()
        assert not pipeline.open


# Addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address", "hello"),
    [
        ("redis://cache:6380", Address("cache", 6380), [("PING",)]),
        ("redis://cache/3", Address("cache", 6379, database=3), [("SELECT", "3")]),
        ("redis://:pa%24s@cache/0", Address("cache", 6379, password="pa$s"), [("AUTH", "pa$s")]),
        (
            "redis://app:pass@cache/2",
            Address("cache", 6379, username="app", password="pass", database=2),
            [("AUTH", "app", "pass"), ("SELECT", "2")],
        ),
        ("rediss://cache", Address("cache", 6379, tls=True), [("PING",)]),
        (
            "unix://:pass@/run/valkey.sock?db=1",
            Address("localhost", 6379, path="/run/valkey.sock", password="pass", database=1),
            [("AUTH", "pass"), ("SELECT", "1")],
        ),
    ],
)
def test_a_url_says_where_and_how_to_sign_in(url: str, address: Address, hello: list[tuple[str, ...]]) -> None:
    assert Address.from_url(url) == address
    assert address.hello() == hello


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError):
        Address.from_url("http://cache:6379")


def test_an_address_never_shows_its_password() -> None:
    assert "canary" not in repr(Address.from_url("redis://app:canary@cache/0"))
