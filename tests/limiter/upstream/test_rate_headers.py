"""What an upstream's responses give of its own limit is read where a preset names it, and garbage is not."""

from __future__ import annotations

import pytest

from limiter.upstream.rate_headers import spent_for_s
from quota_platform.sandbox import Running
from tenants.directory import ConnectionSpec
from tenants.presets import PRESETS
from tests.limiter.upstream.conftest import START, Connect, MakeClient, call_to

GENERIC = PRESETS["generic_oauth2"].rate_headers


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": '"a";r=5;t=60, "b";r=0;t=7 , "c";r=0;t=9;pk=:YQ==:'}, 9),
        ({"RateLimit": '"b\\";r=0;t=5";r=1;t=7'}, None),
        ({"RateLimit": '"default";r=1;t=30'}, None),
        ({"RateLimit": '"default";r=0'}, None),
        ({"RateLimit": '"default";r=-1;t=30'}, None),
        ({"RateLimit": '"default";r=0;t=soon'}, None),
        ({"RateLimit": '"a";r=0;t=30, nonsense'}, None),
        ({"RateLimit": "limit=10, remaining=0, reset=30"}, None),
        ({"RateLimit": '"x' + "a" * 100_000}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "12"}, 12),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}, 12),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) + 20)}, 20),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((int(START) + 20) * 1000)}, 20),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) - 20)}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}, None),
        ({"X-RateLimit-Remaining": "0"}, None),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "12"}, None),
        ({"X-RateLimit-Remaining": "\u0660", "X-RateLimit-Reset": "12"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 400}, None),
        ({"inin-ratelimit-count": "300", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "9"}, None),
        ({}, None),
    ],
)
def test_headers_of_any_oauth2_api_say_how_long_nothing_is_left(headers: dict[str, str], wait_s: float | None) -> None:
    found = spent_for_s(list(headers.items()), GENERIC, wall=START)
    assert found == pytest.approx(wait_s, abs=1) if wait_s else found is None


@pytest.mark.parametrize(("count", "wait_s"), [("299", None), ("300", 9), ("301", 9), ("", None)])
def test_genesys_headers_give_the_used_units(count: str, wait_s: float | None) -> None:
    headers = [("ININ-ratelimit-count", count), ("inin-ratelimit-allowed", "300"), ("inin-ratelimit-reset", "9")]
    assert spent_for_s(headers, PRESETS["genesys"].rate_headers, wall=START) == wait_s


def test_a_header_that_comes_twice_is_one_list_and_a_number_that_does_is_none() -> None:
    twice = [("RateLimit", '"a";r=1;t=3'), ("ratelimit", '"b";r=0;t=4')]
    assert spent_for_s(twice, GENERIC, wall=START) == 4
    numbers = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Remaining", "5"), ("X-RateLimit-Reset", "4")]
    assert spent_for_s(numbers, GENERIC, wall=START) is None


@pytest.mark.parametrize("preset", ["cxone", "cxone_access_key", "cxone_webaction"])
def test_cxone_publishes_no_rate_headers(preset: str) -> None:
    assert PRESETS[preset].rate_headers == ()


@pytest.mark.parametrize(
    ("preset", "status", "heard"),
    [
        ("generic_oauth2", 200, [(200, 600.0)]),
        ("generic_oauth2", 404, [(404, 600.0)]),
        ("generic_oauth2", 429, [(429, 600.0)]),
        ("cxone_webaction", 200, []),
    ],
)
async def test_a_response_that_takes_the_last_of_a_limit_pauses_the_connection(
    sandbox: Running, make_client: MakeClient, connect: Connect, preset: str, status: int, heard: list[object]
) -> None:
    said: list[tuple[int, float | None]] = []

    def note(connection: ConnectionSpec, answered: int, wait_s: float | None, took_us: int | None) -> None:
        said.append((answered, wait_s))

    headers = {"RateLimit": '"unit";r=0;t=600'}
    sandbox.state.faults.add({"fault": "status", "status": status, "headers": headers})
    client = make_client(pushed_back=note)
    if status == 429:
        with pytest.raises(Exception, match="refused the call for load"):
            await client.invoke(call_to(connect(preset, max_retries=0)))
    else:
        await client.invoke(call_to(connect(preset, max_retries=0)))
    assert said == heard
