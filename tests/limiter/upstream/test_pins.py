"""A name that resolves to an address inside is refused when the socket is opened, by both HTTP clients."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis.asyncio
import requests

from limiter.upstream import pins
from limiter.upstream.client import Client
from limiter.upstream.conduct import Origin
from limiter.upstream.dial import Dialer
from limiter.upstream.discovery import Endpoints
from limiter.upstream.errors import NotConfigured, Unreachable
from limiter.upstream.pins import Pins
from limiter.upstream.vault import Vault, fingerprint
from quota_platform.base.hosts import HostRefused
from quota_platform.sandbox import Running
from tests.limiter.upstream.conftest import Connect, HandClock, MakeClient, call_to, connection_to
from tests.patience import HANG_S

INSIDE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::10.0.0.1",
    "2001:0:7f00:1::",
    "fec0::1",
    "::ffff:0:10.0.0.1",
    "64:ff9b:1::5db8:d70e",
    "192.0.0.192",
    "4000::1",
]


def pinned(*addresses: str, sandbox_hosts: tuple[str, ...] = ()) -> Pins:
    return Pins(sandbox_hosts=sandbox_hosts, lookup=lambda host, port: list(addresses))


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(HostRefused):
        pinned(address).resolve("api.niceincontact.com", 443)


def test_one_address_inside_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(HostRefused):
        pinned("93.184.215.14", "10.0.0.1").resolve("api.niceincontact.com", 443)


def test_public_addresses_are_the_ones_to_connect_to() -> None:
    found = pinned("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c").resolve("api.niceincontact.com", 443)
    assert found == ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


def test_only_the_named_sandbox_may_be_inside() -> None:
    pins_ = pinned("10.0.0.1", sandbox_hosts=("sandbox:8801",))
    assert pins_.resolve("sandbox", 8801) == ["10.0.0.1"]
    with pytest.raises(HostRefused):
        pins_.resolve("sandbox", 8802)


async def test_a_call_connects_to_the_address_that_was_looked_at() -> None:
    """The name means nothing to the system; the address it was pinned to answers."""
    answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.set()
        writer.close()

    async with await asyncio.start_server(script, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        there = pinned("127.0.0.1", sandbox_hosts=(f"nowhere.invalid:{port}",))
        wire = await Dialer(there).connect(Origin(tls=False, host="nowhere.invalid", port=port))
        async with asyncio.timeout(HANG_S):
            await answered.wait()
        wire.close()


async def test_a_call_connects_to_no_address_inside() -> None:
    with pytest.raises(HostRefused):
        await Dialer(pinned("10.0.0.1")).connect(Origin(tls=True, host="api.niceincontact.com", port=443))


def test_each_of_a_sessions_requests_has_a_connection_of_its_own() -> None:
    """So that what follows the response to one cannot be taken for the response to the next, which asks for a token."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        host, port = listening.getsockname()
        asked = threads.submit(_respond_twice, listening)
        with pins.session(pinned(host, sandbox_hosts=(f"{host}:{port}",))) as http:
            data = [http.get(f"http://{host}:{port}/{number}", timeout=HANG_S).text for number in range(2)]
        assert data == ["GET /0", "GET /1"]
        assert all(b"\r\nConnection: close\r\n" in head for head in asked.result())


def _respond_twice(listening: socket.socket) -> list[bytes]:
    """Take two connections, answer the first request on each with its own words, and send another response after it."""
    heads = []
    connections = []
    for _ in range(2):
        connections.append(listening.accept()[0])
        heads.append(connections[-1].recv(65_536))
        said = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
        connections[-1].sendall(said + heads[-1][:6] + said + b"stray!")
    for connection in connections:
        connection.close()
    return heads


def test_requests_refuses_an_address_inside() -> None:
    with pins.session(pinned("169.254.169.254")) as http, pytest.raises(HostRefused):
        http.get("https://api.niceincontact.com/")


def test_requests_connects_to_the_address_that_was_looked_at() -> None:
    """The name means nothing to the system; the address it was pinned to answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pins.session(pinned("127.0.0.1", sandbox_hosts=(f"nowhere.invalid:{port}",))) as http:
            server.settimeout(HANG_S)
            with pytest.raises(requests.ConnectionError):
                _close_the_first(server, http, f"http://nowhere.invalid:{port}/")


def _close_the_first(server: socket.socket, http: requests.Session, url: str) -> None:
    def accept() -> None:
        server.accept()[0].close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        http.get(url, timeout=HANG_S)
    finally:
        thread.join()


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "unknown"), OSError("down")])
def test_a_name_that_does_not_resolve_is_a_connection_error(failure: OSError) -> None:
    def lookup(host: str, port: int) -> list[str]:
        raise failure

    with pins.session(Pins(lookup=lookup)) as http, pytest.raises(requests.ConnectionError):
        http.get("https://api.niceincontact.com/")


async def test_a_call_to_a_name_that_moved_inside_sends_nothing(
    make_client: MakeClient, store: redis.asyncio.Redis, clock: HandClock
) -> None:
    public = connection_to("https://api-na1.niceincontact.com", is_sandbox=False)
    mark = fingerprint(public)
    endpoints = Endpoints("", 0.0, public.base_url, 0.0, mark)
    await Vault(store).put(public, mark=mark, value="a-shared-token", lifetime_s=3600, endpoints=endpoints)
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    with pytest.raises(NotConfigured, match="address"):
        await make_client(lookup=lookup).invoke(call_to(public))

    assert asked == ["api-na1.niceincontact.com"]


def test_dns_that_changes_its_records_is_looked_at_each_time() -> None:
    responses = iter([["93.184.215.14"], ["169.254.169.254"]])
    rebound = Pins(lookup=lambda host, port: next(responses))

    assert rebound.resolve("api.niceincontact.com", 443) == ["93.184.215.14"]
    with pytest.raises(HostRefused):
        rebound.resolve("api.niceincontact.com", 443)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api-na1.niceincontact.com",
        "https://127.0.0.1",
        "https://[::1]",
        "https://2130706433",
        "https://0x7f.1",
        "https://017700000001",
        "https://169.254.169.254",
        "https://user@api-na1.niceincontact.com",
        "https://api-na1.niceincontact.com.attacker.example",
        "https://evilniceincontact.com",
        "https://api-na1.niceincontact.com.",
        "https://api-na1.niceincontact.com:8443",
        "https://api-na1.n\u0131ceincontact.com",
    ],
)
async def test_a_row_that_was_never_checked_is_checked_before_anything_is_sent(
    make_client: MakeClient, base_url: str
) -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"]

    with pytest.raises((NotConfigured, Unreachable)):
        await make_client(lookup=lookup).invoke(call_to(connection_to(base_url, is_sandbox=False)))

    assert asked == []


async def test_a_sandbox_connection_reaches_nothing_but_the_sandbox(sandbox: Running, make_client: MakeClient) -> None:
    elsewhere = connection_to("http://127.0.0.1:1")
    with pytest.raises(NotConfigured):
        await make_client().invoke(call_to(elsewhere))
    with pytest.raises(NotConfigured):
        await make_client(sandbox_hosts=[]).invoke(call_to(connection_to(sandbox.base_url)))
    assert sandbox.state.log.entries() == []


def test_a_session_follows_nothing_of_its_environment() -> None:
    with pins.session(pinned("93.184.215.14")) as http:
        assert not http.trust_env
        assert http.headers["Accept-Encoding"] == "identity"


async def test_the_clients_keep_no_cookie(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add({"fault": "status", "status": 200, "headers": {"Set-Cookie": "a=b; Path=/"}, "count": 1})
    connection = connect()
    await client.invoke(call_to(connection))
    await client.invoke(call_to(connection))
    assert "cookie" not in sandbox.state.log.entries()[-1].public()["headers"]
