"""Heads of columns for people. Programs get the columns' names, which never change."""

from __future__ import annotations

HEADS = {
    "at": "Time ({zone})",
    "start": "Start ({zone})",
    "first_at": "Not before ({zone})",
    "count": "Calls",
    "tenant_id": "Tenant",
    "action_id": "Action",
    "key_prefix": "API key",
    "request_id": "Request ID",
    "decision_id": "Decision ID",
    "policy_name": "Policy",
    "policy_version": "Policy version",
    "limit_name": "Limit",
    "used": "Used",
    "quota": "Limit set",
    "effective_limit": "Effective limit",
    "multiplier": "Multiplier",
    "cost": "Cost (units)",
    "retry_after_ms": "Wait (ms)",
    "shadow": "Shadow",
    "p95_ms": "p95 (ms)",
    "p95_samples": "Samples of p95",
    "threshold_ms": "p95 threshold (ms)",
    "mean_ms": "Mean (ms)",
    "p50_ms": "p50 (ms)",
    "p99_ms": "p99 (ms)",
    "position": "Place in chain",
    "hash": "Hash",
    "previous_hash": "Hash before",
    "kind": "Kind",
    "actor": "Person",
    "payload": "Details",
    "allowed": "Allowed",
    "refused": "Refused",
    "shadow_refused": "Would have been refused",
    "answered": "Answered",
    "upstream_error": "Upstream errors",
    "upstream_busy": "Upstream busy",
    "unreachable": "Upstream unreachable",
    "unknown": "Outcome unknown",
    "not_sent": "Not sent",
    "checked": "Checks",
    "given_back": "Units given back",
    "held_back": "Held back",
    "waited": "Waited",
    "returned": "Came back",
    "kept": "Retry-After kept",
    "time_zone": "Time zone",
}

TIMES = frozenset(name for name, shown in HEADS.items() if "{zone}" in shown)


def head(column: str, *, zone: str = "UTC") -> str:
    """A column's head, or its name if it has none; of a column of times with their zone."""
    return HEADS.get(column, column).replace("{zone}", zone)
