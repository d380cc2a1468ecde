"""A business unit is asked where it lives, once a day; should it not answer, the last response holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis.asyncio
import requests

from limiter.core import keys
from limiter.upstream import discovery, pins
from limiter.upstream.client import Client
from limiter.upstream.discovery import TTL_S, Discovery, Endpoints
from limiter.upstream.errors import NotConfigured
from limiter.upstream.grants import GrantRefused
from limiter.upstream.vault import fingerprint
from quota_platform.sandbox import Running, running_in_thread
from tenants.directory import ActionSpec, ConnectionSpec
from tests.limiter.upstream.conftest import Connect, HandClock, MakeClient, call_to, connection_to

NOW = 1_700_000_000.0
SCRIPT = ActionSpec(2, "start", kind="script_start", skill_id="1", script_path="A")


@pytest.fixture
def unit() -> Iterator[Running]:
    with running_in_thread(clients={"demo-client": "canary-secret"}, access_keys={"key": "canary-key"}) as sandbox:
        yield sandbox


@pytest.fixture
def http(unit: Running) -> Iterator[requests.Session]:
    with pins.session(pins.Pins(sandbox_hosts=[unit.address])) as session:
        yield session


def undiscovered(unit: Running, **fields: str) -> ConnectionSpec:
    """A unit that names its issuer only."""
    made = connection_to(unit.base_url, "cxone")
    return replace(made, **{"base_url": "", "issuer_url": unit.base_url} | fields)  # type: ignore[arg-type]


def ask(http: requests.Session, unit: Running, *, wall: float = NOW) -> Discovery:
    return Discovery(http, wall=wall, sandbox_hosts=frozenset([unit.address]))


def asked(unit: Running) -> int:
    return len(unit.state.log.entries(endpoint="discovery"))


def tenant_of(unit: Running) -> str:
    return next(iter(unit.state.accounts.units()))


def test_a_unit_says_where_its_endpoints_are(unit: Running, http: requests.Session) -> None:
    connection = undiscovered(unit)
    found = ask(http, unit).token_endpoint(connection, Endpoints())
    found = ask(http, unit).api_host(connection, found, claims={"tenantId": tenant_of(unit)})

    assert found.token_url == f"{unit.base_url}/auth/token"
    assert found.api_base.startswith(unit.base_url)
    assert (found.token_at, found.api_at) == (NOW, NOW)


def test_discovered_endpoints_are_cached_for_a_day(unit: Running, http: requests.Session) -> None:
    connection = undiscovered(unit)
    found = ask(http, unit).token_endpoint(connection, Endpoints())

    ask(http, unit, wall=NOW + TTL_S - 1).token_endpoint(connection, found)
    assert asked(unit) == 1
    ask(http, unit, wall=NOW + TTL_S).token_endpoint(connection, found)
    assert asked(unit) == 2


@pytest.mark.parametrize("fault", [{"fault": "500"}, {"fault": "html"}, {"fault": "404"}, {"fault": "redirect"}])
def test_the_last_endpoints_hold_when_there_are_no_new_ones(
    unit: Running, http: requests.Session, fault: dict[str, str]
) -> None:
    unit.state.faults.add(fault | {"where": "discovery"})
    connection = undiscovered(unit)
    old = Endpoints(f"{unit.base_url}/old/token", NOW - 2 * TTL_S, f"{unit.base_url}/old", NOW - 2 * TTL_S)

    found = ask(http, unit).token_endpoint(connection, old)
    found = ask(http, unit).api_host(connection, found, claims={"tenantId": tenant_of(unit)})

    assert found == old


def test_without_any_response_the_usual_token_endpoint_is_tried(unit: Running, http: requests.Session) -> None:
    unit.state.faults.add({"fault": "500", "where": "discovery"})

    found = ask(http, unit).token_endpoint(undiscovered(unit), Endpoints())

    assert (found.token_url, found.token_at) == (f"{unit.base_url}/auth/token", 0.0)


@pytest.mark.parametrize(
    ("fields", "claims"), [({"area": "eu1"}, {}), ({}, {"area": "eu1"}), ({"area": "eu1"}, {"area": "na1"})]
)
def test_without_any_response_the_area_names_the_api_host(
    unit: Running, http: requests.Session, fields: dict[str, str], claims: dict[str, str]
) -> None:
    unit.state.faults.add({"fault": "500", "where": "discovery"})
    connection = replace(undiscovered(unit, **fields), is_sandbox=False)

    found = ask(http, unit).api_host(connection, Endpoints(), claims=claims | {"tenantId": "t"})

    assert (found.api_base, found.api_at) == ("https://api-eu1.niceincontact.com", 0.0)


@pytest.mark.parametrize("claims", [{}, {"area": "../evil"}, {"area": ["na1"]}, {"tenantId": "a&b=c"}])
def test_a_unit_that_cannot_be_found_is_refused_with_the_remedy(
    unit: Running, http: requests.Session, claims: dict[str, object]
) -> None:
    with pytest.raises(GrantRefused, match="Enter the base URL, or the area"):
        ask(http, unit).api_host(undiscovered(unit), Endpoints(), claims=claims)
    assert asked(unit) == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/token",
        "http://api.niceincontact.com",
        "https://169.254.169.254",
        "not a url",
        "https://[::1",
        "https://api-na1.niceincontact.com\\.evil.example",
        "https://evil.example\n.niceincontact.com",
        "https://a%2f.niceincontact.com",
        "https://xn--a.niceincontact.com",
        "https://[fe80::1%25eth0]",
        "https://0x7f000001",
    ],
)
def test_a_response_that_leads_elsewhere_is_refused(unit: Running, http: requests.Session, url: str) -> None:
    public = replace(undiscovered(unit), is_sandbox=False)
    known = Endpoints(url, NOW, url, NOW)

    with pytest.raises(GrantRefused, match="token endpoint may not be used"):
        ask(http, unit).token_endpoint(public, known)
    with pytest.raises(GrantRefused, match="API host may not be used"):
        ask(http, unit).api_host(public, known, claims={})


def test_what_a_connection_says_itself_is_not_asked_for(unit: Running, http: requests.Session) -> None:
    connection = undiscovered(unit, base_url=f"{unit.base_url}/mine", token_url=f"{unit.base_url}/my/token")
    found = ask(http, unit).token_endpoint(connection, Endpoints())
    found = ask(http, unit).api_host(connection, found, claims={"tenantId": tenant_of(unit)})

    assert (found.token_url, found.api_base) == (f"{unit.base_url}/my/token", f"{unit.base_url}/mine")
    assert asked(unit) == 0


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b'{"unknown": 1}', b'{"fingerprint": "another"}'])
def test_stored_endpoints_that_are_not_of_these_settings_are_none(raw: bytes | None) -> None:
    assert discovery.parse(raw, fingerprint="mine") == Endpoints(fingerprint="mine")


async def test_a_call_goes_to_the_host_that_the_unit_named_and_every_worker_knows_it(
    sandbox: Running, make_client: MakeClient, store: redis.asyncio.Redis
) -> None:
    connection = undiscovered(sandbox)

    for client in (make_client(), make_client()):
        assert (await client.invoke(call_to(connection, SCRIPT))).ok

    paths = [entry.path for entry in sandbox.state.log.entries(endpoint="discovery")]
    assert paths == ["/.well-known/openid-configuration", "/.well-known/cxone-configuration"]
    stored = json.loads(await store.get(keys.endpoints(connection.uid)) or b"{}")
    assert stored["api_base"] and stored["fingerprint"] == fingerprint(connection)


async def test_endpoints_are_renewed_with_the_first_token_after_a_day(
    sandbox: Running, client: Client, store: redis.asyncio.Redis, clock: HandClock
) -> None:
    connection = undiscovered(sandbox)
    await client.invoke(call_to(connection, SCRIPT))
    clock.seconds += TTL_S
    await store.delete(keys.token(connection.uid))
    sandbox.state.faults.add({"fault": "500", "where": "discovery"})

    assert (await client.invoke(call_to(connection, SCRIPT))).ok
    assert asked(sandbox) == 4


async def test_a_unit_that_names_a_host_outside_is_reported(sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.faults.add(
        {"fault": "status", "status": 200, "where": "discovery", "body": {"token_endpoint": "https://evil.example/"}}
    )

    with pytest.raises(NotConfigured):
        await client.invoke(call_to(connect("cxone"), SCRIPT))

    assert sandbox.state.log.entries(endpoint="token") == []
