"""Runs the demo's processes together: one log, one Ctrl-C, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Process

from quota_platform.demo.service import STORE, Service
from quota_platform.embedded import LAST_LINES, indented
from quota_platform.env import BASE_DIR

USERS_SECONDS = 6.0
"""How long the store's users may take to finish."""
STORE_SECONDS = 2.0


class Console(Printer):  # type: ignore[misc]  # honcho is not typed
    """honcho's printer, which keeps the end of each process's output.

    What the welcome says is printed as it is, so that its lines can be copied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LAST_LINES))

    def write(self, message: Message) -> None:
        if message.type == "line":
            data = message.data
            text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)).rstrip("\n")
            self.said[message.name].append(text)
            if message.name == "welcome":
                print(text, file=self.output, flush=True)
                return
        super().write(message)


class Child(Process):  # type: ignore[misc]  # honcho is not typed
    """honcho's process; its command also ends when the supervisor is killed and can stop nothing any more."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        threading.Thread(target=self._end_with_supervisor, daemon=True).start()
        super().run(events, ignore_signals)

    def _end_with_supervisor(self) -> None:
        supervisor = multiprocessing.parent_process()
        if supervisor is not None:
            supervisor.join()
            if self._child is not None:
                end({self._child.pid}, patience_seconds=USERS_SECONDS)
            os._exit(1)  # a normal exit would wait for somebody to read the last log lines


class Supervisor(Manager):  # type: ignore[misc]  # honcho is not typed
    """honcho's manager: when one process ends, all end; the store ends last, so that the others can write to it."""

    _terminating: bool

    def __init__(self, services: Iterable[Service]) -> None:
        self._console = Console()
        super().__init__(self._console)
        self._process_ctor = Child
        self.ended_first: tuple[str, int] | None = None
        """The process that ended of itself and its exit code; None when a signal asked for the end."""
        for service in services:
            command = "exec " + shlex.join(service.command)
            self.add_process(service.name, command, env=service.environment, cwd=str(BASE_DIR))

    def terminate(self) -> None:
        """Begin to end everything. Returns at once: honcho calls this from its signal handler too."""
        if self._terminating:
            return
        self._terminating = True
        codes = {name: entry["returncode"] for name, entry in self._processes.items() if "returncode" in entry}
        self.ended_first = next(iter(codes.items()), None)
        threading.Thread(target=self._end_all).start()

    def last_words(self, name: str) -> str:
        """The end of this process's output, which may be far above the later output of the others."""
        return indented(self._console.said[name])

    def kill(self) -> None:
        """Nothing: honcho would kill all five seconds after the first end; here each step has its own time."""

    def _end_all(self) -> None:
        while not self._all_started():
            time.sleep(0.02)
        pids = {name: entry["pid"] for name, entry in self._processes.items()}
        store = {pids.pop(STORE)} if STORE in pids else set()
        end(set(pids.values()), patience_seconds=USERS_SECONDS)
        end(store, patience_seconds=STORE_SECONDS)


def end(leaders: set[int], *, patience_seconds: float) -> None:
    """Ask each process group's leader to end, wait until the groups are gone, kill the rest."""
    for pid in leaders:
        _signal(os.kill, pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while (left := {pid for pid in leaders if _signal(os.killpg, pid, 0)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        _signal(os.killpg, pid, signal.SIGKILL)


def _signal(send: Any, pid: int, number: int) -> bool:
    """False when there is nobody to send to any more."""
    try:
        send(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
