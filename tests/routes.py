"""Addresses of every route that Django serves, found in the resolver, so that a new page joins the tests of all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver

SAMPLES = {"UUIDConverter": uuid.UUID(int=1), "IntConverter": 1}
"""By the kind of the parameter; any other, and those of regular expressions, take a text."""


class Route(NamedTuple):
    """``name`` with the namespaces before it; ``parameters``: their names, each with a value that fits."""

    path: str
    name: str
    parameters: dict[str, Any]


def routes() -> list[Route]:
    return list(_walk(get_resolver("quota_platform.urls"), "", ""))


def _walk(resolver: URLResolver, before: str, namespace: str) -> Iterator[Route]:
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _walk(each, path, inner)
        elif each.name:
            yield Route(path.replace("^", ""), f"{namespace}{each.name}", _parameters(each))


def _parameters(pattern: URLPattern) -> dict[str, Any]:
    converters = pattern.pattern.converters
    names = converters or pattern.pattern.regex.groupindex
    return {name: SAMPLES.get(type(converters.get(name)).__name__, "1") for name in names}
