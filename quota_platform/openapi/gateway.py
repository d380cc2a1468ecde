"""The gateway's routes, which DRF cannot describe: their views read and answer without serializers."""

from __future__ import annotations

from typing import Any

from limiter.gateway.problems import GatewayProblem
from quota_platform.openapi import responses as r
from quota_platform.openapi import schemas
from quota_platform.openapi.headers import ALWAYS, HEADERS, QUOTA, UPSTREAM, WAIT, Schema, refer
from quota_platform.openapi.schemas import SCHEMAS

_INVOKE, _CHECK, _USAGE = "/invoke/lookupOrder", "/check/lookupOrder", "/metrics/acme/lookupOrder"
_KEY: list[dict[str, list[str]]] = [{"bearerKey": []}, {"headerKey": []}]
_SECURITY_SCHEMES: dict[str, Schema] = {
    "bearerKey": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer qk_…`"},
    "headerKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "metricsToken": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN of the deployment."},
}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}


def _path(name: str, description: str, *, most: int, example: str) -> Schema:
    schema = {**_NAME, "maxLength": most}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _header(name: str, description: str, **schema: Any) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}


_ACTION = _path("action_id", "An action of the tenant.", most=128, example="lookupOrder")
_TENANT = _path("tenant_id", "The tenant.", most=64, example="acme")
_CALLER = [
    _header("X-Tenant-Id", "Needed with a platform key; with a tenant's own key it must be that tenant.", maxLength=64),
    _header("X-Request-Id", "Sent on to the upstream and back.", maxLength=128, pattern="^[A-Za-z0-9._:-]{1,128}$"),
]
_AFTER_A_WAIT = ("401", "403", "404", "409", "422", "502", "503", "504")
"""A call that waited is identified and decided again, so it can end in any of these."""
_IDEMPOTENCY = _header("Idempotency-Key", "A repeat with the same key gets the first response.", maxLength=255)

_NO_COST = "/messages: this action takes its cost from here; send a list, or a number of 0 or more."
_PREFER = _header(
    "Prefer",
    "`wait=10`: wait up to 10 seconds for the call's turn instead of a refusal; `wait=0`: do not. Bounded by"
    " MAX_WAIT_SECONDS. RFC 7240.",
)


def _operation(name: str, tag: str, summary: str, replies: dict[str, Schema], **more: Any) -> Schema:
    return {"operationId": name, "tags": [tag], "summary": summary, **more, "responses": dict(sorted(replies.items()))}


def _invoke() -> Schema:
    anything: Schema = {}
    upstream = (*UPSTREAM, *QUOTA, *WAIT)
    replies = r.identified(_INVOKE)
    replies["200"] = r.body("The upstream's answer, unchanged.", anything, {"orderId": 42, "state": "sent"}, *upstream)
    replies["200"]["content"]["*/*"] = {"schema": anything}
    replies["default"] = {
        "description": "Any other status is the upstream's own answer, unchanged.",
        "headers": replies["200"]["headers"],
        "content": {"*/*": {"schema": anything}},
    }
    replies["400"] = r.problem(
        "The body is not JSON, a header is unusable, or a platform key does not name its tenant.",
        GatewayProblem(400, "body-not-json", "The body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        GatewayProblem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id."),
        GatewayProblem(400, "idempotency-key-invalid", "An Idempotency-Key is 1 to 255 printable ASCII characters."),
        instance=_INVOKE,
    )
    replies |= {
        "408": r.problem(
            "The body came too slowly.",
            GatewayProblem(408, "body-too-slow", "The body did not arrive within 10 s."),
            instance=_INVOKE,
        ),
        "409": r.problem(
            "The first call with this Idempotency-Key is under way, or its response cannot be repeated.",
            GatewayProblem(409, "idempotency-pending", "The first call with this Idempotency-Key has not ended yet."),
            GatewayProblem(409, "idempotency-too-long", "The first call was made, but its response is too long."),
            instance=_INVOKE,
        ),
        "413": r.problem(
            "The body is over MAX_BODY_BYTES.",
            GatewayProblem(413, "body-too-large", "A body may hold at most 262144 bytes."),
            instance=_INVOKE,
        ),
        "422": r.problem(
            "The Idempotency-Key belongs to another call, or a value does not fit the action; nothing was sent.",
            GatewayProblem(422, "idempotency-mismatch", "This Idempotency-Key was used for a call with another body."),
            GatewayProblem(422, "payload-refused", "The payload lacks orderId."),
            GatewayProblem(422, "payload-refused", _NO_COST),
            instance=_INVOKE,
            extra=QUOTA,
        ),
        "429": r.refused(
            _INVOKE,
            GatewayProblem(429, "upstream-overloaded", "The upstream refused for load, repeats included."),
            GatewayProblem(429, "wait-given-up", "The caller closed its side of the connection while its call waited."),
            extra=WAIT,
        ),
        "502": _envelope_too(
            r.problem(
                "The upstream was not reached, broke off, or cannot be used as it is set up.",
                GatewayProblem(
                    502, "upstream-unreachable", "No connection to the upstream was made; the call did not run."
                ),
                GatewayProblem(502, "upstream-outcome-unknown", "The response broke off; the call may have run."),
                GatewayProblem(502, "upstream-not-configured", "The upstream refused the connection's credentials."),
                instance=_INVOKE,
                extra=("X-Upstream-Latency-Ms", *QUOTA),
            )
        ),
        "503": r.unavailable(
            _INVOKE,
            GatewayProblem(503, "upstream-breaker-open", "Too many recent calls failed; nothing was sent."),
            GatewayProblem(503, "upstream-disabled", "The connection is switched off."),
            extra=QUOTA,
        ),
        "504": r.problem(
            "The upstream did not answer in time; the call may have run.",
            GatewayProblem(504, "upstream-outcome-unknown", "No response within 30 s; the call may have run."),
            instance=_INVOKE,
            extra=QUOTA,
        ),
    }
    for status in _AFTER_A_WAIT:
        replies[status]["headers"] |= refer(*WAIT)
    return _operation(
        "invoke",
        "gateway",
        "Invoke an action: decided by its limits, forwarded, with the upstream's response",
        replies,
        security=_KEY,
        parameters=[_ACTION, *_CALLER, _IDEMPOTENCY, _PREFER],
        requestBody={
            "description": "JSON, or nothing.",
            "content": {"application/json": {"schema": {}, "example": {"orderId": 42}}},
        },
    )


def _envelope_too(response: Schema) -> Schema:
    example = {
        "status": "error",
        "error": "The upstream answered 500.",
        "data": None,
        "latency_ms": 184.22,
        "adaptive_multiplier": 1.0,
    }
    response["content"]["application/json"] = {"schema": schemas.refer("Envelope"), "example": example}
    return response


def _check() -> Schema:
    peek = {
        "name": "peek",
        "in": "query",
        "description": "1 or true: count nothing, only look.",
        "schema": {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"},
    }
    replies = r.identified(_CHECK) | {
        "200": r.body("It may pass.", schemas.refer("Decision"), r.DECISION, *QUOTA),
        "400": r.problem(
            "The payload is needed and not JSON, a parameter is invalid, or a platform key does not name its tenant.",
            GatewayProblem(400, "body-not-json", "The body is not JSON that can be sent on."),
            GatewayProblem(400, "parameter-invalid", "The parameter peek is 1 or true, or 0 or false, once."),
            GatewayProblem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id."),
            instance=_CHECK,
        ),
        "422": r.problem(
            "The action takes its cost from the payload, and this one has none there; nothing was counted.",
            GatewayProblem(422, "payload-refused", _NO_COST),
            instance=_CHECK,
        ),
        "429": r.refused(_CHECK),
        "503": r.unavailable(_CHECK, extra=QUOTA),
    }
    return _operation(
        "check",
        "gateway",
        "Decide a call without forwarding it; counts like a call",
        replies,
        security=_KEY,
        parameters=[_ACTION, peek, *_CALLER],
        requestBody={
            "description": "The call's payload. Read only where the action's cost or a limit is taken from it.",
            "content": {"application/json": {"schema": {}, "example": {"orderId": 42}}},
        },
    )


def _decision() -> Schema:
    path = {
        "name": "decision_id",
        "in": "path",
        "required": True,
        "description": "As the refusal's body names it.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$"},
        "example": r.EXPLAINED["decision_id"],
    }
    where = f"/decisions/{r.EXPLAINED['decision_id']}"
    replies = r.identified(where) | {
        "200": r.body("Why the call was refused.", schemas.refer("ExplainedRefusal"), r.EXPLAINED),
        "404": r.problem(
            "No such refusal of this tenant, or none that is stored yet.",
            GatewayProblem(404, "not-found", "No refusal of your tenant is kept under this decision ID."),
            instance=where,
        ),
    }
    return _operation(
        "decision",
        "gateway",
        "Why a call of the key's tenant was refused, also one of a flood",
        replies,
        security=_KEY,
        parameters=[path, *_CALLER],
    )


def _limits() -> Schema:
    after = {
        "name": "after",
        "in": "query",
        "description": "Only actions whose IDs sort behind this one; `next` of the previous response has it.",
        "schema": {"type": "string", "maxLength": 128},
    }
    found = r.body("Each action, by its ID; 100 at most.", schemas.refer("OwnLimits"), r.OWN_LIMITS)
    replies = r.identified("/limits") | {"200": found}
    del replies["404"]
    return _operation(
        "limits",
        "gateway",
        "Every limit of each of the tenant's actions: use, rest and reset; counts nothing",
        replies,
        security=_KEY,
        parameters=[after, *_CALLER],
    )


def _usage() -> Schema:
    replies = r.identified(_USAGE) | {"200": r.body("Consumption now.", schemas.refer("Usage"), r.USAGE)}
    del replies["400"]
    return _operation(
        "usage",
        "gateway",
        "What an action has used; for its tenant's key, and for signed-in people with the right",
        replies,
        security=[*_KEY, {"cookieAuth": []}],
        parameters=[_TENANT, _ACTION, _CALLER[1]],
    )


def _prometheus() -> Schema:
    text = (
        "# HELP quota_decisions_total Calls decided.\n"
        "# TYPE quota_decisions_total counter\n"
        'quota_decisions_total{decision="allowed",tenant="acme"} 4711.0\n'
    )
    found = r.identified("/metrics")
    replies = {status: found[status] for status in ("401", "405", "500", "503")}
    replies["200"] = {
        "description": "The same numbers from every worker.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": text}},
    }
    security: list[dict[str, list[str]]] = [{"metricsToken": []}, {}]
    summary = "Metrics for Prometheus; with METRICS_TOKEN, or from one of METRICS_NETWORKS"
    return _operation("metrics", "operation", summary, replies, security=security)


def _probe(name: str, summary: str, *, example: dict[str, Any], failing: dict[str, Any] | None = None) -> Schema:
    replies = {"200": _plain("Yes.", example)}
    if failing:
        replies["503"] = _plain("No, and why.", failing)
    return _operation(name, "operation", summary, replies, security=[{}])


def _plain(description: str, example: dict[str, Any]) -> Schema:
    return {
        "description": description,
        "headers": refer(*ALWAYS),
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


def gateway_routes(result: Schema, **_: Any) -> Schema:
    """Postprocessing hook: add the gateway's paths and the components they name."""
    result["paths"] |= {
        "/invoke/{action_id}": {"post": _invoke()},
        "/check/{action_id}": {"post": _check()},
        "/decisions/{decision_id}": {"get": _decision()},
        "/limits": {"get": _limits()},
        "/metrics/{tenant_id}/{action_id}": {"get": _usage()},
        "/metrics": {"get": _prometheus()},
        "/healthz": {"get": _probe("healthz", "Is this worker alive?", example={"status": "alive"})},
        "/readyz": {
            "get": _probe(
                "readyz",
                "Is this worker to be sent calls, degraded or not? 503: it starts, or it drains.",
                example={"status": "degraded", "reasons": ["database-unavailable"]},
                failing={"status": "draining", "reasons": []},
            )
        },
    }
    components = result.setdefault("components", {})
    for section, found in (("headers", HEADERS), ("schemas", SCHEMAS), ("securitySchemes", _SECURITY_SCHEMES)):
        components[section] = {**components.get(section, {}), **found}
    return result
