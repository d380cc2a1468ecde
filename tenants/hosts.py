"""Which addresses an upstream URL may name: the check made when a connection is saved.

The same question is asked again when a socket is opened (``limiter.upstream``), of the address that the name
resolved to; a check at save alone would be undone by a DNS answer that changes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


class HostRefused(ValueError):
    """The URL may not be used as an upstream; the message says why and what to do."""


class HostOutside(HostRefused):
    """The host is under none of the names that are allowed."""


def is_public(address: str) -> bool:
    """True for an address on the public internet. Private, loopback, link-local, shared, mapped: False."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and (disguised := _ipv4_within(ip)) is not None:
        return is_public(str(disguised))
    return ip.is_global and not ip.is_multicast


def _ipv4_within(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a mapped (::ffff:), compatible (::), NAT64 (64:ff9b::) or 6to4 (2002:) one leads to."""
    if ip.ipv4_mapped is not None or ip.sixtofour is not None:
        return ip.ipv4_mapped or ip.sixtofour
    if any(ip in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def is_literal(host: str) -> bool:
    """True when ``host`` is an IP address in any notation a resolver would take (also decimal and octal)."""
    if ":" in host:
        return True
    last = host.rstrip(".").rsplit(".", 1)[-1].lower()
    return last.isdigit() or last.startswith("0x")


def check_url(url: str, *, suffixes: Iterable[str], sandbox_hosts: Iterable[str] = ()) -> None:
    """Raise :class:`HostRefused` unless ``url`` is ``https`` to a name under one of ``suffixes``.

    With ``sandbox_hosts`` (``host:port`` pairs from SANDBOX_HOSTS) the URL must name exactly one of those; plain
    ``http`` is allowed there and nowhere else.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise HostRefused("The port is not a number between 1 and 65535.") from None
    if parts.username or parts.password:
        raise HostRefused("Leave user name and password out of the URL; they have fields of their own.")
    if parts.query or parts.fragment:
        raise HostRefused("Leave query and fragment out of the URL.")
    host = (parts.hostname or "").lower()
    if not host or not host.isascii():
        raise HostRefused("The URL needs a host name in plain ASCII.")
    if sandbox_hosts:
        _check_sandbox(parts.scheme, f"{host}:{port}", set(sandbox_hosts))
    else:
        _check_public(parts.scheme, host, port, suffixes)


def check_listed(url: str, listed: Iterable[str], *, setting: str) -> None:
    """Raise :class:`HostRefused` unless ``url`` leads to one of the hosts that the setting of this name lists.

    A name there allows https to itself and the names under it. A ``host:port`` allows exactly that, which may be plain
    http and a private address.
    """
    pairs = {each for each in listed if ":" in each}
    parts = urlsplit(url)
    if parts.netloc.lower() in pairs:
        check_url(url, suffixes=(), sandbox_hosts=pairs)
        return
    suffixes = [each.lower() for each in listed if ":" not in each]
    if not suffixes:
        raise HostRefused(f"{setting} lists no host that this may be sent to; whoever runs the platform sets it.")
    try:
        check_url(url, suffixes=suffixes)
    except HostOutside:
        raise HostRefused(f"The host is none of those that {setting} lists: {', '.join(suffixes)}.") from None


def _check_sandbox(scheme: str, address: str, allowed: set[str]) -> None:
    if scheme not in ("http", "https") or address not in allowed:
        raise HostRefused(f"A sandbox connection may only reach {', '.join(sorted(allowed))}.")


def _check_public(scheme: str, host: str, port: int | None, suffixes: Iterable[str]) -> None:
    if scheme != "https":
        raise HostRefused("Use https; only hosts set for tests may be reached over http.")
    if port not in (None, 443):
        raise HostRefused("Use port 443.")
    if is_literal(host):
        raise HostRefused("Use a host name, not an IP address.")
    if host.endswith(".") or not any(host == s or host.endswith("." + s) for s in suffixes):
        raise HostOutside("The host is not under one of the connection's allowed host suffixes.")
