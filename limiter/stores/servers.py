"""Where a store is: one server or several, reached over TLS or not, and what its clients are made with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from limiter.stores.connections import AsyncConnection, AsyncSecureConnection, SecureConnection, Seed, SeededConnection

_PORT = 6379


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. Without ``ca`` the system's authorities are trusted; ``cert`` and ``key`` are the client's."""

    ca: str = ""
    cert: str = ""
    key: str = field(default="", repr=False)

    def options(self) -> dict[str, str]:
        """As redis-py names them."""
        named = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
        return {name: value for name, value in named.items() if value}

    def context(self) -> ssl.SSLContext:
        return _context(self)


SYSTEM = Certificates()


@lru_cache(maxsize=8)
def _context(files: Certificates) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=files.ca or None)
    if files.cert:
        made.load_cert_chain(files.cert, files.key or None)
    return made


@dataclass(frozen=True, slots=True)
class Servers:
    """``url``: of the first. ``seeds``: all of them, where there are several. ``secure``: over TLS.

    The URL never says so itself: ``redis.asyncio`` would then take a class of its own for ours.
    """

    url: str
    seeds: tuple[Seed, ...] = ()
    certificates: Certificates = SYSTEM
    secure: bool = False

    @classmethod
    def of(cls, url: str, certificates: Certificates | None = None) -> Servers:
        """Read ``redis://user:password@one:6379,two:6379/0``; raises ValueError."""
        secure = url.startswith("rediss:")
        if secure:
            url = "redis" + url.removeprefix("rediss")
        parts = urlsplit(url)
        signed, at, hosts = parts.netloc.rpartition("@")
        names = hosts.split(",")
        if len(names) == 1:
            return cls(url, (), certificates or SYSTEM, secure)
        first = urlunsplit(parts._replace(netloc=f"{signed}{at}{names[0]}"))
        return cls(first, tuple(map(_seed, names)), certificates or SYSTEM, secure)

    def options(self) -> dict[str, Any]:
        """What redis-py's ``from_url`` takes beside the URL."""
        return self._options(SecureConnection if self.secure else SeededConnection)

    def async_options(self) -> dict[str, Any]:
        """The same for ``redis.asyncio``."""
        return self._options(AsyncSecureConnection if self.secure else AsyncConnection)

    def _options(self, connection: type) -> dict[str, Any]:
        if self.url.startswith("unix:"):
            return {}
        tls = self.certificates.options() if self.secure else {}
        return {"connection_class": connection, "seeds": self.seeds, **tls}


def _seed(name: str) -> Seed:
    parts = urlsplit(f"//{name}")
    try:
        port = parts.port
    except ValueError:  # its words would repeat a piece of the URL, which may hold a password
        raise ValueError("a server in the list has a port that is no number") from None
    if not parts.hostname:
        raise ValueError("a server in the list has no name")
    return parts.hostname, port or _PORT
