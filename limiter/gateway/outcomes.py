"""What the end of a call is recorded as."""

from __future__ import annotations

from limiter.upstream import errors
from limiter.upstream.call import UpstreamResponse

_OF = {
    errors.Unreachable: "unreachable",
    errors.OutcomeUnknown: "unknown",
    errors.Overloaded: "upstream_busy",
}
_DID_NOT_RUN = frozenset({"unreachable", "not_sent", "upstream_busy"})


def of_error(error: errors.UpstreamError) -> str:
    return _OF.get(type(error), "not_sent")


def of_response(response: UpstreamResponse) -> str:
    return "upstream_error" if response.judged >= 500 else "answered"


def did_not_run(error: errors.UpstreamError) -> bool:
    """True if the call certainly did nothing upstream: its charges are given back."""
    return of_error(error) in _DID_NOT_RUN and not error.may_have_run
