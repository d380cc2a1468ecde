"""The names of limits in words: what stands in a limit's place has a name in parentheses, which no policy can give."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from limiter.core.decision_ids import UPSTREAM
from limiter.core.in_flight import IN_FLIGHT
from limiter.core.sharing import PACE

NAMED = {
    "": gettext_noop("no limit: the store was unavailable"),
    UPSTREAM: gettext_noop("no limit: the upstream took no calls"),
    IN_FLIGHT: gettext_noop("calls in flight (learned)"),
    PACE: gettext_noop("pace of the connection"),
}
"""Live pages have the same words in ``browser.json``, as ``limit.named.<name>``."""


def limit_in_words(name: str) -> str:
    """The name of the limit that refused, or what stands in its place."""
    return _(NAMED[name]) if name in NAMED else name


def is_limit(name: str) -> bool:
    """Whether it counts calls, so that its use is worth showing."""
    return name not in ("", UPSTREAM)
