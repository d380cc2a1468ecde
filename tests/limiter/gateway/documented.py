"""A caller of the gateway that checks every response's headers against the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from quota_platform.base.lean.problem import CONTENT_TYPE
from quota_platform.openapi.gateway import gateway_routes
from tests.asgi import Answered, Caller

OF_ANY_RESPONSE = frozenset({"content-type", "content-length", "cache-control", "date"})


@cache
def _routes() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    paths = gateway_routes({"paths": {}})["paths"]
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item) for path, item in paths.items()]


def undocumented(method: str, path: str, response: Answered, passed: Iterable[str]) -> set[str]:
    """Names of headers that the document does not have for this response; ``passed``: those of the upstream."""
    found = next((item for pattern, item in _routes() if pattern.fullmatch(path)), {}).get(method.lower())
    if found is None:
        return set()
    # A status that is the upstream's own has the headers of any response of the upstream.
    ours = response.headers.get("content-type") == CONTENT_TYPE
    name = str(response.status) if ours or "default" not in found["responses"] else "default"
    documented = found["responses"].get(name, {}).get("headers", {})
    return set(response.headers) - OF_ANY_RESPONSE - {name.lower() for name in (*documented, *passed)}


class Passing(Protocol):
    headers: list[tuple[str, str]]


@dataclass
class DocumentedCaller(Caller):
    """``passed``: the upstream, with the headers of its responses."""

    passed: Passing

    async def call(self, method: str, path: str, **more: Any) -> Answered:
        response = await super().call(method, path, **more)
        names = (name for name, _ in self.passed.headers)
        found = undocumented(method, path, response, names)
        assert found == set(), (method, path, response.status, sorted(found))
        return response
