"""Where a request comes from: the peer's address, or what proxies that are trusted report.

X-Forwarded-For and Forwarded grow to the right, one entry a proxy; everything left of the first address that is no
trusted proxy was written by that caller and is never read. Where nobody reliable can tell, the address is "".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX = "unix"
"""In TRUSTED_PROXIES, and as an address: a peer on a unix socket."""
MAX_HOPS = 16
"""Trusted proxies in a row; beyond it nobody is believed."""
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_MAX_CHARS = 64
"""Of one entry; the longest address with zone, brackets and port is shorter."""


class CallerOrigin(NamedTuple):
    """Who sent a request: an address (``unix``: on this machine; "": nobody can tell), and over which scheme."""

    address: str
    scheme: str


class Networks:
    """Networks by their names, for instance ``10.0.0.0/8``; ``unix`` stands for unix sockets."""

    def __init__(self, names: Iterable[str]) -> None:
        """Raises ValueError that names the entry which is no network."""
        names = list(names)
        self._unix = UNIX in names
        self._networks = [_network(name) for name in names if name != UNIX]

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        ip = parse(address)
        return ip is not None and any(ip in network for network in self._networks)


@lru_cache(64)
def networks(*names: str) -> Networks:
    """The networks of these names, made once."""
    return Networks(names)


@lru_cache(4096)
def parse(text: str) -> IPAddress | None:
    """The address, with IPv4 that is mapped into IPv6 as IPv4; None when it is none."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


@lru_cache(4096)
def group(address: str) -> str:
    """The callers counted as one: an IPv4 address, or an IPv6 /64, which one household or machine has whole."""
    ip = parse(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return address if ip is None else str(ip)


def peer(scope: Mapping[str, Any]) -> str:
    """The address at the other end of an ASGI connection, a proxy's or a caller's."""
    client = scope.get("client")
    if client:
        return shortest(client[0])
    server = scope.get("server")
    return UNIX if server and server[1] is None else ""


def origin(scope: Mapping[str, Any], trusted: Networks) -> CallerOrigin:
    """Who sent the request of this ASGI scope."""
    address, scheme = peer(scope), scope.get("scheme", "http")
    if not trusted or address not in trusted:
        return CallerOrigin(address, scheme)
    given = _fields(scope["headers"])
    by_list = [_host(part) for part in _last(given.get(b"x-forwarded-for", ""))]
    elements = [_pairs(part) for part in _last(given.get(b"forwarded", ""))]
    by_element = [_host(pairs.get("for", "")) for pairs in elements]
    hops, data = _walk(by_list or by_element, trusted, address)
    if by_list and by_element and _walk(by_element, trusted, address)[1] != data:
        data = ""  # one of the two was handed through by a proxy that writes only the other: anybody may have sent it
    schemes = [part.lower() for part in _last(given.get(b"x-forwarded-proto", ""))]
    schemes = schemes or [pairs["proto"].lower() for pairs in elements if "proto" in pairs]
    if schemes:
        # The entry of the proxy that the caller reached; one entry alone was set by the last proxy for all.
        scheme = "https" if schemes[-min(max(hops, 1), len(schemes))] in ("https", "wss") else "http"
    return CallerOrigin(data, scheme)


def _walk(entries: list[str], trusted: Networks, nearest: str) -> tuple[int, str]:
    """From the right past trusted proxies: how many entries were read, and the address where that ended."""
    for hops, entry in enumerate(reversed(entries), start=1):
        if hops > MAX_HOPS or not entry:
            return hops, ""
        if entry not in trusted:
            return hops, entry
        nearest = entry
    return len(entries), nearest


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The fields that proxies set; one that came several times is one list."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in (b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"):
            text = value.decode("latin1")
            found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _last(value: str) -> list[str]:
    """The entries of a list that a walk may come to."""
    parts = value.rsplit(",", MAX_HOPS + 1)[-(MAX_HOPS + 1) :]
    return [part.strip() for part in parts] if value.strip() else []


def _pairs(element: str) -> dict[str, str]:
    """``for=192.0.2.60;proto=https`` taken apart."""
    split = (pair.strip().partition("=") for pair in element.split(";"))
    return {name.lower(): value.strip('"') for name, _, value in split}


def _host(entry: str) -> str:
    """The address of an entry, without brackets and port; "" when it is none (``unknown``, ``_hidden``, nonsense)."""
    if len(entry) > _MAX_CHARS:
        return ""
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]")
        sound = bracket and (not port or (port[0] == ":" and port[1:].isdigit()))
        entry = host if sound else ""
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
        entry = host if port.isdigit() else ""
    return shortest(entry)


@lru_cache(4096)
def shortest(text: str) -> str:
    ip = parse(text)
    return "" if ip is None else str(ip)


def _network(name: str) -> IPNetwork:
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        raise ValueError(f"{name} is no network; write for instance 10.0.0.0/8 or 2001:db8::/32") from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
