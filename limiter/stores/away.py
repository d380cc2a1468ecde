"""Which error replies say that the store cannot work now: another matter than a command that is wrong."""

from __future__ import annotations

UNAVAILABLE = (
    "LOADING",
    "READONLY",
    "UNBLOCKED",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "NOREPLICAS",
    "NOAUTH",
)
"""First words of such replies. A server that a failover makes a replica says ``READONLY``, and ``UNBLOCKED`` to those
who wait.
"""


def is_unavailable(reply: object) -> bool:
    """Whether an error reply says so."""
    return str(reply).startswith(UNAVAILABLE)
