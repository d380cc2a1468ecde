"""The effect of each fault: the response sent instead of running the call, or the damage to a good response."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

from quota_platform.sandbox.faults import PlannedFault
from quota_platform.sandbox.pushback import pushback
from quota_platform.sandbox.responses import HTML, Manner, SandboxResponse, api_error, empty
from quota_platform.sandbox.tokens import camel

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in.</p></body></html>"
BIG = 2_000_000


def spoil(fault: PlannedFault, *, good: SandboxResponse | None, now: float, trap: str) -> SandboxResponse:
    """The response under ``fault``. ``good``: the response without it, None when the call did not run.

    ``trap``: where a redirect leads when the rule names no place.
    """
    change = HARM.get(fault.name)
    response = change(good or empty(200), fault) if change else _status(fault, now=now, trap=trap)
    response.headers |= fault.headers
    response.pause_ms += fault.slow_ms
    return response


def _status(fault: PlannedFault, *, now: float, trap: str) -> SandboxResponse:
    given = fault.parameters
    response: SandboxResponse
    if fault.name in ("429", "503"):
        default = "bare" if fault.name == "429" else "busy"
        response = pushback(given.get("flavour", default), wait_s=given.get("retry_after_seconds", 1), now=now)
        response.status = int(fault.name)
    elif fault.name == "redirect":
        response = empty(given.get("status", 302))
        response.headers["Location"] = given.get("location", trap)
    else:
        status = given.get("status", 500) if fault.name == "status" else int(fault.name)
        response = api_error(status, error=f"sandbox_{status}", description="Scripted by a fault of the sandbox.")
    if "body" in given:
        body = given["body"]
        response.body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return response


def _manner(manner: Manner) -> Callable[[SandboxResponse, PlannedFault], SandboxResponse]:
    def change(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
        response.manner = manner
        return response

    return change


def _reset_mid_body(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.manner = Manner.RESET_MID_BODY
    response.body = _padded(response.body, size=fault.parameters.get("bytes", 2 * len(response.body) + 64))
    return response


def _truncated(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.body = response.body[: max(1, len(response.body) // 2)] or b"{"
    return response


def _malformed(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.body = b"{not json"
    return response


def _html(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.body, response.content_type = PAGE, HTML
    return response


def _content_type(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.content_type = fault.parameters.get("content_type", "text/plain; charset=utf-8")
    return response


def _gzip(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.body = gzip.compress(response.body)
    response.headers["Content-Encoding"] = "gzip"
    return response


def _big(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.body = b'{"padding":"' + b"x" * max(0, fault.parameters.get("bytes", BIG) - 14) + b'"}'
    return response


def _drip(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.manner = Manner.DRIP
    response.chunk_bytes = fault.parameters.get("chunk_bytes", 1)
    response.chunk_ms = fault.parameters.get("chunk_ms", 50)
    return response


def _error_in_200(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.status = 200
    rows = [{"success": False, "error": "InvalidRow"}]
    response.body = json.dumps({"errorCount": 1, "results": rows}).encode()
    return response


def _slow(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    return response


def _stall(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
    response.forever = True
    return response


def _on_fields(
    change: Callable[[dict[str, Any], PlannedFault], dict[str, Any]],
) -> Callable[[SandboxResponse, PlannedFault], SandboxResponse]:
    """A change of a token response's fields; an error response has none to change."""

    def apply(response: SandboxResponse, fault: PlannedFault) -> SandboxResponse:
        if response.status == 200:
            response.body = json.dumps(change(json.loads(response.body), fault)).encode()
        return response

    return apply


def _without(name: str) -> Callable[[SandboxResponse, PlannedFault], SandboxResponse]:
    return _on_fields(lambda fields, _: {n: v for n, v in fields.items() if n != name})


def _with(
    name: str, value: Callable[[dict[str, Any], PlannedFault], Any]
) -> Callable[[SandboxResponse, PlannedFault], SandboxResponse]:
    return _on_fields(lambda fields, fault: fields | {name: value(fields, fault)})


HARM: dict[str, Callable[[SandboxResponse, PlannedFault], SandboxResponse]] = {
    "close_before_headers": _manner(Manner.CLOSE_BEFORE_HEADERS),
    "reset_before_headers": _manner(Manner.RESET_BEFORE_HEADERS),
    "reset_mid_body": _reset_mid_body,
    "truncated_json": _truncated,
    "malformed": _malformed,
    "html": _html,
    "wrong_content_type": _content_type,
    "gzip": _gzip,
    "big_body": _big,
    "drip": _drip,
    "error_in_200": _error_in_200,
    "slow": _slow,
    "stall": _stall,
    "expires_in": _with("expires_in", lambda _, fault: fault.parameters.get("value")),
    "expires_in_missing": _without("expires_in"),
    "expires_in_string": _with("expires_in", lambda fields, _: str(fields["expires_in"])),
    "expires_in_zero": _with("expires_in", lambda *_: 0),
    "expires_in_negative": _with("expires_in", lambda *_: -1),
    "camel_case": _on_fields(lambda fields, _: camel(fields)),
    "no_id_token": _without("id_token"),
    "no_access_token": _without("access_token"),
    "empty_access_token": _with("access_token", lambda *_: ""),
}


def _padded(body: bytes, *, size: int) -> bytes:
    return body + b" " * max(0, size - len(body))
