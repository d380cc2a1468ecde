"""The gateway's answers as data: for each route and status its header fields, body and examples.

Problem examples are made by the code that makes the problems, so that type and title cannot drift from it.
"""

from __future__ import annotations

import json
from typing import Any

from limiter.core.types import Decision, Limit, LimitState
from limiter.gateway import problems
from limiter.gateway.problems import GatewayProblem
from quota_platform.base.lean.problem import CONTENT_TYPE, takes
from quota_platform.openapi import headers, schemas
from quota_platform.openapi.headers import ALWAYS, QUOTA, Schema

FAILED_KEYS = problems.too_many_failed_keys(1_000_000)
_REQUEST_ID = "5f3a9c0d1b7e42688c21ab90"
_DECISION_ID = "9f2c4be1a07d5c3386e15a4d"
_MINUTE = Limit("minute", "sliding_log", 100, window_us=60_000_000, policy_name="Base", policy_version=3)


def _refused(*, multiplier_ppm: int, used: int, effective: int) -> GatewayProblem:
    state = LimitState(_MINUTE, used=used, effective=effective, wait_us=6_400_000, reset_us=6_400_000)
    decision = Decision(False, _DECISION_ID, 0, 1, multiplier_ppm, (state,), retry_after_us=6_400_000)
    names = {"decision_id": _DECISION_ID, "tenant_id": "acme", "action_id": "lookupOrder"}
    return problems.refusal(decision, **names, reduced_status=429)


def problem(title: str, *found: GatewayProblem, instance: str, extra: tuple[str, ...] = ()) -> Schema:
    """A response that is a problem document, with an example of each kind it may be."""
    examples = {
        one.type.rpartition(":")[2].rpartition("#")[2]: {
            "value": json.loads(one.body(instance=instance, request_id=_REQUEST_ID))
        }
        for one in found
    }
    return {
        "description": title,
        "headers": headers.refer(*ALWAYS, *extra),
        "content": {CONTENT_TYPE: {"schema": schemas.refer("Problem"), "examples": examples}},
    }


def body(title: str, schema: Schema, example: Any, *extra: str, media_type: str = "application/json") -> Schema:
    """A response that is not an error."""
    return {
        "description": title,
        "headers": headers.refer(*ALWAYS, *extra),
        "content": {media_type: {"schema": schema, "example": example}},
    }


LIMIT_STATE = {
    "name": "minute",
    "algorithm": "sliding_log",
    "counted_per": "action",
    "policy": "Base",
    "policy_version": 3,
    "quota": 100,
    "window_seconds": 60,
    "burst": None,
    "used": 58,
    "effective_limit": 100,
    "remaining": 42,
    "reset_ms": 12000.0,
    "shadow": False,
}
_LEARNED = {
    "name": "(in flight)",
    "algorithm": "concurrency",
    "counted_per": "connection",
    "policy": None,
    "policy_version": None,
    "quota": 100,
    "window_seconds": None,
    "burst": None,
    "used": 3,
    "effective_limit": 25,
    "remaining": 22,
    "reset_ms": 0.0,
    "shadow": False,
}
_LIMITS = [LIMIT_STATE, _LEARNED]
DECISION = {
    "allowed": True,
    "decision_id": "9f2c4be1a07d5c3386e15a4d",
    "tenant_id": "acme",
    "action_id": "lookupOrder",
    "cost": 1,
    "adaptive_multiplier": 1.0,
    "degraded": False,
    "limits": _LIMITS,
}
EXPLAINED: dict[str, Any] = {
    "decision_id": "q5f3a9c0d1b7e426ajrcaqsb7aa2dmny",
    "tenant_id": "acme",
    "action_id": "lookupOrder",
    "request_id": None,
    "first_at": "2030-05-02T12:00:00+00:00",
    "at": "2030-05-02T12:00:00.936104+00:00",
    "one_of": 47,
    "sentence": "47 calls like this were refused: 100 of 100 units in 1 minute were in use under the limit 'minute',"
    " counted per tenant and action, and it needed 1.",
    "limit": "minute",
    "used": 100,
    "effective_limit": 100,
    "multiplier": 1.0,
    "cost": 1,
    "shadow": False,
    "passes_at": "2030-05-02T12:00:07.336104+00:00",
    "remedies": [
        "Waiting 6.4 s, until 2030-05-02 12:00:08 UTC.",
        "A limit 'minute' that comes to at least 101 (it came to 100).",
    ],
}
OWN_LIMITS: dict[str, Any] = {
    "tenant_id": "acme",
    "actions": [
        {
            "action_id": "lookupOrder",
            "allowed": True,
            "cost": 1,
            "retry_after_ms": 0.0,
            "adaptive_multiplier": 1.0,
            "degraded": False,
            "limits": _LIMITS,
        }
    ],
    "next": None,
}
USAGE: dict[str, Any] = {
    "tenant_id": "acme",
    "action_id": "lookupOrder",
    "current_usage": 58,
    "base_quota": 100,
    "adaptive_multiplier": 1.0,
    "effective_quota": 100,
    "window_seconds": 60,
    "degraded": False,
    "limits": _LIMITS,
    "adaptive": {"threshold_ms": 800, "sensitivity": 0.5, "p95_ms": 412.0, "samples": 100, "pushed_back": 0.0},
}


def identified(instance: str) -> dict[str, Schema]:
    """What every route that asks for an API key may answer."""
    return {
        "400": problem(
            "A platform key that does not name its tenant.",
            GatewayProblem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id."),
            instance=instance,
        ),
        "401": problem(
            "No key, or one that is malformed, unknown, expired or revoked: the same response for each.",
            problems.unauthorized(),
            instance=instance,
            extra=("WWW-Authenticate",),
        ),
        "403": problem(
            "The key may not act for that tenant, or tenant or action are switched off.",
            GatewayProblem(403, "forbidden", "This key may not act for that tenant."),
            GatewayProblem(403, "tenant-suspended", "Tenant acme is suspended."),
            GatewayProblem(403, "action-disabled", "Action lookupOrder is switched off."),
            instance=instance,
        ),
        "404": problem(
            "The tenant has no such action.",
            GatewayProblem(404, "action-unknown", "Tenant acme has no action of this ID."),
            instance=instance,
        ),
        "405": problem(
            "The route has no such method.",
            GatewayProblem(405, "method-not-allowed", takes(["POST"])),
            instance=instance,
            extra=("Allow",),
        ),
        "429": problem(
            "Many calls with invalid keys came from this address.",
            FAILED_KEYS,
            instance=instance,
            extra=("Retry-After",),
        ),
        "500": problem(
            "A fault of ours.",
            GatewayProblem(500, "internal", "The gateway failed; the fault is logged under this request ID."),
            instance=instance,
        ),
        "503": unavailable(instance),
    }


def unavailable(instance: str, *more: GatewayProblem, extra: tuple[str, ...] = ()) -> Schema:
    return problem(
        "Not now: a part that the call needs is unavailable, or the policy refuses with 503 during an adaptive cut.",
        GatewayProblem(503, "limiter-unavailable", "The limiter's store is unavailable and the policy is `closed`."),
        GatewayProblem(503, "policy-unavailable", "Policy 'Gold' cannot be compiled and no earlier version is held."),
        GatewayProblem(503, "directory-unavailable", "Neither the database nor the shared copy answers."),
        *more,
        instance=instance,
        extra=("Retry-After", *extra),
    )


def refused(instance: str, *more: GatewayProblem, extra: tuple[str, ...] = ()) -> Schema:
    """429 of a decision; ``more`` are others that share the status, ``extra`` more headers."""
    response = problem(
        "Over a limit. Retry-After, waited out, suffices if nobody else calls. Or many invalid keys.",
        _refused(multiplier_ppm=1_000_000, used=100, effective=100),
        _refused(multiplier_ppm=620_000, used=62, effective=62),
        FAILED_KEYS,
        *more,
        instance=instance,
        extra=("Retry-After", *QUOTA, *extra),
    )
    response["content"][CONTENT_TYPE]["schema"] = {"anyOf": [schemas.refer("Refusal"), schemas.refer("Problem")]}
    return response
