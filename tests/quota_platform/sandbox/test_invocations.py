"""What can be invoked: web actions, scripts, signals, work items, Genesys data actions, plain REST."""

from __future__ import annotations

import io

import aiohttp
import pytest
import yarl

from quota_platform.sandbox import Running, running
from tests.quota_platform.sandbox.conftest import CLIENT, Caller

SERVICES = "/inContactAPI/services/v30.0"
START = f"{SERVICES}/scripts/start?skillId=1&scriptPath=Prod%5COrders"


async def test_a_web_action_echoes_its_json(signed_in: Caller) -> None:
    reply = await signed_in.invoke(json={"order": "A-1"})
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (reply.json["actionId"], reply.json["received"]) == ("lookupOrder", {"order": "A-1"})
    assert {"x-trace-id", "Date"} <= set(reply.headers)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"nope"])
async def test_a_body_that_is_not_json_is_refused(signed_in: Caller, body: bytes) -> None:
    assert (await signed_in.invoke(json=None, data=body)).status == 400


async def test_a_body_over_a_megabyte_is_refused(signed_in: Caller) -> None:
    assert (await signed_in.invoke(json=None, data=io.BytesIO(b"1" * (2**20 + 1)))).status == 413


async def test_an_encoded_slash_stays_inside_the_action_id(signed_in: Caller, sandbox: Running) -> None:
    url = yarl.URL(sandbox.base_url + "/webactions/a%2Fb/invoke", encoded=True)
    headers = {"Authorization": f"Bearer {signed_in.token}", "Accept": "*/*"}
    async with signed_in.session.post(url, headers=headers) as response:
        assert (await response.json())["actionId"] == "a/b"
    assert sandbox.state.log.entries(endpoint="webaction")[0].path == "/webactions/a%2Fb/invoke"


async def test_a_scripted_response_takes_the_place_of_the_echo(signed_in: Caller) -> None:
    script = {"action": "lookupOrder", "status": 201, "body": {"ok": 1}, "headers": {"X-Mine": "yes"}}
    await signed_in.control("PUT", "answers", script)
    reply = await signed_in.invoke()
    assert (reply.status, reply.json, reply.headers["X-Mine"]) == (201, {"ok": 1}, "yes")
    assert (await signed_in.invoke("other")).json["actionId"] == "other"
    await signed_in.control("DELETE", "answers")
    assert (await signed_in.invoke()).status == 200


@pytest.mark.parametrize("prefix", ["/inContactAPI", "/InContactAPI", "/incontactapi", "/INCONTACTAPI"])
async def test_the_service_prefix_is_matched_in_any_case(signed_in: Caller, prefix: str) -> None:
    assert (await signed_in.send("GET", f"{prefix}/services/v31.0/server-time")).status == 200


async def test_a_started_script_is_a_contact_that_can_be_signalled(signed_in: Caller) -> None:
    contact = (await signed_in.send("POST", START)).json["contactId"]
    signal = await signed_in.send("POST", f"{SERVICES}/interactions/{contact}/signal?p1=yes")
    assert (signal.status, signal.raw) == (202, b"")
    assert (await signed_in.send("POST", f"{SERVICES}/interactions/1/signal")).status == 404
    assert (await signed_in.send("POST", f"{SERVICES}/interactions/x/signal")).status == 404


@pytest.mark.parametrize(
    ("query", "missing"), [("scriptPath=p", "skillId"), ("skillId=1", "scriptPath"), ("", "skillId")]
)
async def test_a_start_without_its_query_says_what_is_missing(signed_in: Caller, query: str, missing: str) -> None:
    reply = await signed_in.send("POST", f"{SERVICES}/scripts/start?{query}")
    assert reply.status == 400
    assert reply.json["error_Description"].startswith(missing)


async def test_a_start_takes_the_script_id_in_place_of_the_path(signed_in: Caller) -> None:
    assert (await signed_in.send("POST", f"{SERVICES}/scripts/start?skillId=1&scriptId=9")).status == 200


async def test_scripts_that_are_not_listed_are_not_found(signed_in: Caller) -> None:
    await signed_in.control("PUT", "contacts", {"scripts": ["Prod\\Orders"], "start_status": 202})
    assert (await signed_in.send("POST", START)).status == 202
    assert (await signed_in.send("POST", START.replace("Orders", "Other"))).status == 404


async def test_a_work_item_is_accepted_with_or_without_a_body(signed_in: Caller) -> None:
    path = f"{SERVICES}/interactions/work-items?pointOfContact=orders&workItemPayload=x"
    bare = await signed_in.send("POST", path)
    assert (bare.status, bare.raw) == (202, b"")
    await signed_in.control("PUT", "contacts", {"work_item_body": True})
    assert (await signed_in.send("POST", path)).json["contactId"] > 0
    assert (await signed_in.send("POST", path.split("?")[0])).status == 400


async def test_the_contacts_of_another_unit_are_not_found(signed_in: Caller) -> None:
    contact = (await signed_in.send("POST", START)).json["contactId"]
    other = {"client_id": "other", "client_secret": "s", "unit": 4_600_002}
    await signed_in.control("POST", "clients", other)
    await signed_in.sign_in(client_id="other", client_secret="s")
    assert (await signed_in.send("POST", f"{SERVICES}/interactions/{contact}/signal")).status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_plain_rest_says_what_arrived(signed_in: Caller, method: str) -> None:
    reply = await signed_in.send(method, "/rest/orders/7?full=1", data=b"hello")
    assert reply.json == {"method": method, "path": "/rest/orders/7", "query": "full=1", "body": "hello"}


async def test_genesys_counts_in_its_headers(signed_in: Caller) -> None:
    path = "/api/v2/integrations/actions/act-1/execute"
    first, second = [await signed_in.send("POST", path, json={"a": 1}) for _ in range(2)]
    assert first.json == {"actionId": "act-1", "received": {"a": 1}}
    assert [r.headers["inin-ratelimit-count"] for r in (first, second)] == ["1", "2"]
    assert first.headers["inin-ratelimit-allowed"] == "300"
    assert 1 <= int(first.headers["inin-ratelimit-reset"]) <= 60
    assert first.headers["ININ-Correlation-Id"] != second.headers["ININ-Correlation-Id"]
    refused = await signed_in.send("POST", path, data=b"{", headers={"Authorization": "Bearer no"})
    assert refused.status == 401
    assert "ININ-Correlation-Id" in refused.headers


async def test_without_accept_cxone_says_that_it_cannot_render(signed_in: Caller, sandbox: Running) -> None:
    signed_in.headers = {}
    for method, path in [("POST", "/webactions/a/invoke"), ("GET", f"{SERVICES}/server-time"), ("POST", START)]:
        reply = await signed_in.send(method, path)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
        assert reply.raw == b"No known way to render data"
    assert sandbox.state.counters.contacts == 1


async def test_the_read_only_records_respond(signed_in: Caller) -> None:
    unit = (await signed_in.send("GET", f"{SERVICES}/business-unit")).json["businessUnits"][0]
    assert (unit["businessUnitId"], type(unit["apiPublishedLimit"])) == (4_600_001, int)
    assert (await signed_in.send("GET", f"{SERVICES}/server-time")).json["serverTime"] == "2027-01-15T08:00:00.000Z"
    signed_in.token = ""
    assert "v30.0" in (await signed_in.send("GET", "/apiversion")).json["versions"]


async def test_skills_are_paged(signed_in: Caller, sandbox: Running) -> None:
    seen, url = [], f"{SERVICES}/skills?skip=0&top=100"
    while url:
        page = (await signed_in.send("GET", url)).json
        seen += page["skills"]
        url = (page["_links"]["next"] or "").removeprefix(sandbox.base_url)
    assert len(seen) == page["totalRecords"] == 250
    assert (await signed_in.send("GET", f"{SERVICES}/skills?top=101")).status == 400


async def test_discovery_leads_to_the_api(caller: Caller, sandbox: Running) -> None:
    openid = (await caller.send("GET", "/.well-known/openid-configuration")).json
    assert openid["token_endpoint"] == f"{sandbox.base_url}/auth/token"
    tenant = (await caller.control("GET", "clients"))["units"][0]["tenant_id"]
    found = (await caller.send("GET", f"/.well-known/cxone-configuration?tenantId={tenant}")).json
    assert (found["api_endpoint"], found["auth_endpoint"]) == (sandbox.base_url, sandbox.base_url)
    assert len(found) == 11
    unknown = await caller.send("GET", "/.well-known/cxone-configuration?tenantId=nobody")
    assert (unknown.status, unknown.json["error"]) == (404, "not_found")


async def test_discovery_returns_the_address_of_the_request(caller: Caller) -> None:
    reply = await caller.send("GET", "/.well-known/openid-configuration", headers={"Host": "sandbox:8801"})
    assert reply.json["token_endpoint"] == "http://sandbox:8801/auth/token"


async def test_a_second_unit_has_an_address_where_only_its_own_tokens_are_good(
    signed_in: Caller, sandbox: Running
) -> None:
    await signed_in.control("POST", "clients", {"client_id": "other", "client_secret": "s", "unit": 4_600_002})
    tenant = (await signed_in.control("GET", "clients"))["units"][1]["tenant_id"]
    found = (await signed_in.send("GET", f"/.well-known/cxone-configuration?tenantId={tenant}")).json
    path = found["api_endpoint"].removeprefix(sandbox.base_url) + "/webactions/a/invoke"
    assert (await signed_in.send("POST", path)).status == 401
    assert sandbox.state.conduct.breaches["foreign_token"] == 1
    await signed_in.sign_in(client_id="other", client_secret="s")
    assert (await signed_in.send("POST", path)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webactions/a/invoke", 405),
        ("POST", "/auth/jwks", 405),
        ("POST", "/webactions/a/b/invoke", 404),
        ("POST", "/nowhere", 404),
        ("POST", f"{SERVICES}/interactions/1/other", 404),
        ("POST", "/bu/4600001/nowhere", 404),
        ("GET", "/__sim__/nowhere", 404),
        ("GET", "/__sim__/reset", 405),
    ],
)
async def test_unknown_paths_and_methods_are_refused(signed_in: Caller, method: str, path: str, status: int) -> None:
    assert (await signed_in.send(method, path)).status == status


async def test_a_sandbox_without_accounts_lets_nobody_in() -> None:
    async with running() as sandbox, aiohttp.ClientSession() as session:
        assert (await Caller(sandbox.base_url, session).sign_in(client_id=CLIENT)).status == 401
