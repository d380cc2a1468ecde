"""Whether a server keeps to the OpenAPI document: generated requests, right and wrong, and checks of every response."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from quota_platform.openapi import views

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@cache
def contract() -> Any:
    return schemathesis.openapi.from_dict(json.loads(views.document()))


def operations(*prefixes: str) -> list[tuple[str, str]]:
    """``(method, path)`` of every documented operation whose path starts with one of these."""
    paths = json.loads(views.document())["paths"]
    return [(method.upper(), path) for path, item in paths.items() if path.startswith(prefixes) for method in item]


def check(
    method: str,
    path: str,
    *,
    examples: int,
    headers: Mapping[str, str],
    row: Mapping[str, Any] | None = None,
    **where: Any,
) -> Counter[int]:
    """Send ``examples`` generated requests of each kind and return how often each status was returned.

    ``where`` is ``app=`` (WSGI) or ``base_url=`` (a running server). ``row``: parameters of a path that is there; any
    other parameter is generated. The same requests every time, so that a run that fails can be repeated.
    """
    operation = contract()[path][method]
    seen: Counter[int] = Counter()
    known = {name: value for name, value in (row or {}).items() if f"{{{name}}}" in path}

    def one(case: Any) -> None:
        seen[case.call_and_validate(headers=dict(headers), checks=CHECKS, **where).status_code] += 1

    for mode in MODES:
        try:
            strategy = operation.as_strategy(generation_mode=mode, path_parameters=known or None)
            run = hypothesis.given(case=strategy)(one)
            hypothesis.settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(HealthCheck),
            )(run)()
        except hypothesis.errors.Unsatisfiable:
            continue  # nothing about this operation can be wrong
    return seen
