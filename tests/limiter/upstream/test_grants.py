"""Any answer of a token endpoint is read as a grant, a refusal or a fault of the moment; and no secret is repeated."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from limiter.upstream.grants import (
    DEFAULT_LIFETIME_S,
    LONGEST_LIFETIME_S,
    Grant,
    GrantFailed,
    GrantRefused,
    masked,
    read,
    request_for,
)
from tests.limiter.upstream.conftest import CLIENT_SECRET, connection_to

NOW = 1_700_000_000.0


def jwt(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{part}.c2ln"


def grant(body: object, *, status: int = 200, waits_s: float | None = None) -> Grant:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(status, raw, waits_s=waits_s, secrets=("hunter2",), wall=NOW)


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": "3600"}, 3600),
        ({"expires_in": 1.5}, 1.5),
        ({"expiresIn": 1200}, 1200),
        ({}, DEFAULT_LIFETIME_S),
        ({"expires_in": 0}, DEFAULT_LIFETIME_S),
        ({"expires_in": -1}, DEFAULT_LIFETIME_S),
        ({"expires_in": None}, DEFAULT_LIFETIME_S),
        ({"expires_in": True}, DEFAULT_LIFETIME_S),
        ({"expires_in": "NaN"}, DEFAULT_LIFETIME_S),
        ({"expires_in": "inf"}, DEFAULT_LIFETIME_S),
        ({"expires_in": 10**400}, DEFAULT_LIFETIME_S),
        ({"expires_in": 10**9}, LONGEST_LIFETIME_S),
        ({"access_token": jwt(exp=NOW + 900)}, 900),
        ({"access_token": jwt(iat=NOW + 300, exp=NOW + 1200)}, 900),
        ({"access_token": jwt(exp=NOW - 900)}, DEFAULT_LIFETIME_S),
        ({"access_token": jwt(exp="soon")}, DEFAULT_LIFETIME_S),
        ({"access_token": "a.b.c"}, DEFAULT_LIFETIME_S),
        ({"access_token": "a.bm90IGpzb24.c"}, DEFAULT_LIFETIME_S),
    ],
)
def test_a_lifetime_is_found_or_assumed(said: dict[str, Any], lifetime: float) -> None:
    assert grant({"access_token": "abc"} | said).lifetime_s == pytest.approx(lifetime)


def test_both_spellings_are_read_and_claims_of_both_tokens() -> None:
    got = grant({"accessToken": jwt(area="na1", tenantId="a"), "idToken": jwt(tenantId="b"), "tokenType": "bearer"})
    assert got.claims == {"area": "na1", "tenantId": "b"}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[]",
        b'"abc"',
        b"\xff\xfe",
        {},
        {"access_token": ""},
        {"access_token": None},
        {"access_token": 5},
        {"access_token": "a b"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a" * 20_000},
    ],
    ids=repr,
)
def test_a_success_without_a_usable_token_is_a_fault_of_the_moment(body: object) -> None:
    with pytest.raises(GrantFailed):
        grant(body)


def test_a_token_that_is_not_a_bearer_token_is_refused() -> None:
    with pytest.raises(GrantRefused, match="not a Bearer"):
        grant({"access_token": "abc", "token_type": "mac"})


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (401, {"error": "invalid_client", "errorDescription": "no such app"}, GrantRefused, "invalid_client: no such"),
        (400, {"error": "invalid_grant", "error_description": "revoked"}, GrantRefused, "invalid_grant: revoked"),
        (401, {"error": "x", "error_Description": "y"}, GrantRefused, "x: y"),
        (403, {"message": "forbidden"}, GrantRefused, "forbidden"),
        (400, b"<html>", GrantRefused, "400"),
        (404, b"", GrantRefused, "token URL"),
        (400, {"error": "temporarily_unavailable"}, GrantFailed, "temporarily_unavailable"),
        (302, b"", GrantRefused, "Redirects are not followed"),
        (429, b"", GrantFailed, "429"),
        (500, b"<html>", GrantFailed, "500"),
        (503, {"error": 5}, GrantFailed, "503"),
    ],
)
def test_an_error_is_lasting_or_of_the_moment(status: int, body: object, kind: type[Exception], says: str) -> None:
    with pytest.raises((GrantRefused, GrantFailed), match=says) as caught:
        grant(body, status=status)
    assert type(caught.value) is kind


def test_the_wait_an_endpoint_asks_for_is_kept() -> None:
    with pytest.raises(GrantFailed) as caught:
        grant(b"", status=429, waits_s=7.0)
    assert caught.value.retry_after_s == 7


def test_a_reason_never_repeats_a_secret_or_a_line_break() -> None:
    with pytest.raises(GrantRefused) as caught:
        grant({"error": "invalid_client", "error_description": "hunter2\r\nis wrong" + "!" * 500}, status=401)
    assert "hunter2" not in caught.value.reason and "\n" not in caught.value.reason
    assert len(caught.value.reason) < 320


def test_masking_leaves_the_rest() -> None:
    assert masked("a hunter2 b hunter2", ("hunter2",)) == "a ••• b •••"


def test_a_secret_that_cannot_be_opened_says_to_enter_it_again() -> None:
    broken = connection_to("http://127.0.0.1:8801")
    object.__setattr__(broken, "client_secret_sealed", "v1:gAAAAA")

    with pytest.raises(GrantRefused, match="Enter it again"):
        request_for(broken, url="http://127.0.0.1:8801/oauth/token")


@pytest.mark.parametrize("preset", ["cxone_webaction", "cxone", "cxone_access_key"])
def test_a_request_and_a_grant_hide_what_they_hold(preset: str) -> None:
    request = request_for(connection_to("http://127.0.0.1:8801", preset), url="http://127.0.0.1:8801/t")
    shown = repr(request) + repr(grant({"access_token": "canary-token", "id_token": jwt(a="canary-claim")}))
    assert CLIENT_SECRET not in shown and "canary" not in shown
