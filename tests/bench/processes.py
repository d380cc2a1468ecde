"""A server under measurement: started, waited for, its CPU and memory read, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_START_SECONDS = 40
_PAGES = re.compile("[@\0]quota-platform/[0-9a-f]+/pages-[0-9]+")
"""The place of a process for pages."""


class Server:
    """One started server and its children. The caller that starts it must call :meth:`stop`."""

    def __init__(
        self, name: str, command: Sequence[str], *, port: int, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.port = port
        self.env = dict(env or {})
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def wait_until_listening(self) -> None:
        """Return once the port accepts; raises RuntimeError with the end of the server's output."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} does not listen on its port:\n{self.output()}")

    def output(self) -> str:
        """The last 2,000 characters the server wrote."""
        return self._log.read_text(errors="replace")[-2000:]

    def family(self) -> list[psutil.Process]:
        """The server's processes that still run."""
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """Processor seconds, user and system, that the server and its children have used."""
        total = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def rss_peak_bytes(self) -> int:
        """The most memory the largest of its processes has held since :meth:`forget_rss_peak`.

        Where the system keeps no such mark (it is Linux that does), the present memory.
        """
        return max((_peak(process) for process in self.family()), default=0)

    def forget_rss_peak(self) -> None:
        """Start the mark anew at the present memory."""
        for process in self.family():
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """End the server and its children: politely, then for good."""
        family = self.family()
        for process in family[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(10)


def pages_worker(parent: psutil.Process) -> psutil.Process | None:
    """Of a web server's processes, the one that pages are handed to; None while there is none."""
    for process in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            names = [each.laddr for each in process.net_connections(kind="unix")]
            if any(_PAGES.fullmatch(str(name)) for name in names):
                return process
    return None


def _peak(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        if found:
            return int(found[1]) * 1024
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
