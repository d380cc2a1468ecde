"""The web processes that one server has started, as they find each other: some for calls, some for pages.

Each takes the first free place, a unix socket under a name that follows from what only they have in common. The system
frees the place of a process that ends, however it ends, and the process that is started in its stead takes it. One that
is started before the one it replaces ends, as uvicorn does on SIGHUP, finds none free and looks again later.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import multiprocessing
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any, Protocol

_STATE = "neighbours"
"""Its name in the ASGI state."""
_CREDENTIALS = struct.Struct("3i")


class Group(StrEnum):
    """What a web process is there for."""

    CALLS = "calls"
    PAGES = "pages"


class PlaceNames(Protocol):
    """How the places are called on this system."""

    def address(self, place: str) -> str: ...

    def take(self, place: str, link: socket.socket) -> bool:
        """Bind ``link`` to this place; False when another process has it."""
        ...


class AbstractNames:
    """Linux: names without a file, which end with their process."""

    def __init__(self, secret: bytes) -> None:
        self._family = _family(secret)

    def address(self, place: str) -> str:
        return f"\0quota-platform/{self._family}/{place}"

    def take(self, place: str, link: socket.socket) -> bool:
        try:
            link.bind(self.address(place))
        except OSError:
            return False
        return True


class FileNames:
    """Elsewhere: files in a folder that nobody else may enter. A lock tells whether the process of a file lives."""

    def __init__(self, secret: bytes, *, parent: str = "") -> None:
        self._folder = Path(parent or tempfile.gettempdir()) / f"quota-{os.geteuid()}-{_family(secret)}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{self._folder} is not a folder of this process's own")
        self._locks: list[int] = []
        """Held for as long as this process lives."""

    def address(self, place: str) -> str:
        return str(self._folder / place)

    def take(self, place: str, link: socket.socket) -> bool:
        lock = os.open(self._folder / f"{place}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._locks.append(lock)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.address(place))
        link.bind(self.address(place))
        return True

    def release(self) -> None:
        """As the end of the process does."""
        while self._locks:
            os.close(self._locks.pop())


def _family(secret: bytes) -> str:
    return hashlib.blake2b(b"quota_platform.server.neighbours", key=secret[:64], digest_size=8).hexdigest()


def names() -> PlaceNames | None:
    """Those of the processes of this one's server; None for a process that was started alone."""
    if multiprocessing.parent_process() is None:
        return None
    secret = bytes(multiprocessing.current_process().authkey)
    return AbstractNames(secret) if sys.platform == "linux" else FileNames(secret)


class Neighbours:
    """One process among the others. ``group``: its own.

    ``listening``: where it will take connections over. Until it listens there, nobody reaches it; None: no place.

    Paths that begin like one of ``call_prefixes`` are calls, all others are pages.
    """

    def __init__(self, names: PlaceNames, *, sizes: Mapping[Group, int], call_prefixes: tuple[str, ...]) -> None:
        """Take a place, for pages first: there are callers' processes as soon as there are several."""
        self._names = names
        self._sizes = sizes
        self._prefixes = call_prefixes
        self._turn = count()
        self.group = Group.CALLS
        self.listening: socket.socket | None = None
        self._for_pages: Callable[[], None] | None = None
        self.take_place()

    def take_place(self) -> bool:
        """Take one that is free, unless this process has one. Whether it has now; without, it is there for calls."""
        if self.listening is None:
            self.group, self.listening = _placed(self._names, self._sizes)
            self._say_pages()
        return self.listening is not None

    def once_for_pages(self, act: Callable[[], None]) -> None:
        """Do this as soon as this process is there for pages, which it may be by now."""
        self._for_pages = act
        self._say_pages()

    def _say_pages(self) -> None:
        if self.group is Group.PAGES and self._for_pages is not None:
            self._for_pages()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Neighbours | None:
        """Those of the process whose ASGI state this is."""
        return state.get(_STATE)

    def keep_in(self, state: MutableMapping[str, Any]) -> None:
        state[_STATE] = self

    def elsewhere(self, path: str) -> bool:
        """Whether a request for ``path`` belongs to the other group."""
        return path.startswith(self._prefixes) is (self.group is Group.PAGES)

    def reach(self) -> socket.socket | None:
        """A link to a process of the other group, to each in turn; None when there is none, or none has room."""
        other = Group.CALLS if self.group is Group.PAGES else Group.PAGES
        first, places = next(self._turn), self._sizes[other]
        for number in range(places):
            link = socket.socket(socket.AF_UNIX)
            try:
                link.setblocking(False)
                link.connect(self._names.address(f"{other}-{(first + number) % places}"))
                if is_own(link):
                    return link
            except OSError:
                pass
            link.close()
        return None


def _placed(names: PlaceNames, sizes: Mapping[Group, int]) -> tuple[Group, socket.socket | None]:
    """The first free place; without one, a process for calls that takes no connection over."""
    link = socket.socket(socket.AF_UNIX)
    link.setblocking(False)
    for group in (Group.PAGES, Group.CALLS):
        for number in range(sizes[group]):
            if names.take(f"{group}-{number}", link):
                return group, link
    link.close()
    return Group.CALLS, None


def is_own(link: socket.socket) -> bool:
    """Whether a process of the same user is at the other end. A name without a file is open to every user."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder of the names lets nobody else in
    _, user, _ = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return bool(user == os.geteuid())
