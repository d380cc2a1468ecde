"""One demo per data directory."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InUse(SystemExit):
    """Another demo holds the directory."""


@contextmanager
def held(var: Path, *, say: Callable[[str], None], patience_seconds: float = 10) -> Iterator[None]:
    """Hold ``var`` for this demo; waits a little, because a killed demo's processes take some seconds to end.

    The lock is the kernel's: it is gone with the last process that inherited it, however that process ended.
    """
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (var / "demo.lock").open("w") as file:
        deadline = time.monotonic() + patience_seconds
        data = False
        while not _taken(file.fileno()):
            if time.monotonic() >= deadline:
                raise InUse(
                    f"Another demo is running in {var}. Stop it with Ctrl-C in its terminal,"
                    " or give this one a directory of its own: VAR_DIR=/some/where PORT=8001 make run"
                )
            if not data:
                say(f"Another demo is still using {var}; waiting for it to end")
                data = True
            time.sleep(0.1)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
