"""New connections to upstreams: the checked addresses of a name, TCP, TLS."""

from __future__ import annotations

import asyncio
import ssl

from limiter.upstream.conduct import Origin
from limiter.upstream.pins import Pins
from limiter.upstream.wire import Wire

DNS_TTL_S = 10.0


class Dialer:
    """Opens connections. Belongs to the running loop.

    TLS sessions are not resumed: that saves a fifth of the processor time of a handshake and no round trip, and would
    tie the tenants' connections together again in front ends that keep something by session.
    """

    def __init__(self, pinned: Pins) -> None:
        self._pinned = pinned
        self._loop = asyncio.get_running_loop()
        self._names: dict[Origin, tuple[float, list[str]]] = {}
        self._lookups: dict[Origin, asyncio.Task[list[str]]] = {}
        self._tls: ssl.SSLContext | None = None

    async def connect(self, origin: Origin) -> Wire:
        """A new connection; raises OSError, or :class:`~quota_platform.base.hosts.HostRefused`."""
        failed: OSError = OSError("the name has no address")
        for address in await self._addresses(origin):
            try:
                _, wire = await self._loop.create_connection(
                    Wire,
                    address,
                    origin.port,
                    ssl=self._context() if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
                return wire
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                failed = error
        raise failed

    async def _addresses(self, origin: Origin) -> list[str]:
        """The checked addresses of a name; looked up in a thread, remembered for a moment."""
        known = self._names.get(origin)
        if known is not None and known[0] > self._loop.time():
            return known[1]
        lookup = self._lookups.get(origin)
        if lookup is None:  # one for all who ask at the same time
            lookup = self._lookups[origin] = self._loop.create_task(self._look_up(origin))
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(lookup)

    async def _look_up(self, origin: Origin) -> list[str]:
        try:
            found = await self._loop.run_in_executor(None, self._pinned.resolve, origin.host, origin.port)
        finally:
            del self._lookups[origin]
        self._names[origin] = (self._loop.time() + DNS_TTL_S, found)
        return found

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
