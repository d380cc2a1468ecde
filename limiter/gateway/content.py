"""A call's content, as far as its charge depends on it: read only for an action or a limit that needs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings

from limiter.core import values
from limiter.gateway.document import check_json
from limiter.gateway.problems import GatewayProblem
from quota_platform.base import json_pointer
from tenants import cost
from tenants.directory import ActionSpec


class Content(NamedTuple):
    """A request's body and headers, names in lower case."""

    body: bytes
    headers: Mapping[str, str]

    def payload(self, pointers: Sequence[str]) -> Any:
        """The body's value, None for no body; raises Problem.

        A name on the way of one of these pointers that stands twice in an object is refused: the upstream may take the
        other one.
        """
        check_json(self.body)
        if not self.body:
            return None
        wanted = {token for pointer in pointers for token in json_pointer.tokens(pointer)}

        def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) < len(pairs):
                names = [name for name, _ in pairs]
                for name in wanted & found.keys():
                    if names.count(name) > 1:
                        raise _refused(f"{name} stands twice in one object; send it once.")
            return found

        return json.loads(self.body, object_pairs_hook=once)


def values_of(counted_by: Sequence[str], content: Content, payload: Any) -> tuple[str, ...]:
    """The digests of a call's values, one for each pointer or header."""
    key = _key(settings.SECRET_KEY)
    found = (
        json_pointer.find(payload, place) if place.startswith("/") else content.headers.get(place.lower())
        for place in counted_by
    )
    return tuple(values.digest(value, key=key) for value in found)


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    """One purpose's own, made of the secret that all processes share."""
    return hashlib.sha256(b"limiter.gateway.content.values:" + secret.encode()).digest()


def cost_of(action: ActionSpec, payload: Any) -> int:
    """Units of a call with this payload; raises Problem 422 where the action finds no cost in it."""
    try:
        return cost.of(action, payload)
    except cost.CostUnknown as error:
        raise _refused(str(error)) from None


def _refused(detail: str) -> GatewayProblem:
    return GatewayProblem(422, "payload-refused", detail)
