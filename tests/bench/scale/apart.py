"""Calls on one processor, and all that pages need on the others: as if these had a machine of their own.

The callers, the workers for calls, their store and upstream have the first processor; the pages worker, the database,
Celery and the people who page have the rest. They share the platform's code, the store and the memory bus only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import psutil


@contextlib.contextmanager
def apart(others: Iterable[psutil.Process]) -> Iterator[Callable[[], None]]:
    """Until the block ends. ``others``: processes that do not serve calls; each takes its descendants along.

    This process and its other descendants serve calls. One that it starts meanwhile inherits that, unless it runs the
    function that is yielded first. Raises RuntimeError on a machine of one processor.
    """
    everywhere = sorted(os.sched_getaffinity(0))
    if len(everywhere) < 2:
        raise RuntimeError("this machine has one processor; two are needed to separate calls from pages")
    other = {each.pid: each for root in others for each in _family(root)}
    calls = [each for each in _family(psutil.Process()) if each.pid not in other]
    try:
        _pin(other.values(), everywhere[1:])
        _pin(calls, everywhere[:1])
        yield partial(os.sched_setaffinity, 0, everywhere[1:])
    finally:
        _pin([*other.values(), *calls, *_family(psutil.Process())], everywhere)


def _family(root: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [root, *root.children(recursive=True)]
    return []


def _pin(processes: Iterable[psutil.Process], processors: list[int]) -> None:
    """Each thread: the system keeps the processors of each by itself."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, processors)
