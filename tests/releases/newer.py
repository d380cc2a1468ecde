"""What a newer release may add to the values of an earlier one without raising a version, added everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from quota_platform.base import secrets

_BY_NAME = {"actions", "action_policy_ids", "upstream", "problems", "unreadable"}
"""Objects whose members are named by people, so that no field can be added to them."""


def with_more(shared: dict[str, Any]) -> dict[str, Any]:
    """The sample of a store with a field more in every value. Its ``secrets_key`` has to be in use."""
    store = {name: {**data, "value": _grown(name, data["value"])} for name, data in shared["store"].items()}
    return {**shared, "store": store, "news": more(shared["news"])}


def more(value: Any, name: str = "") -> Any:
    """An object with a field more, and so every object in it."""
    if isinstance(value, list):
        return [more(each) for each in value]
    if not isinstance(value, dict):
        return value
    grown = {key: more(each, key) for key, each in value.items()}
    return grown if name in _BY_NAME else grown | {"zone": {"of": "another"}}


def _grown(name: str, value: Any) -> Any:
    return next((grow(name, value) for pattern, grow in _GROWTH.items() if re.search(pattern, name)), value)


def _json(_: str, value: Any) -> Any:
    return json.dumps(more(json.loads(value)))


def _fields_of_json(_: str, value: Any) -> Any:
    return {field: json.dumps(more(json.loads(text))) for field, text in value.items()}


def _token(name: str, value: str) -> str:
    mark, _, sealed = value.partition(".")
    purpose = f"token:{name.rpartition(':')[2]}"
    return f"{mark}.{_sealed(sealed, purpose)}"


def _respond(name: str, value: str) -> str:
    return value[:33] + _sealed(value[33:], name) if value[0] == "a" else f"{value}+new" if value[0] in "ul" else value


def _sealed(sealed: str, purpose: str) -> str:
    plain = json.loads(secrets.unseal(sealed, purpose=purpose))
    return secrets.seal(json.dumps(more(plain)), purpose=purpose)


def _entries(_: str, value: Any) -> Any:
    return [[entry, {"zone": "b", **fields} | _described(fields)] for entry, fields in value]


def _described(fields: dict[str, str]) -> dict[str, str]:
    return {"event": _event(fields["event"])} if "event" in fields else {}


def _floods(_: str, value: Any) -> Any:
    return {kind: _event(text) if kind.endswith("|last") else text for kind, text in value.items()}


def _event(text: str) -> str:
    head, states, limits = text.split("\n", 2)
    return "\n".join((head, states, ";".join(f"{limit}|new" for limit in limits.split(";") if limit)))


_GROWTH: dict[str, Callable[[str, Any], Any]] = {
    r"^cache:|^q:(endpoints|health):": _json,
    r"^q:(tasks|workers)$": _fields_of_json,
    r"^q:token:": _token,
    r":answer:": _respond,
    r":(events|changes)$": _entries,
    r":floods$": _floods,
    r":evidence$": lambda _, value: {field: f"{text}|7|new" for field, text in value.items()},
    r":lat:": lambda _, value: [f"{text}:new" for text in value],
    r":usage$": lambda _, value: {**value, "30000000|acme|lookupOrder|steered": "3"},
    r":totals$": lambda _, value: {**value, "acme|steered": "3", "acme|ms_new": "1"},
    r"^q:connections$": lambda _, value: [*value, "{new}"],
}
