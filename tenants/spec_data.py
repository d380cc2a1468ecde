"""Specs as plain data, for the copies that workers share."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tenants.directory import KeySpec, TenantSpec


def as_dict(spec: TenantSpec | KeySpec) -> dict[str, Any]:
    """A spec as plain JSON-able data, for the shared second level."""
    data = as_fields(spec)
    if isinstance(spec, TenantSpec):
        data["connection"] = as_fields(spec.connection)
        data["actions"] = {action_id: as_fields(action) for action_id, action in spec.actions.items()}
    return data


def as_fields(spec: Any) -> dict[str, Any]:
    """The fields of a frozen dataclass, themselves and not copies: ``asdict`` takes ten times as long."""
    names = spec.__dataclass_fields__
    return dict(zip(names, _getter(*names)(spec), strict=True))


@lru_cache(maxsize=16)
def _getter(*names: str) -> Callable[[Any], tuple[Any, ...]]:
    return operator.attrgetter(*names)
