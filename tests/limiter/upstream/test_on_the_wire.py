"""What each preset sends, byte for byte as the sandbox logged it: the token request, then the call."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from limiter.upstream.client import Client
from quota_platform.sandbox import Running, masked
from tenants.directory import ActionSpec
from tests.limiter.upstream.conftest import CLIENT_SECRET, KEY_ID, KEY_SECRET, Connect, call_to

FORM = "application/x-www-form-urlencoded"
SECRET = masked("canary-client-secret%2F%2B%3D")
KEY = masked("canary-access-key-secret%3D%3D%3D%3D")


def basic(text: str) -> str:
    return "Basic " + masked(base64.b64encode(text.encode()).decode())


@dataclass(frozen=True)
class Wire:
    """One row: a connection and an action, and the two requests they make."""

    preset: str
    token_path: str
    token_type: str
    token_body: str
    authorization: str | None
    action: ActionSpec
    payload: dict[str, Any]
    path: str
    query: str = ""
    method: str = "POST"
    sends_body: bool = False
    fields: dict[str, Any] = field(default_factory=dict)


CXONE_SERVICES = "/inContactAPI/services/v30.0"
WIRES = {
    "web action": Wire(
        preset="cxone_webaction",
        token_path="/oauth/token",
        token_type=FORM,
        token_body="grant_type=client_credentials&scope=webaction%3Aexecute&client_id=demo-client"
        f"&client_secret={SECRET}",
        authorization=None,
        action=ActionSpec(1, "lookupOrder"),
        payload={"orderId": "42"},
        path="/webactions/lookupOrder/invoke",
        sends_body=True,
    ),
    "web action with Basic": Wire(
        preset="cxone_webaction",
        token_path="/oauth/token",
        token_type=FORM,
        token_body="grant_type=client_credentials",
        authorization=basic(f"demo-client:{CLIENT_SECRET}"),
        action=ActionSpec(1, "lookupOrder"),
        payload={},
        path="/webactions/lookupOrder/invoke",
        sends_body=True,
        fields={"client_auth": "basic", "scope": "-"},
    ),
    "Studio script": Wire(
        preset="cxone",
        token_path="/auth/token",
        token_type=FORM,
        token_body=f"grant_type=password&username=ACCESSKEYID%3D%3D%3D%3D&password={KEY}",
        authorization=basic(f"demo-client:{CLIENT_SECRET}"),
        action=ActionSpec(
            2,
            "start",
            kind="script_start",
            skill_id="4711",
            script_path="Main\\Call Back",
            param_map=("name", "n", "x"),
        ),
        payload={"name": "Ann & Bob=", "n": 7, "unused": "u"},
        path=f"{CXONE_SERVICES}/scripts/start",
        query="skillId=4711&scriptPath=Main%5CCall%20Back&Parameters=Ann%20%26%20Bob%3D%7C7%7C",
    ),
    "token request as JSON": Wire(
        preset="cxone",
        token_path="/auth/token",
        token_type="application/json",
        token_body=json.dumps({"grant_type": "password", "username": KEY_ID, "password": masked(KEY_SECRET)}),
        authorization=basic(f"demo-client:{CLIENT_SECRET}"),
        action=ActionSpec(3, "time", kind="rest", method="GET", path_template="{services}/server-time"),
        payload={},
        path="/inContactAPI/services/v33.0/server-time",
        method="GET",
        fields={"token_body": "json", "api_version": "v33.0"},
    ),
    "credentials in the body": Wire(
        preset="cxone",
        token_path="/auth/token",
        token_type=FORM,
        token_body=f"grant_type=password&username=ACCESSKEYID%3D%3D%3D%3D&password={KEY}&client_id=demo-client"
        f"&client_secret={SECRET}",
        authorization=None,
        action=ActionSpec(
            4, "item", kind="work_item", point_of_contact="Claims, new", query_template=(("workItemID", "C-{claim}"),)
        ),
        payload={"claim": 12},
        path=f"{CXONE_SERVICES}/interactions/work-items",
        query="pointOfContact=Claims%2C%20new&workItemID=C-12",
        fields={"client_auth": "body"},
    ),
    "access key alone": Wire(
        preset="cxone_access_key",
        token_path="/authentication/v1/token/access-key",
        token_type="application/json",
        token_body=json.dumps({"accessKeyId": KEY_ID, "accessKeySecret": masked(KEY_SECRET)}),
        authorization=None,
        action=ActionSpec(5, "item", kind="work_item", point_of_contact="Claims"),
        payload={"workItemID": "1", "workItemPayload": {"a": [1]}},
        path=f"{CXONE_SERVICES}/interactions/work-items",
        query="pointOfContact=Claims&workItemID=1&workItemPayload=%7B%22a%22%3A%20%5B1%5D%7D",
    ),
    "Genesys data action": Wire(
        preset="genesys",
        token_path="/oauth/token",
        token_type=FORM,
        token_body="grant_type=client_credentials",
        authorization=basic(f"demo-client:{CLIENT_SECRET}"),
        action=ActionSpec(6, "custom_-_ab12", kind="genesys_execute"),
        payload={"q": "é"},
        path="/api/v2/integrations/actions/custom_-_ab12/execute",
        sends_body=True,
    ),
    "any OAuth2 API": Wire(
        preset="generic_oauth2",
        token_path="/oauth/token",
        token_type=FORM,
        token_body="grant_type=client_credentials&scope=orders%3Aread&audience=https%3A%2F%2Forders.example",
        authorization=basic("demo-client:canary-client-secret/+=".replace("/+=", "%2F%2B%3D")),
        action=ActionSpec(
            7,
            "order",
            kind="rest",
            method="GET",
            path_template="/rest/orders/{orderId}",
            query_template=(("expand", "{expand}"), ("by", "{tenant_id}"), ("skip", "{skip}")),
        ),
        payload={"orderId": "a/../b?c#d", "skip": None, "expand": True},
        path="/rest/orders/a%2F..%2Fb%3Fc%23d",
        query="expand=true&by=acme",
        method="GET",
        fields={
            "scope": "orders:read",
            "token_extra_params": {"audience": "https://orders.example"},
            "basic_urlencode": True,
        },
    ),
}


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_preset_sends_exactly_this(wire: Wire, sandbox: Running, client: Client, connect: Connect) -> None:
    sandbox.state.accounts.add_client("demo-client", secret=_percent_encoded_too(wire))
    body = json.dumps(wire.payload).encode()

    response = await client.invoke(call_to(connect(wire.preset, **wire.fields), wire.action, body=body))

    assert response.ok and response.attempts == 1
    asked, called = (e.public() for e in sandbox.state.log.entries() if e.endpoint != "discovery")
    assert (asked["method"], asked["path"], asked["query"]) == ("POST", wire.token_path, "")
    assert (asked["headers"]["content-type"], asked["body"]) == (wire.token_type, wire.token_body)
    assert asked["headers"].get("authorization") == wire.authorization
    assert asked["headers"]["accept"] == "application/json"
    assert (called["method"], called["path"], called["query"]) == (wire.method, wire.path, wire.query)
    assert called["body"] == (body.decode() if wire.sends_body else "")
    assert called["headers"]["authorization"].startswith("Bearer ")
    assert sandbox.state.conduct.public()["ok"]


def _percent_encoded_too(wire: Wire) -> str:
    """The sandbox takes Basic credentials raw: where they are sent encoded, that is its client's secret."""
    return "canary-client-secret%2F%2B%3D" if wire.fields.get("basic_urlencode") else CLIENT_SECRET


async def test_a_call_carries_our_header_fields_and_no_others(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    given = {
        "accept-language": "de",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "named=by-connection",
        "connection": "tracestate, close",
        "authorization": "Bearer the-caller's-own",
        "cookie": "session=1",
        "host": "evil.example",
        "x-forwarded-for": "10.0.0.1",
        "content-length": "999",
        "transfer-encoding": "chunked",
        "x-tenant-id": "acme",
        "te": "trailers",
        "content-encoding": "gzip",
    }

    await client.invoke(call_to(connect(), headers=given))

    called = sandbox.state.log.entries(endpoint="webaction")[0].public()
    assert set(called["headers"]) == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "authorization",
        "x-correlation-id",
        "content-type",
        "content-length",
        "accept-language",
        "traceparent",
    }
    assert called["headers"]["host"] == sandbox.address
    assert called["headers"]["accept-encoding"] == "identity"
    assert called["headers"]["x-correlation-id"] == "req-1"
    assert called["headers"]["content-length"] == str(len(b'{"orderId": "42"}'))


async def test_a_response_keeps_only_the_headers_that_are_the_callers(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sent = {
        "Set-Cookie": "a=b",
        "Server": "x",
        "X-RateLimit-Limit": "9",
        "ETag": '"1"',
        "Location": "http://internal.example/1",
        "Keep-Alive": "timeout=5",
        "Content-Language": "de",
    }
    sandbox.state.faults.add({"fault": "status", "status": 201, "headers": sent, "body": {"a": 1}})

    response = await client.invoke(call_to(connect()))

    passed = {name.lower(): value for name, value in response.headers}
    assert passed.pop("content-type").startswith("application/json")
    trace = sandbox.state.trace_id(sandbox.state.log.entries(endpoint="webaction")[0])
    assert passed == {"etag": '"1"', "content-language": "de", "x-upstream-trace-id": trace}
