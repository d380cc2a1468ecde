"""A pipelined connection to the store: the commands of one event-loop tick leave in one write, or in a few.

redis-py costs about 80 us for a command alone and 26 us inside a pipeline; this costs about 6, because a command is
one write to a buffer and one future. It speaks RESP2 through hiredis and knows nothing of scripts or limits. A command
is never sent twice from here: who repeats it has to know that it did not run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, cast

import hiredis
from redis.connection import parse_url

from limiter.stores.connections import Seed
from limiter.stores.errors import StoreOutcomeUnknown, StoreUnavailable
from limiter.stores.servers import SYSTEM, Certificates, Servers

_GRACE_S = 0.01
_TOGETHER = 24
"""So many commands do not wait for the end of their tick: the store works on them while the loop makes the rest."""

Reply = Any
"""int, bytes, None, a list of replies, or a hiredis.ReplyError (returned, not raised)."""


def pack(*parts: str | int | bytes) -> bytes:
    """One command in the store's wire format."""
    packed: bytes = hiredis.pack_command(cast(Any, parts))
    return packed


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store listens and how to sign in. Build it with :meth:`from_url`."""

    host: str
    port: int
    path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False
    certificates: Certificates = SYSTEM
    seeds: tuple[Seed, ...] = ()
    """All servers, where there are several: of one store its primary is used, of a cluster all are."""

    @classmethod
    def from_url(cls, url: str, certificates: Certificates | None = None) -> Address:
        """Read a ``redis://``, ``rediss://`` or ``unix://`` URL, of one server or several; raises ValueError."""
        servers = Servers.of(url, certificates)
        parts: dict[str, Any] = parse_url(servers.url)  # type: ignore[no-untyped-call]
        return cls(
            host=str(parts.get("host") or "localhost"),
            port=int(parts.get("port") or 6379),
            path=str(parts.get("path") or "") if url.startswith("unix") else "",
            username=str(parts.get("username") or ""),
            password=str(parts.get("password") or ""),
            database=int(parts.get("db") or 0),
            tls=servers.secure,
            certificates=servers.certificates,
            seeds=servers.seeds,
        )

    @property
    def name(self) -> str:
        """As people know it."""
        return self.path or f"{self.host}:{self.port}"

    def each(self) -> list[Address]:
        """One address for each server."""
        return [replace(self, host=host, port=port, seeds=()) for host, port in self.seeds] or [self]

    def hello(self) -> list[tuple[str, ...]]:
        """The commands that open a session."""
        commands: list[tuple[str, ...]] = []
        if self.password:
            commands.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.database:
            commands.append(("SELECT", str(self.database)))
        return commands or [("PING",)]


class Pipeline(asyncio.Protocol):
    """One connection. Replies come in the order of the commands; a late one ends the connection."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._graced: asyncio.Future[Reply] | None = None
        self._retired = False

    @classmethod
    async def connect(cls, address: Address, *, connect_timeout_s: float, timeout_s: float) -> Pipeline:
        """Open a connection and sign in; raises :class:`StoreUnavailable`."""
        try:
            async with asyncio.timeout(connect_timeout_s):
                made = await cls._dial(address, timeout_s)
                try:
                    await made._sign_in(address)
                except BaseException:
                    made.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"the store cannot be reached: {error or 'too slow'}") from error
        return made

    @classmethod
    async def _dial(cls, address: Address, timeout_s: float) -> Pipeline:
        loop = asyncio.get_running_loop()
        if address.path:
            return (await loop.create_unix_connection(lambda: cls(timeout_s=timeout_s), address.path))[1]
        tls = address.certificates.context() if address.tls else None
        return (await loop.create_connection(lambda: cls(timeout_s=timeout_s), address.host, address.port, ssl=tls))[1]

    async def _sign_in(self, address: Address) -> None:
        for command in address.hello():
            reply = await self.send(pack(*command))
            if isinstance(reply, hiredis.ReplyError):
                raise StoreUnavailable(f"the store refused {command[0]}: {reply}")

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def pending(self) -> int:
        """Commands sent or about to be, without a reply."""
        return len(self._waiting)

    def send(self, packed: bytes) -> asyncio.Future[Reply]:
        """Queue one packed command for this tick; the future's result is its reply, errors included."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if not self.open:
            future.set_exception(StoreUnavailable("the connection to the store is closed"))
            return future
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)
        self._waiting.append((future, self._loop.time()))
        if len(self._out) == _TOGETHER:
            self._flush()
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._check)
        return future

    def close(self) -> None:
        """End the connection; what waits for a reply gets :class:`StoreOutcomeUnknown`."""
        if self._transport is not None:
            self._transport.abort()

    def retire(self) -> None:
        """End the connection as soon as everything sent has been answered."""
        self._retired = True
        if not self._waiting:
            self.close()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None:
            self._transport.write(b"".join(out))

    def _check(self) -> None:
        """End the connection if its oldest command has waited too long, or look again when it would have.

        A loop that was busy for that long may have the reply in its socket and not have read it, so a late command
        gets one more turn of the loop.
        """
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][1] + self._timeout_s - self._loop.time()
        if left <= 0.001 and self._graced is self._waiting[0][0]:
            self._fail("the store did not answer in time")
            self.close()
            return
        if left <= 0.001:
            self._graced = self._waiting[0][0]
        self._watch = self._loop.call_later(max(left, _GRACE_S), self._check)

    def _fail(self, why: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(StoreOutcomeUnknown(why))
                future.exception()  # a caller that was cancelled never looks; that is no fault to report

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self._fail("the store sent a reply that is not RESP")
            self.close()
        if self._retired and not self._waiting:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._fail("the connection to the store was lost")
