"""How 95441a9 reads what processes share: its own rules, kept as they were, for what today's writers write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

RUN = {"at", "ok", "took_ms", "done", "error"}
FAULT = {"reason", "since", "retry_at", "failures", "lasting", "fingerprint"}
ENDPOINTS = {"token_url", "token_at", "api_base", "api_at", "fingerprint"}
CUT = {"tenant_id", "last", "head", "rows", "refusals", "until", "signature"}
ALGORITHMS = {"sliding_log", "sliding_counter", "token_bucket", "concurrency"}
COUNTED_PER = {"action", "tenant", "key", "connection"}


def dataclass_of(fields: set[str], required: set[str], text: str) -> dict[str, Any]:
    """``Class(**json.loads(text))``: a TypeError for a field more, or one that is needed and missing."""
    content: dict[str, Any] = json.loads(text)
    if not required <= content.keys() <= fields:
        raise TypeError(f"{sorted(content)} is not {sorted(fields)}")
    return content


def run(text: str) -> dict[str, Any]:
    return dataclass_of(RUN, RUN - {"done", "error"}, text)


def fault(text: str) -> dict[str, Any]:
    return dataclass_of(FAULT, FAULT, text)


def endpoints(text: str) -> dict[str, Any]:
    return dataclass_of(ENDPOINTS, set(), text)


def token(text: str) -> tuple[Any, ...]:
    data = json.loads(text)
    return data["mark"], data["value"], data["api_base"], float(data["lifetime_s"])


def remembered(text: str) -> tuple[Any, ...]:
    data = json.loads(text)
    return data["status"], [(name, value) for name, value in data["headers"]], data["latency_us"], data["ok"]


def heartbeat(text: str) -> tuple[Any, ...]:
    """What its /metrics and its live pages take from a heartbeat."""
    beat = json.loads(text)
    numbers = [
        *(beat["at"], beat["snapshot"]["seq"], len(beat["snapshot"]["problems"]), float(beat["store"]["available"])),
        *(beat["store"][name] for name in ("connections", "pool_size", "in_flight", "failures")),
        *(float(beat["degraded_since"] is not None), beat["records"]["waiting"], beat["records"]["lost"]),
    ]
    units = [
        (
            unit["name"],
            unit["breaker"] != "closed",
            *(unit[name] for name in ("calls", "failures", "repeats", "pushbacks")),
        )
        for unit in beat["upstream"].values()
    ]
    trips = beat["round_trips"]
    pairs = list(zip([*map(str, trips["bounds"]), "+Inf"], trips["counts"], strict=True))
    return numbers, units, pairs, trips["total_s"]


def refusal(text: str) -> tuple[Any, ...]:
    head, states, limits = text.split("\n", 2)
    at_us, folded, shadow, ppm, cost, tenant, action, decision_id, context = head.split("|", 8)
    key_prefix, _, request_id = context.partition("|")
    numbers = tuple(map(int, states.split(","))) if states else ()
    described = [description(part) for part in limits.split(";")] if limits else []
    if len(numbers) != 4 * len(described):
        raise ValueError(f"{len(described)} limits have {len(numbers)} numbers")
    head_numbers = tuple(map(int, (at_us, folded, ppm, cost)))
    return head_numbers, shadow == "1", (tenant, action, decision_id, key_prefix, request_id), numbers, described


def description(text: str) -> tuple[Any, ...]:
    parts = text.split("|")
    if len(parts) != 10:
        raise ValueError(f"a limit is described by 10 parts, not {len(parts)}")
    name, policy, version, algorithm, counted_per, *numbers = parts
    if algorithm not in ALGORITHMS or counted_per not in COUNTED_PER:
        raise ValueError(algorithm)
    return name, unquote(policy), int(version), algorithm, counted_per, *(int(number) for number in numbers)


def change(fields: Mapping[str, str]) -> tuple[Any, ...]:
    """A change of a multiplier."""
    numbers = (int(fields[name]) for name in ("at", "before", "after", "p95_us", "samples", "threshold_us", "pushback"))
    return fields["tenant"], fields["action"], *numbers


def lost(fields: Mapping[str, str]) -> tuple[int, int, int]:
    return int(fields["lost"]), int(fields["from"]), int(fields["until"])


def evidence(text: str) -> tuple[int, ...]:
    """Eight numbers, of which its scripts take the last for the end."""
    ppm, default, p95_us, samples, threshold, pushback_ppm, at_us, until_us = map(int, text.split("|"))
    return ppm, default, p95_us, samples, threshold, pushback_ppm, at_us, until_us


def sample(text: str) -> tuple[int, int | None, bool]:
    at, latency, pushed = text.split(":")
    return int(at), int(latency) if latency else None, pushed == "1"


def count(field: str, value: str) -> tuple[Any, ...]:
    minute, tenant, action, counter = (field.split("|") + [""] * 3)[:4]
    assert minute.isdecimal() and value.isdecimal() and counter
    return int(minute), tenant, action, counter, int(value)


def cached(value: Mapping[str, Any]) -> tuple[int, Any]:
    return value["seq"], value["data"]


def key(data: Mapping[str, Any]) -> tuple[str | None, frozenset[str]]:
    """A cached key's tenant, and those that a platform key acts for; a KeyError makes it read the row."""
    fields = {"id", "prefix", "digest", "tenant_id", "acts_for", "expires_at", "revoked"}
    content = dataclass_of(fields, fields - {"acts_for"}, json.dumps(dict(data)))
    return content["tenant_id"], frozenset(content["acts_for"])


def news(message: Mapping[str, Any]) -> int:
    return int(message["person"])


def cut(payload: Mapping[str, Any]) -> dict[str, Any]:
    return dataclass_of(CUT, CUT, json.dumps(dict(payload)))
