"""How many files this process may open: a connection takes one, and a service manager often starts with few."""

from __future__ import annotations

import contextlib
import resource


def allow(wanted: int) -> int:
    """Let this process open ``wanted`` files, as far as its hard limit reaches. Returns how many it may open now.

    No more than is wanted: hard limits of a thousand million exist, and programs that go through all of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= within:
        return wanted if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(ValueError, OSError):  # the system may allow less than its hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
