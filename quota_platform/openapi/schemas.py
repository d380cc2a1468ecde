"""Bodies that no serializer describes: problem documents, decisions and consumption."""

from __future__ import annotations

from typing import Any

from limiter.core.algorithms import RULES
from limiter.core.types import CountedPer

Schema = dict[str, Any]


def _object(description: str, required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def _of(kind: str, description: str = "", **more: Any) -> Schema:
    return {"type": kind, **({"description": description} if description else {}), **more}


def refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PROBLEM: dict[str, Schema] = {
    "type": _of("string", "What kind of problem; `about:blank` when the status says it all.", format="uri-reference"),
    "title": _of("string"),
    "status": _of("integer", minimum=400, maximum=599),
    "detail": _of("string", "What happened to this request, and what to do."),
    "instance": _of("string", "The path that was asked for."),
    "request_id": _of("string"),
}
_REFUSAL: dict[str, Schema] = {
    "error": _of("string", enum=["Rate limit exceeded"]),
    "tenant_id": _of("string"),
    "action_id": _of("string"),
    "violated-policies": _of("array", "Names of the limits that refused.", items={"type": "string"}, minItems=1),
    "limit": _of("integer", "The limit that binds, as its policy has it."),
    "used": _of("integer", "Units counted in its window."),
    "effective_limit": _of("integer", "The limit after the multiplier."),
    "multiplier": _of("number"),
    "decision_id": _of("string", "Names this refusal in the record."),
    "shares": _of(
        "array",
        "Of each shared limit: what refused (`ceiling`, `share`, or `limit` when that is full; null: nothing), the"
        " caller's share, its use of it, the units kept for others, those that it has borrowed above its even part, and"
        " those of that part that are lent to others.",
        items={"type": "object"},
    ),
}
_LIMIT_STATE: dict[str, Schema] = {
    "name": _of(
        "string", "As a line of the policy has it; in parentheses one that stands in none, such as `(in flight)`."
    ),
    "algorithm": _of("string", enum=list(RULES)),
    "counted_per": _of("string", enum=[str(c) for c in CountedPer]),
    "policy": _of("string", "Null for a limit that no policy has, such as the learned `(in flight)`.", nullable=True),
    "policy_version": _of("integer", "Null where the policy is.", nullable=True),
    "quota": _of("integer"),
    "window_seconds": _of("integer", nullable=True),
    "burst": _of("integer", nullable=True),
    "used": _of("integer"),
    "effective_limit": _of("integer"),
    "remaining": _of("integer"),
    "reset_ms": _of(
        "number",
        "Until the next unit becomes free; no more than `remaining` is to be had before. While nothing is used: as long"
        " as a unit taken now would be used. Of calls in flight 0, or the hint of a refusal.",
    ),
    "shadow": _of("boolean", "Recorded, never refused."),
}
_BY_VALUE: dict[str, Schema] = {
    "counted_by": _of("string", "Of a limit that counts by a value of the call: the header or JSON Pointer."),
    "value": _of("string", "The first digits of that value's digest; `-` without a value, `+` beyond the most values."),
}
_ADAPTIVE: dict[str, Schema] = {
    "threshold_ms": _of("number", "Above this p95 the limits shrink."),
    "sensitivity": _of("number"),
    "p95_ms": _of("number", "What the multiplier was last computed from.", nullable=True),
    "samples": _of("integer", "How many latencies that was; null while that cannot be read.", nullable=True),
    "pushed_back": _of(
        "number", "The share of calls that the upstream turned away for load; null like `samples`.", nullable=True
    ),
}
_LIMITS = _of("array", "Every limit that applies.", items=refer("LimitState"))
_ACTION_LIMITS: dict[str, Schema] = {
    "action_id": _of("string"),
    "allowed": _of("boolean", "Whether a call would pass now."),
    "cost": _of("integer", "Units that a call takes.", minimum=1),
    "retry_after_ms": _of("number", "0 if a call would pass; null when no wait can help.", nullable=True),
    "adaptive_multiplier": _of("number"),
    "degraded": _of("boolean", "Decided without the limiter's store, as the policy's failure mode says."),
    "limits": _LIMITS,
}
_VALUE_LIMITS: dict[str, Schema] = {
    "limits_by_value": _of(
        "array",
        "Limits that count by a value of the call, without a count: each value has its own (`/check?peek=1` reads it).",
        items={"type": "object"},
    ),
}

SCHEMAS: dict[str, Schema] = {
    "Problem": _object("RFC 9457: why a request was not done.", _PROBLEM),
    "ValidationProblem": _object(
        "RFC 9457: the rejected values, by field.",
        {
            **_PROBLEM,
            "errors": _of(
                "object",
                "Field, as `name` or `limits[1].quota`, and its messages; `non_field_errors` for the rest.",
                additionalProperties={"type": "array", "items": {"type": "string"}, "minItems": 1},
            ),
        },
    ),
    "StaleProblem": _object(
        "RFC 9457: the rows as they are now forbid the change.",
        _PROBLEM,
        {"current_version": _of("integer", "The version the policy has now, when it was read too early.")},
    ),
    "Refusal": _object(
        "RFC 9457: a call over its limits.",
        {**_PROBLEM, **_REFUSAL},
        {
            "retry_after_ms": _of(
                "number", "The exact wait; a hint where a concurrency limit refuses. Absent when no wait can help."
            ),
            **_BY_VALUE,
        },
    ),
    "Envelope": _object(
        "An upstream's answer as a tenant with `envelope` gets it.",
        {
            "status": _of("string", enum=["success", "error"]),
            "data": {"description": "The upstream's body.", "nullable": True},
            "latency_ms": _of("number"),
            "adaptive_multiplier": _of("number"),
        },
        {"error": _of("string", "With status error: what the upstream answered.")},
    ),
    "LimitState": _object("One limit and its count.", _LIMIT_STATE, _BY_VALUE),
    "Decision": _object(
        "How a call was, or would be, decided.",
        {
            "allowed": _of("boolean"),
            "decision_id": _of("string"),
            "tenant_id": _of("string"),
            "action_id": _of("string"),
            "cost": _of("integer", minimum=1),
            "adaptive_multiplier": _of("number"),
            "degraded": _of("boolean", "Decided without the limiter's store, as the policy's failure mode says."),
            "limits": _LIMITS,
        },
    ),
    "ExplainedRefusal": _object(
        "Why a call was refused.",
        {
            "decision_id": _of("string"),
            "tenant_id": _of("string"),
            "action_id": _of("string"),
            "request_id": _of("string", "Null for one of a flood that is not the last of it.", nullable=True),
            "first_at": _of("string", "None of the calls was before.", format="date-time"),
            "at": _of("string", "The last of the calls.", format="date-time"),
            "one_of": _of("integer", "Calls like it in this second; the numbers are those of the last.", minimum=1),
            "sentence": _of("string"),
            "limit": _of("string", "The name of the limit that refused."),
            "used": _of("integer"),
            "effective_limit": _of("integer"),
            "multiplier": _of("number"),
            "cost": _of("integer", minimum=1),
            "shadow": _of("boolean", "It passed; a shadow limit would have refused it."),
            "passes_at": _of("string", "Null when no wait can help.", format="date-time", nullable=True),
            "remedies": _of("array", items={"type": "string"}),
        },
    ),
    "OwnLimits": _object(
        "The tenant's actions that are switched on, with their limits as they stand for this key.",
        {
            "tenant_id": _of("string"),
            "actions": _of("array", items=_object("One action.", _ACTION_LIMITS, _VALUE_LIMITS), maxItems=100),
            "next": _of("string", "Where the actions after these are; null when these are the last.", nullable=True),
        },
    ),
    "Usage": _object(
        "Consumption now: the tightest limit, then all of them.",
        {
            "tenant_id": _of("string"),
            "action_id": _of("string"),
            "current_usage": _of("integer"),
            "base_quota": _of("integer", nullable=True),
            "adaptive_multiplier": _of("number"),
            "effective_quota": _of("integer", nullable=True),
            "window_seconds": _of("integer", nullable=True),
            "degraded": _of("boolean"),
            "limits": _LIMITS,
            "adaptive": {
                **_object("What the multiplier follows; null when no policy adapts.", _ADAPTIVE),
                "nullable": True,
            },
        },
    ),
}
