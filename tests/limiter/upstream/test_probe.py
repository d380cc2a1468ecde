"""The connection test says step by step what worked, and at the first failure what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from limiter.upstream.pins import Pins
from limiter.upstream.probe import ProbeStep, test_connection
from quota_platform.sandbox import Running, running_in_thread
from tenants.models import Connection
from tests.limiter.upstream.conftest import CLIENT_SECRET, KEY_ID, KEY_SECRET

Test = Callable[..., list[ProbeStep]]


@pytest.fixture
def unit() -> Iterator[Running]:
    with running_in_thread(clients={"demo-client": CLIENT_SECRET}, access_keys={KEY_ID: KEY_SECRET}) as sandbox:
        yield sandbox


def row(unit: Running, preset: str = "cxone_webaction", **fields: Any) -> Connection:
    given = {"is_sandbox": True, "base_url": unit.base_url, "client_id": "demo-client", "access_key_id": KEY_ID}
    made = Connection(name="unit", preset=preset, **given | fields)
    made.set_client_secret(CLIENT_SECRET)
    made.set_access_key_secret(KEY_SECRET)
    return made


def steps_of(unit: Running, connection: Connection) -> list[ProbeStep]:
    steps = test_connection(connection, pinned=Pins(sandbox_hosts=[unit.address]))
    shown = repr(steps)
    assert "canary" not in shown and not any(token in shown for token in unit.state.tokens.values())
    assert all(step.ok for step in steps[:-1])
    return steps


@pytest.mark.parametrize("preset", ["cxone_webaction", "cxone", "cxone_access_key", "generic_oauth2"])
def test_a_connection_that_works_passes_every_step(unit: Running, preset: str) -> None:
    steps = steps_of(unit, row(unit, preset))

    assert [step.name for step in steps][:3] == ["Find the token endpoint", "Resolve 127.0.0.1", "Get an access token"]
    assert len(steps) == 6 and steps[-1].ok, steps


def test_a_business_unit_says_who_it_is(unit: Running) -> None:
    steps = steps_of(unit, row(unit, "cxone"))

    assert "business unit 4600001" in steps[2].detail and "area na1" in steps[2].detail
    assert steps[5].name == "GET /inContactAPI/services/v30.0/server-time"
    assert steps[5].detail.startswith("Answered 200: ")


@pytest.mark.parametrize(
    ("fields", "name", "says"),
    [
        ({"client_id": "another"}, "Get an access token", "invalid_client"),
        ({"token_url": "https://evil.example/token"}, "Find the token endpoint", "may not be used"),
        ({"client_secret_sealed": ""}, "Get an access token", "No client secret is stored"),
        ({"client_secret_sealed": "v1:broken"}, "Get an access token", "Enter it again"),
        ({"preset": "cxone", "access_key_secret_sealed": ""}, "Get an access token", "No access key secret is stored"),
        ({"preset": "cxone", "access_key_id": "x"}, "Get an access token", "invalid_grant"),
        ({"probe_path": "/nowhere"}, "GET /nowhere", "Check the base URL"),
    ],
)
def test_the_fault_is_the_last_step(unit: Running, fields: dict[str, Any], name: str, says: str) -> None:
    connection = row(unit)
    for field, value in fields.items():
        setattr(connection, field, value)

    last = steps_of(unit, connection)[-1]

    assert (last.name, last.ok) == (name, False)
    assert says in last.detail


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"fault": "401"}, "does not accept the token"),
        ({"fault": "403"}, "lacks a right"),
        ({"fault": "redirect"}, "Redirects are not followed"),
        ({"fault": "500"}, "fails"),
        ({"fault": "404"}, "Check the base URL"),
        ({"fault": "reset_before_headers"}, "not reached"),
        ({"fault": "reset_mid_body"}, "not reached"),
    ],
)
def test_a_response_of_the_api_is_put_in_words(unit: Running, fault: dict[str, Any], says: str) -> None:
    unit.state.faults.add(fault | {"where": "records"})

    last = steps_of(unit, row(unit, "cxone"))[-1]

    assert not last.ok and says in last.detail


def test_a_name_that_leads_inside_is_refused(unit: Running) -> None:
    steps = test_connection(
        row(unit, is_sandbox=False, base_url="https://api.niceincontact.com"),
        pinned=Pins(lookup=lambda h, p: ["10.0.0.1"]),
    )

    assert (steps[-1].name, steps[-1].ok) == ("Resolve api.niceincontact.com", False)
    assert "public internet" in steps[-1].detail


def test_a_name_that_does_not_resolve_is_said_to(unit: Running) -> None:
    def lookup(host: str, port: int) -> list[str]:
        raise OSError("unknown")

    steps = test_connection(
        row(unit, is_sandbox=False, base_url="https://api.niceincontact.com"), pinned=Pins(lookup=lookup)
    )

    assert "does not resolve" in steps[-1].detail
