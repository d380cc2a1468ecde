"""The second look at an upstream's address: when a socket is opened, at what its name resolved to.

The address that was looked at is the one that is connected to, so a name that resolves differently a moment later
(DNS rebinding) gains nothing. Calls use it when they connect, requests through an adapter.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from quota_platform.base.hosts import HostRefused, is_public
from quota_platform.base.kept import kept_text

USER_AGENT = "quota-platform"
_NOT_PUBLIC = kept_text("The host resolves to an address that is not on the public internet.")
Lookup = Callable[[str, int], list[str]]


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses the system's resolver knows for ``host``; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Pins:
    """Names to checked addresses. ``sandbox_hosts``: ``host:port`` pairs that may be private."""

    def __init__(self, *, sandbox_hosts: Iterable[str] = (), lookup: Lookup = system_lookup) -> None:
        self.sandbox_hosts = frozenset(sandbox_hosts)
        self._lookup = lookup

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses to connect to; raises OSError, or :class:`HostRefused` when one of them is not public."""
        addresses = self._lookup(host, port)
        if f"{host}:{port}" not in self.sandbox_hosts and not all(map(is_public, addresses)):
            raise HostRefused(_NOT_PUBLIC)
        return addresses


class PinnedAdapter(HTTPAdapter):
    """What requests opens connections with."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        super().__init__(max_retries=0)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Each request has a connection of its own: on one that served before, a response may not be the request's."""
        self.poolmanager.clear()
        return super().send(*args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)

        class Plain(HTTPConnectionPool):
            ConnectionCls = _pinned(HTTPConnection, self._pins)

        class Secure(HTTPSConnectionPool):
            ConnectionCls = _pinned(HTTPSConnection, self._pins)

        self.poolmanager.pool_classes_by_scheme = {"http": Plain, "https": Secure}


def _pinned(base: type[HTTPConnection], pins: Pins) -> Any:
    def _new_conn(self: HTTPConnection) -> socket.socket:
        try:
            addresses = pins.resolve(self.host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failed: OSError = OSError("the name has no address")
        for address in addresses:
            try:
                return create_connection((address, self.port), self.timeout, socket_options=self.socket_options)
            except OSError as error:
                failed = error
        if isinstance(failed, TimeoutError):
            raise ConnectTimeoutError(self, "the connection timed out") from failed
        raise NewConnectionError(self, f"no connection: {failed.strerror}") from failed

    return type(f"Pinned{base.__name__}", (base,), {"_new_conn": _new_conn})


def session(pins: Pins) -> requests.Session:
    """A session that follows no environment (proxy, netrc), opens only checked addresses and asks for JSON."""
    made = requests.Session()
    made.trust_env = False
    made.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"})
    made.headers["Connection"] = "close"
    made.mount("https://", PinnedAdapter(pins))
    made.mount("http://", PinnedAdapter(pins))
    return made
