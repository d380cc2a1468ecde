"""Tokens: every way to ask for one, every reason to be refused, and what makes one worthless."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from quota_platform.sandbox import Running
from tests.quota_platform.sandbox.conftest import CLIENT, KEY, KEY_SECRET, SECRET, Caller, Clock, Reply

BASIC = {"Authorization": aiohttp.encode_basic_auth(CLIENT, SECRET)}
IN_BODY = {"client_id": CLIENT, "client_secret": SECRET}
PASSWORD = {"grant_type": "password", "username": KEY, "password": KEY_SECRET}


async def ask(caller: Caller, path: str = "/auth/token", **options: Any) -> Reply:
    return await caller.send("POST", path, **options)


def claims(token: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(decoded(token.split(".")[1]))
    return values


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/oauth/token", {"data": {"grant_type": "client_credentials"} | IN_BODY}),
        ("/oauth/token", {"data": {"grant_type": "client_credentials"}, "headers": BASIC}),
        ("/auth/token", {"data": PASSWORD, "headers": BASIC}),
        ("/auth/token", {"data": PASSWORD | IN_BODY}),
        ("/auth/token", {"json": PASSWORD, "headers": BASIC}),
        ("/authentication/v1/token/access-key", {"json": {"accessKeyId": KEY, "accessKeySecret": KEY_SECRET}}),
        ("/authentication/v1/token/access-key", {"data": {"accessKeyId": KEY, "accessKeySecret": KEY_SECRET}}),
    ],
    ids=["form body", "basic", "password basic", "password body", "password json", "access key", "access key form"],
)
async def test_each_documented_request_gets_a_token_that_opens_the_api(
    caller: Caller, path: str, options: dict[str, Any]
) -> None:
    reply = await ask(caller, path, **options)
    assert reply.status == 200
    assert reply.json["token_type"] == "Bearer"
    assert reply.json["expires_in"] == 3600
    assert reply.headers["x-trace-id"]
    caller.token = reply.json["access_token"]
    assert (await caller.invoke()).status == 200


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"data": PASSWORD | IN_BODY | {"client_secret": "wrong"}}, 401, "invalid_client"),
        ({"data": PASSWORD | IN_BODY | {"client_id": "nobody"}}, 401, "invalid_client"),
        ({"data": PASSWORD}, 401, "invalid_client"),
        ({"data": PASSWORD, "headers": {"Authorization": "Basic !!!"}}, 401, "invalid_client"),
        ({"data": PASSWORD | IN_BODY | {"password": "wrong"}}, 401, "invalid_grant"),
        ({"data": IN_BODY}, 400, "invalid_request"),
        ({"data": PASSWORD | IN_BODY, "headers": BASIC}, 400, "invalid_request"),
        ({"data": {"grant_type": "client_credentials"} | IN_BODY}, 400, "unsupported_grant_type"),
        ({"data": {"grant_type": "implicit"} | IN_BODY}, 400, "unsupported_grant_type"),
        ({"data": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 400, "invalid_request"),
        ({"json": ["no", "object"]}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_request_is_refused_as_nice_documents_it(
    caller: Caller, options: dict[str, Any], status: int, error: str
) -> None:
    reply = await ask(caller, **options)
    assert (reply.status, reply.json["error"]) == (status, error)
    assert set(reply.json) == {"error", "errorDescription"}


async def test_a_client_bound_to_basic_is_refused_when_it_writes_into_the_body(caller: Caller) -> None:
    await caller.control("POST", "clients", {"client_id": CLIENT, "auth": "basic"})
    assert (await ask(caller, data=PASSWORD | IN_BODY)).json["error"] == "invalid_client"
    assert (await ask(caller, data=PASSWORD, headers=BASIC)).status == 200


async def test_genesys_spells_the_error_in_its_own_way(caller: Caller) -> None:
    reply = await caller.sign_in(client_secret="wrong")
    assert reply.json == {
        "error": "invalid_client",
        "description": "authentication failed",
        "error_description": "authentication failed",
    }


async def test_rules_change_status_and_spelling_of_errors(caller: Caller) -> None:
    await caller.control("PUT", "tokens", {"error_key": "error_description", "error_status": 400})
    reply = await ask(caller, data=PASSWORD | IN_BODY | {"password": "wrong"})
    assert reply.status == 400
    assert set(reply.json) == {"error", "error_description"}


async def test_the_global_endpoint_takes_client_credentials_once_allowed(caller: Caller) -> None:
    await caller.control("PUT", "tokens", {"allow_client_credentials": True})
    assert (await ask(caller, data={"grant_type": "client_credentials"} | IN_BODY)).status == 200


async def test_without_the_need_for_a_client_an_access_key_is_enough(caller: Caller) -> None:
    await caller.control("PUT", "tokens", {"require_client": False})
    assert (await ask(caller, data=PASSWORD)).status == 200
    assert (await ask(caller, data=PASSWORD | IN_BODY | {"client_secret": "wrong"})).status == 401


async def test_a_refresh_token_works_once(caller: Caller) -> None:
    first = (await ask(caller, data=PASSWORD | IN_BODY)).json["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": first} | IN_BODY
    assert (await ask(caller, data=form)).status == 200
    assert (await ask(caller, data=form)).json["error"] == "invalid_grant"


async def test_the_regional_refresh_takes_the_token_in_json(caller: Caller) -> None:
    first = (await ask(caller, data=PASSWORD | IN_BODY)).json["refresh_token"]
    assert (await ask(caller, "/public/user/refresh", json={"token": first})).status == 200
    assert (await ask(caller, "/public/user/refresh", json={"token": "made-up"})).status == 401


async def test_a_token_is_a_jwt_signed_by_the_published_key(caller: Caller, sandbox: Running, clock: Clock) -> None:
    token = (await ask(caller, data=PASSWORD | IN_BODY)).json["access_token"]
    key = (await caller.send("GET", "/auth/jwks")).json["keys"][0]
    n, e = (int.from_bytes(decoded(key[name]), "big") for name in ("n", "e"))
    text, _, signature = token.rpartition(".")
    rsa.RSAPublicNumbers(e, n).public_key().verify(
        decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    found = claims(token)
    assert (found["iss"], found["aud"], found["icBUId"]) == (sandbox.base_url, CLIENT, 4_600_001)
    assert (found["iat"], found["exp"]) == (int(clock.now), int(clock.now) + 3600)
    assert {"sub", "tenantId", "tenant", "icClusterId", "area", "userId", "role"} <= set(found)


async def test_a_clock_that_is_off_shows_in_the_claims_only(caller: Caller, clock: Clock) -> None:
    await caller.control("PUT", "tokens", {"clock_skew_seconds": -300})
    await caller.sign_in()
    assert claims(caller.token)["iat"] == int(clock.now) - 300
    assert (await caller.invoke()).status == 200


async def test_a_token_dies_at_the_end_of_its_life(caller: Caller, clock: Clock) -> None:
    await caller.control("PUT", "tokens", {"expires_in": 2})
    await caller.sign_in()
    clock.now += 1.999
    assert (await caller.invoke()).status == 200
    clock.now += 0.001
    late = await caller.invoke()
    assert (late.status, late.json["error"]) == (401, "invalid_token")
    assert late.headers["WWW-Authenticate"] == "Bearer"


async def test_the_control_api_moves_the_clock(signed_in: Caller) -> None:
    await signed_in.control("POST", "clock", {"advance_seconds": 3601})
    assert (await signed_in.invoke()).status == 401


async def test_revoked_tokens_are_refused_and_new_ones_are_not(signed_in: Caller) -> None:
    assert await signed_in.control("POST", "revoke") == {"revoked": 1}
    assert (await signed_in.invoke()).status == 401
    await signed_in.sign_in()
    assert (await signed_in.invoke()).status == 200


async def test_revoking_one_client_leaves_the_other_alone(signed_in: Caller) -> None:
    await signed_in.control("POST", "clients", {"client_id": "other", "client_secret": "s"})
    assert await signed_in.control("POST", "revoke", {"client_id": "other"}) == {"revoked": 0}
    assert (await signed_in.invoke()).status == 200


async def test_a_rotated_secret_replaces_the_old_one(caller: Caller) -> None:
    await caller.control("POST", "clients", {"client_id": CLIENT, "client_secret": "fresh"})
    assert (await caller.sign_in()).status == 401
    assert (await caller.sign_in(client_secret="fresh")).status == 200


async def test_a_removed_access_key_is_refused(caller: Caller) -> None:
    await caller.control("DELETE", "access-keys", {"access_key_id": KEY})
    assert (await ask(caller, data=PASSWORD | IN_BODY)).json["error"] == "invalid_grant"


@pytest.mark.parametrize("authorization", [None, "Bearer made-up", "Bearer", "Basic abc", "bearer "])
async def test_a_call_without_a_valid_token_gets_a_401(caller: Caller, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    assert (await caller.invoke(headers=headers)).status == 401


@pytest.mark.parametrize(
    ("scope", "rules", "status"),
    [
        ("", {}, 200),
        ("webaction:execute", {}, 200),
        ("webaction:execute other", {"require_scope": True}, 200),
        ("other", {}, 403),
        ("", {"require_scope": True}, 403),
    ],
)
async def test_a_token_with_scopes_needs_the_right_one(
    caller: Caller, scope: str, rules: dict[str, bool], status: int
) -> None:
    await caller.control("PUT", "tokens", rules)
    await caller.sign_in(**({"scope": scope} if scope else {}))
    assert (await caller.invoke()).status == status


async def test_camel_case_is_answered_where_the_rules_say_so(caller: Caller) -> None:
    await caller.control("PUT", "tokens", {"camel_case": True})
    reply = await ask(caller, data=PASSWORD | IN_BODY)
    assert {"accessToken", "tokenType", "refreshToken", "expiresIn", "idToken"} == set(reply.json)
