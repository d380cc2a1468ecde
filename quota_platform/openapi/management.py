"""What every management route may answer besides success, and the reason that every write may carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quota_platform.base.api.resource import REASON_HEADER
from quota_platform.base.lean.problem import CONTENT_TYPE
from quota_platform.base.reason import MAX_REASON
from quota_platform.openapi import headers, schemas
from quota_platform.openapi.headers import Schema

_REASON: Schema = {
    "name": REASON_HEADER,
    "in": "header",
    "description": "Why the change is made; kept in its history. A `reason` in the body wins.",
    "schema": {"type": "string", "maxLength": MAX_REASON},
}
_IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "description": "The `ETag` of the row as you read it, or `*`: 412 if the row is another one now. Where it is left"
    " out and is required (PUT, PATCH of `limits` and `acts_for`, and the restoration of a version) you get 428.",
    "schema": {"type": "string", "maxLength": 1000},
}
_IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of what you have: 304 if nothing has changed.",
    "schema": {"type": "string", "maxLength": 1000},
}
_WRITES = ("post", "put", "patch", "delete")
_VERBS = {
    "_list": "List",
    "_retrieve": "Read one of the",
    "_partial_update": "Change one of the",
    "_update": "Replace one of the",
    "_revoke_create": "Revoke one of the",
    "_create": "Add to the",
    "_destroy": "Delete one of the",
}
"""How an operation's name ends -> how its summary begins."""
TAGS = {
    "gateway": "What callers use, with an API key.",
    "operation": "How a worker is, for load balancers and Prometheus.",
    "tenants": "The customers of the platform.",
    "actions": "What tenants may invoke.",
    "keys": "What callers present. The token is shown once, in the response that creates the key.",
    "connections": "Upstream accounts. Secrets are written and never read.",
    "policies": "Named sets of limits.",
    "assignments": "Which policy applies to everyone, a tenant or an action.",
    "overrides": "Temporary changes, with a reason and an end.",
    "alerts": "Limits that are nearly used up, and were.",
    "incidents": "Stretches of refusals by one limit.",
    "events": "The record of refusals, and why each was refused.",
}
"""In the order in which the documentation page shows them."""


def _problem(status: int, title: str, detail: str, *, schema: str = "Problem", **extra: Any) -> Schema:
    example = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "/api/policies/3/",
        "request_id": "5f3a9c0d1b7e42688c21ab90",
        **extra,
    }
    return {
        "description": title,
        "headers": headers.refer(*headers.ALWAYS),
        "content": {CONTENT_TYPE: {"schema": schemas.refer(schema), "example": example}},
    }


_INVALID = _problem(
    400,
    "Bad Request",
    "Not accepted: limits[1].quota.",
    schema="ValidationProblem",
    errors={"limits[1].quota": ["Ensure this value is greater than or equal to 1."]},
)
_INVALID["content"][CONTENT_TYPE]["schema"] = {"anyOf": [schemas.refer("ValidationProblem"), schemas.refer("Problem")]}
RESPONSES: dict[str, Schema] = {
    "400": _INVALID,
    "401": _problem(401, "Unauthorized", "Authentication credentials were not provided."),
    "403": _problem(403, "Forbidden", "You do not have permission to perform this action."),
    "404": _problem(404, "Not Found", "Not found."),
    "409": _problem(
        409,
        "Conflict",
        "This policy is at version 8 now; read it again and repeat your change.",
        schema="StaleProblem",
        current_version=8,
    ),
    "411": _problem(411, "Length Required", "Send the body with a Content-Length header, not in chunks."),
    "412": _problem(
        412,
        "Precondition Failed",
        "Somebody has changed this since you read it; nothing was done. Read it again and repeat yours.",
        schema="StaleProblem",
    ),
    "413": _problem(413, "Content Too Large", "The body may have at most 2,621,440 bytes."),
    "415": _problem(415, "Unsupported Media Type", 'Unsupported media type "text/plain" in request.'),
    "428": _problem(
        428,
        "Precondition Required",
        "This replaces what others may have changed meanwhile. Send the ETag of the row as you read it in If-Match,"
        " or * to replace whatever there is.",
    ),
    "429": _problem(429, "Too Many Requests", "Too many invalid tokens came from this address."),
    "503": _problem(503, "Service Unavailable", "The database did not complete this request; nothing was saved."),
}
RESPONSES["401"]["headers"] |= headers.refer("WWW-Authenticate")
RESPONSES["429"]["headers"] |= headers.refer("Retry-After")
RESPONSES["503"]["headers"] |= headers.refer("Retry-After")


def _statuses(path: str, method: str, operation: Schema) -> Iterator[str]:
    yield from ("400", "401", "403", "429", "503")
    if "{" in path or any(parameter["name"] == "page" for parameter in operation.get("parameters", ())):
        yield "404"
    if method in _WRITES:
        yield "409"
    if _is_one_row(path):
        yield "412"
    if _is_one_row(path) and _replaces(path, method):
        yield "428"
    if method in _WRITES and method != "delete":
        yield from ("411", "413", "415")


def _replaces(path: str, method: str) -> bool:
    """Whether the write may replace more than it names, and then needs If-Match (``WriteResource._has_to_say``)."""
    return method in ("put", "patch") or path.endswith("/restore/")


def _is_one_row(path: str) -> bool:
    """Whether the route is of a row that has a version; a decision is put together from several."""
    return "{" in path and not path.startswith("/api/decisions/")


def management_routes(result: Schema, **_: Any) -> Schema:
    """Postprocessing hook: complete the routes under /api/."""
    for path, item in result["paths"].items():
        for method, operation in item.items():
            if path.startswith("/api/") and method in ("get", *_WRITES):
                _complete(path, method, operation)
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False  # unknown fields are refused
    used = {tag for item in result["paths"].values() for operation in item.values() for tag in operation["tags"]}
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    result["tags"] += [{"name": name} for name in sorted(used - set(TAGS))]
    return result


def _complete(path: str, method: str, operation: Schema) -> None:
    found = {status: RESPONSES[status] for status in _statuses(path, method, operation)}
    operation["responses"] = dict(sorted({**found, **operation["responses"]}.items()))
    if method in _WRITES:
        operation.setdefault("parameters", []).append(_REASON)
    _say_versions(path, method, operation)
    for end, verb in _VERBS.items():
        if operation["operationId"].endswith(end):
            operation.setdefault("summary", f"{verb} {operation['tags'][0]}")
    operation.setdefault("summary", operation["operationId"].replace("_", " ").capitalize())
    if "201" in operation["responses"]:
        operation["responses"]["201"].setdefault("headers", {}).update(headers.refer("Location"))


def _say_versions(path: str, method: str, operation: Schema) -> None:
    """The conditions that a route of one row takes, and the tag that answers with a row carry."""
    if _is_one_row(path):
        parameters = operation.setdefault("parameters", [])
        parameters.append(_IF_MATCH)
        if operation["operationId"].endswith("_retrieve") and method == "get":
            parameters.append(_IF_NONE_MATCH)
            operation["responses"]["304"] = {"description": "Not Modified", "headers": headers.refer("ETag")}
    for status in ("200", "201"):
        response = operation["responses"].get(status)
        if response is not None and (_is_one_row(path) or status == "201"):
            response.setdefault("headers", {}).update(headers.refer("ETag"))
