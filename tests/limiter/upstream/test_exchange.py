"""Responses that are not HTTP, or could be read in two ways, are failures; and every byte of a good one arrives."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from yarl import URL

from limiter.upstream.call import UpstreamResponse
from limiter.upstream.conduct import KeepAlive, origin_of
from limiter.upstream.errors import NotConfigured, OutcomeUnknown, Unreachable
from limiter.upstream.exchange import Exchange, Patience, UpstreamRequest
from limiter.upstream.pins import Pins

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE = Patience(total=5, connect=5)


class Anywhere(Pins):
    """Takes any address, so that a test may use a port that is only known when it runs."""

    def resolve(self, host: str, port: int) -> list[str]:
        return [host]


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[URL]:
    """A server that does with each connection what the test says."""
    listening = await asyncio.start_server(script, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    async with listening:
        yield URL(f"http://{host}:{port}/x")


def says(raw: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    return script


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    made = Exchange(pinned=Anywhere(), pool_size=10, keep_alive=KeepAlive(proven_after=0))
    yield made
    await made.close()


def request(url: URL, *, body: bytes | None = b"{}", cap: int = 1_000_000) -> UpstreamRequest:
    return UpstreamRequest("acme", origin_of(url), "POST", url, {}, body, PATIENCE, cap)


async def read(response: UpstreamResponse) -> bytes:
    if response.chunks is None:
        return response.body or b""
    return b"".join([chunk async for chunk in response.chunks])


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_a_response_arrives_whole_however_its_length_is_given(
    exchange: Exchange, raw: bytes, body: bytes
) -> None:
    async with server(says(raw)) as url:
        assert await read(await exchange.send(request(url))) == body


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[16:60]),
)
async def test_a_response_that_is_broken_or_ambiguous_is_an_unknown_outcome(exchange: Exchange, raw: bytes) -> None:
    async with server(says(raw)) as url:
        with pytest.raises(OutcomeUnknown):
            await read(await exchange.send(request(url)))


@pytest.mark.parametrize("status", [b"000", b"099", b"600", b"999"])
async def test_a_status_that_no_response_may_have_is_a_502_and_one_line_in_the_log(
    exchange: Exchange, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with server(says(b"HTTP/1.1 %b Odd\r\nContent-Length: 2\r\n\r\nok" % status)) as url:
        with pytest.raises(OutcomeUnknown) as caught:
            await exchange.send(request(url))
    assert caught.value.status == 502
    [line] = caplog.messages
    assert line == f"the upstream 127.0.0.1 answered with status {int(status)}; the call is a 502"


@pytest.mark.parametrize("fields", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Upgrade: websocket\r\n"])
async def test_an_upstream_that_switches_protocols_unasked_is_a_502_and_one_line_in_the_log(
    exchange: Exchange, fields: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with server(says(b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n")) as url:
        with pytest.raises(OutcomeUnknown) as caught:
            await exchange.send(request(url))
    assert caught.value.status == 502
    assert caplog.messages == ["the upstream 127.0.0.1 answered with status 101; the call is a 502"]


async def test_trailer_fields_of_a_response_are_dropped(exchange: Exchange) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nETag: x\r\nRetry-After: 9\r\n\r\n"
    async with server(says(raw)) as url:
        response = await exchange.send(request(url))
        assert (response.headers, await read(response)) == ([], b"ok")


async def test_trailer_fields_of_a_response_are_bounded(exchange: Exchange) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + b"A: b\r\n" * 100_000 + b"\r\n"
    async with server(says(raw)) as url:
        with pytest.raises(OutcomeUnknown):
            await read(await exchange.send(request(url)))


async def test_the_length_of_a_response_is_capped_also_when_it_is_not_given(exchange: Exchange) -> None:
    async with server(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000)) as url:
        with pytest.raises(OutcomeUnknown, match="longer than the 1000 bytes"):
            await read(await exchange.send(request(url, cap=1000)))


async def test_a_response_of_unknown_length_is_passed_on_as_it_comes(exchange: Exchange) -> None:
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await more.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with server(script) as url:
        response = await exchange.send(request(url))
        assert response.chunks is not None
        assert await anext(response.chunks) == b"first"
        more.set()
        assert await anext(response.chunks) == b"last"


async def test_an_empty_body_is_sent_as_one(exchange: Exchange) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with server(script) as url:
        for body in (None, b""):
            await exchange.send(request(url, body=body))

    assert all(b"content-length: 0\r\n" in head.lower() for head in seen)
    assert not any(b"transfer-encoding" in head.lower() for head in seen)


async def test_a_full_pool_means_that_nothing_was_sent() -> None:
    exchange = Exchange(pinned=Anywhere(), pool_size=1)
    held, entered = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        entered.set()
        await held.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with server(script) as url:
        first = asyncio.ensure_future(exchange.send(request(url)))
        await entered.wait()
        impatient = UpstreamRequest(
            "acme", origin_of(url), "POST", url, {}, b"{}", Patience(total=5, connect=0.01), 1000
        )
        with pytest.raises(Unreachable):
            await exchange.send(impatient)
        held.set()
        assert (await first).status == 204
    await exchange.close()


async def test_a_connection_serves_one_call_after_the_other_until_the_upstream_says_goodbye(exchange: Exchange) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for goodbye in (b"", b"", b"Connection: close\r\n"):
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(b"HTTP/1.1 200 OK\r\n" + goodbye + b"Content-Length: 2\r\n\r\nok")
        writer.close()

    async with server(script) as url:
        for _ in range(6):
            assert await read(await exchange.send(request(url))) == b"ok"
    assert connections == 2


async def test_bytes_behind_a_whole_response_are_not_taken_for_the_next_one(exchange: Exchange) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        writer.write(response + b"ok" + response + b"no")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with server(script) as url:
        for _ in range(2):
            assert await read(await exchange.send(request(url))) == b"ok"


async def test_a_line_break_in_a_header_is_not_sent(exchange: Exchange) -> None:
    async with server(says(b"HTTP/1.1 204 No Content\r\n\r\n")) as url:
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"):
            with pytest.raises(NotConfigured):
                await exchange.send(
                    UpstreamRequest("acme", origin_of(url), "POST", url, {"X-A": value}, b"{}", PATIENCE, 1000)
                )


async def test_a_certificate_that_nobody_vouches_for_is_refused(exchange: Exchange, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "both.pem").write_bytes(private + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    listening = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
    async with listening:
        url = URL(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x")
        with pytest.raises(Unreachable, match="certificate"):
            await exchange.send(request(url))
