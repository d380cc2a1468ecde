"""A look into the body of a 2xx response whose action has a rule for the failures inside."""

from __future__ import annotations

import json

from limiter.upstream.call import UpstreamResponse
from tenants import failure
from tenants.directory import ActionSpec


def status_of(action: ActionSpec, response: UpstreamResponse) -> int | None:
    """The status that the response counts as; None for its own.

    Of a response that is streamed, because it is longer than SHORT_BYTES, nothing is known. A body that is no
    JSON, or is nested too deeply to be read, has no value anywhere.
    """
    if not 200 <= response.status < 300 or response.body is None:
        return None
    try:
        payload = json.loads(response.body) if response.body else None
    except (ValueError, RecursionError):
        payload = None
    return failure.status_of(action, payload)
