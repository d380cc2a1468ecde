"""What the limiter's store can answer instead of a decision.

StoreError
├── StoreUnavailable   not reached, too slow, read-only, out of memory: the policy's failure mode decides
│   └── OutcomeUnknown the command was sent and no reply came: it may have run, and is never sent again
└── ScriptFailed       the store refused the script: a fault of ours, treated like an absent store, logged loudly

Errors of sockets and of the protocol become these in ``pipeline`` and ``store``, and nowhere else.
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all."""


class StoreUnavailable(StoreError):
    """No decision can be had from the store right now."""


class StoreOutcomeUnknown(StoreUnavailable):
    """Sent, unanswered. Repeating it could count one call twice."""


class ScriptFailed(StoreError):
    """The store answered the script with an error."""
