"""Processes that only compute, at the lowest priority there is: what a caller loses to them, it loses to the machine.

They touch no file, no socket and nothing of the platform, and leave their processor to any other process that wants it.
The rest is the doing of the scheduler, and of caches and cores that processors share.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_CODE = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    sum(range(1000))
"""


@contextlib.contextmanager
def computing() -> Iterator[None]:
    """One for each processor, until the block ends."""
    rivals = [subprocess.Popen([sys.executable, "-c", _CODE]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in rivals:
            each.kill()
            each.wait()
