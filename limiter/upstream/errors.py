"""What can go wrong on the way to an upstream, as the caller has to see it.

UpstreamError
├── Unreachable            the call surely did not run                               502
├── OutcomeUnknown         sent, but no whole response came: it may have run           504 (timeout) / 502 (broken)
├── Overloaded             the upstream itself refused for load, also after retries  429 + its Retry-After
├── BreakerOpen            not sent: too many recent calls failed                    503 + Retry-After
├── NotConfigured          credentials refused, secret unreadable, host not allowed  502
├── PayloadRefused         not sent: the caller's values do not fit the action       422
└── Disabled               the connection is switched off                            503

Errors of the wire and of requests are mapped to these at the edge, in ``client`` and ``tokens``, and nowhere else.
"""

from __future__ import annotations


class UpstreamError(Exception):
    """Base of all. ``detail`` is safe to show to a caller: it holds no secret, no header and no upstream address."""

    status = 502

    def __init__(self, detail: str, *, retry_after_us: int | None = None, latency_us: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_us = retry_after_us
        self.latency_us = latency_us
        """How long the upstream took, when it is a real latency sample (a timeout counts as the timeout)."""
        self.attempts = 0
        """How many times the call was sent."""
        self.may_have_run = False
        """An earlier attempt of this call may have done its work, whatever became of the last one."""
        self.pushback = False
        """Some attempt of this call got a 429 or another overload status."""


class Unreachable(UpstreamError):
    """No connection was made, or the name did not resolve: the call did not run."""


class OutcomeUnknown(UpstreamError):
    """The request was sent and no whole response came back; it may or may not have run."""

    def __init__(
        self,
        detail: str,
        *,
        timed_out: bool = False,
        retry_after_us: int | None = None,
        latency_us: int | None = None,
    ) -> None:
        super().__init__(detail, retry_after_us=retry_after_us, latency_us=latency_us)
        self.timed_out = timed_out
        self.status = 504 if timed_out else 502


class Overloaded(UpstreamError):
    """The upstream answered 429 (or its preset's overload statuses) and the retries are spent."""

    status = 429


class BreakerOpen(UpstreamError):
    """Too many of the connection's recent calls failed; nothing was sent."""

    status = 503


class NotConfigured(UpstreamError):
    """The connection cannot work as it is set up: somebody has to change it in the admin."""


class PayloadRefused(UpstreamError):
    """The caller's values do not fit the action's templates; nothing was sent."""

    status = 422


class Disabled(UpstreamError):
    """The connection is switched off in the admin."""

    status = 503
