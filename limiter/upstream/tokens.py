"""Access tokens: held in memory, shared through Redis, renewed early and by one worker at a time.

A call that finds a good token in memory costs nothing: no await, no Redis, no thread. The request for a new one is
made with requests in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from limiter.upstream import grants, pins
from limiter.upstream.clock import Clock
from limiter.upstream.discovery import Discovery, Endpoints
from limiter.upstream.errors import NotConfigured, Unreachable, UpstreamError
from limiter.upstream.health import ConnectionFault
from limiter.upstream.vault import Shelf, StoredToken, Vault
from tenants.directory import ConnectionSpec

SKEW_SHARE = 0.2
"""A token is renewed this part of its life early at most, whatever the connection says."""
REFUSED_BACKOFF_S = 60.0
FAILED_BACKOFF_S = 30.0
ATTEMPTS = 3
LONGEST_PAUSE_S = 2.0
"""A token endpoint that asks for a longer wait is not waited for by the calls at hand."""
BUDGET_S = 25.0
"""How long a renewal may take in all; shorter than the lock's life (``vault.LOCK_MS``)."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class AccessToken:
    """A token in memory. Times are this process's monotonic seconds. ``header``: the Authorization value."""

    value: str = field(repr=False)
    header: str = field(repr=False)
    api_base: str
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token and where it is good for."""

    grant: grants.Grant
    endpoints: Endpoints


Mint = Callable[[ConnectionSpec, Endpoints], Awaitable[Minted]]


class ThreadedMint:
    """The real way to a new token: discovery and request, blocking, in a small thread pool of its own."""

    def __init__(self, *, pinned: pins.Pins, clock: Clock) -> None:
        self._pins = pinned
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="token")

    async def __call__(self, connection: ConnectionSpec, known: Endpoints) -> Minted:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.blocking, connection, known)

    def blocking(self, connection: ConnectionSpec, known: Endpoints) -> Minted:
        """Raises :class:`~limiter.upstream.grants.GrantError`."""
        wall = self._clock.wall()
        with pins.session(self._pins) as http:
            find = Discovery(http, wall=wall, sandbox_hosts=self._pins.sandbox_hosts)
            known = find.token_endpoint(connection, known)
            request = grants.request_for(connection, url=known.token_url)
            grant = grants.send(request, http=http, connect_timeout_s=connection.connect_timeout_s, wall=wall)
            return Minted(grant, find.api_host(connection, known, claims=grant.claims))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class TokenCache:
    """The tokens of one process. ``mark`` is the connection's :func:`~limiter.upstream.vault.fingerprint`."""

    def __init__(self, *, vault: Vault, mint: Mint, clock: Clock) -> None:
        self._vault = vault
        self._mint = mint
        self._clock = clock
        self._held: dict[str, AccessToken] = {}
        self._faults: dict[str, ConnectionFault] = {}
        self._refused: dict[str, AccessToken] = {}
        self._renewals: dict[str, asyncio.Task[AccessToken]] = {}

    def peek(self, mark: str) -> AccessToken | None:
        """The token in memory if it needs no renewal yet."""
        token = self._held.get(mark)
        return token if token is not None and self._clock.monotonic() < token.renew_at else None

    async def get(self, connection: ConnectionSpec, mark: str) -> AccessToken:
        """A token that is good now; raises :class:`~limiter.upstream.errors.UpstreamError`.

        While one is good but due for renewal it is returned at once, and renewed behind the caller's back.
        """
        now = self._clock.monotonic()
        token = self._held.get(mark)
        if token is not None and now < token.renew_at:
            return token
        fault = self._faults.get(mark)
        resting = fault is not None and self._clock.wall() < fault.retry_at
        if token is not None and now < token.expires_at:
            if not resting:
                self._renewal(connection, mark)
            return token
        if fault is not None and resting:
            raise as_error(fault)
        return await asyncio.shield(self._renewal(connection, mark))

    async def refuse(self, connection: ConnectionSpec, mark: str, token: AccessToken) -> None:
        """The upstream answered 401 to this very token: nobody shall use it again."""
        held = self._held.get(mark)
        if held is not None and held.value == token.value:
            del self._held[mark]
            # Remembered, because another call may read the store before the token is gone from there.
            self._refused[mark] = token
            await self._vault.drop(connection, token.value)

    async def renew_if_due(self, connection: ConnectionSpec, mark: str, *, ahead_s: float) -> bool:
        """For Celery beat: renew a shared token that is due within ``ahead_s``. One that nobody uses is left to end."""
        shelf = await self._vault.read(connection, mark=mark)
        if shelf.token is None or shelf.token.left_s > skew_s(connection, shelf.token.lifetime_s) + ahead_s:
            return False
        if shelf.fault is not None and self._clock.wall() < shelf.fault.retry_at:
            return False
        async with self._vault.renewing(connection) as ours:
            if not ours:
                return False
            try:
                await self._issue(connection, mark, shelf)
            except UpstreamError:
                return False
        return True

    async def note(self, connection: ConnectionSpec, fault: ConnectionFault | None) -> None:
        """Record for everybody that the connection cannot be used, or that it can again."""
        await self._vault.note(connection, fault)

    async def close(self) -> None:
        for renewal in list(self._renewals.values()):
            renewal.cancel()
        await asyncio.gather(*self._renewals.values(), return_exceptions=True)

    def _renewal(self, connection: ConnectionSpec, mark: str) -> asyncio.Task[AccessToken]:
        """The one renewal under way in this process, shared by all who wait for it."""
        renewal = self._renewals.get(mark)
        if renewal is None:
            renewal = asyncio.get_running_loop().create_task(self._renew(connection, mark))
            self._renewals[mark] = renewal
            renewal.add_done_callback(lambda done: self._done(mark, done))
        return renewal

    def _done(self, mark: str, renewal: asyncio.Task[AccessToken]) -> None:
        self._renewals.pop(mark, None)
        if not renewal.cancelled():
            renewal.exception()  # those who waited had it already; behind their backs nobody did

    async def _renew(self, connection: ConnectionSpec, mark: str) -> AccessToken:
        """Take the token another worker renewed, or become the one who renews it."""
        try:
            async with asyncio.timeout(BUDGET_S):
                for wait in range(1, 1000):
                    shelf = await self._vault.read(connection, mark=mark)
                    if token := self._take(connection, mark, shelf):
                        return token
                    async with self._vault.renewing(connection) as ours:
                        if ours:
                            return await self._renew_locked(connection, mark)
                    await self._clock.sleep(min(0.25, 0.02 * wait))
        except TimeoutError:
            pass
        raise Unreachable("No access token was to be had from the upstream in time.")

    async def _renew_locked(self, connection: ConnectionSpec, mark: str) -> AccessToken:
        shelf = await self._vault.read(connection, mark=mark)
        return self._take(connection, mark, shelf) or await self._issue(connection, mark, shelf)

    def _take(self, connection: ConnectionSpec, mark: str, shelf: Shelf) -> AccessToken | None:
        """The shared token if it needs no renewal; raises when by the store there is none to be had now."""
        stored, fault, refused = shelf.token, shelf.fault, self._refused.get(mark)
        if stored is not None and refused is not None and stored.value == refused.value:
            stored = None
        if stored is not None and stored.left_s > skew_s(connection, stored.lifetime_s):
            return self._hold(connection, mark, stored)
        if fault is not None and fault.fingerprint == mark and self._clock.wall() < fault.retry_at:
            self._faults[mark] = fault
            raise as_error(fault)
        return None

    async def _issue(self, connection: ConnectionSpec, mark: str, shelf: Shelf) -> AccessToken:
        """Ask the upstream for a token, at most :data:`ATTEMPTS` times, and share what comes of it."""
        try:
            minted = await self._ask(connection, shelf.endpoints)
        except grants.GrantError as error:
            fault = self._fault(mark, error, shelf.fault or self._faults.get(mark))
            self._faults[mark] = fault
            _log.warning("connection %s: %s", connection.name, fault.reason)
            await self._vault.note(connection, fault)
            raise as_error(fault) from None
        grant, endpoints = minted.grant, minted.endpoints
        self._faults.pop(mark, None)
        stored = StoredToken(grant.value, endpoints.api_base, grant.lifetime_s, grant.lifetime_s)
        token = self._hold(connection, mark, stored)
        await self._vault.put(
            connection, mark=mark, value=grant.value, lifetime_s=grant.lifetime_s, endpoints=endpoints
        )
        return token

    async def _ask(self, connection: ConnectionSpec, known: Endpoints) -> Minted:
        began = self._clock.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._mint(connection, known)
            except grants.GrantFailed as error:
                pause = error.retry_after_s or 0.0
                # One request that times out leaves time for another; two do not.
                late = self._clock.monotonic() - began > BUDGET_S / 2
                if attempt == ATTEMPTS or pause > LONGEST_PAUSE_S or late:
                    raise
                await self._clock.sleep(max(pause, self._clock.chance() * 0.5 * attempt))
        raise AssertionError("unreachable")

    def _fault(self, mark: str, error: grants.GrantError, before: ConnectionFault | None) -> ConnectionFault:
        wall = self._clock.wall()
        again = before is not None and before.fingerprint == mark
        failures = before.failures + 1 if before is not None and again else 1
        lasting = isinstance(error, grants.GrantRefused)
        rest = REFUSED_BACKOFF_S if lasting else min(FAILED_BACKOFF_S, 0.5 * 2 ** min(failures, 10))
        return ConnectionFault(
            reason=error.reason,
            since=before.since if before is not None and again else wall,
            retry_at=wall + max(rest, min(error.retry_after_s or 0.0, REFUSED_BACKOFF_S)),
            failures=failures,
            lasting=lasting,
            fingerprint=mark,
        )

    def _hold(self, connection: ConnectionSpec, mark: str, stored: StoredToken) -> AccessToken:
        now = self._clock.monotonic()
        for old in [key for key, token in self._held.items() if token.expires_at <= now]:
            del self._held[old]
        token = AccessToken(
            value=stored.value,
            header=f"Bearer {stored.value}",
            api_base=stored.api_base,
            renew_at=now + stored.left_s - skew_s(connection, stored.lifetime_s),
            expires_at=now + stored.left_s,
        )
        self._held[mark] = token
        return token


def skew_s(connection: ConnectionSpec, lifetime_s: float) -> float:
    """How early a token of this lifetime is renewed."""
    return min(float(connection.token_refresh_skew_s), lifetime_s * SKEW_SHARE)


def as_error(fault: ConnectionFault) -> UpstreamError:
    """The caller's message: that it is not their doing, nothing about the account."""
    if fault.lasting:
        return NotConfigured("The upstream refuses this platform's credentials; an administrator has to look at it.")
    return Unreachable("The upstream issues no access token at the moment.")
