"""Which addresses an upstream URL may name: the check made when a connection is saved.

The same question is asked again when a socket is opened (``limiter.upstream``), of the address that the name
resolved to; a check at save alone would be undone by a DNS record that changes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from quota_platform.base.kept import kept_text

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 that is routed; site-local (fec0::/10), unique local, link-local and local NAT64 lie outside."""
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")))
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        # What Python of one version or another takes for global: IANA's special-purpose registries say it is not.
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/32", "2001:10::/28", "2001:db8::/32", "3fff::/20"),
    )
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_MAX_HOST = 253

_PORT = kept_text("The port is not a number between 1 and 65535.")
_PASSWORD = kept_text("Leave user name and password out of the URL; they have fields of their own.")
_QUERY = kept_text("Leave query and fragment out of the URL.")
_NO_HOST = kept_text("The URL needs a host name.")
_BRACKETS = kept_text("The text in brackets is no IPv6 address; use a host name.")
_ASCII = kept_text("Write the URL in plain ASCII: a host name with other letters in its xn-- form.")
_BLANK = kept_text("The URL contains a blank, a control character or a backslash.")
_UNREADABLE = kept_text("The URL cannot be read; check the brackets of its host name.")
_NAME = kept_text("The host name may hold letters, digits and hyphens, in parts of 1 to 63 between dots.")
_HTTPS = kept_text("Use https; only hosts set for tests may be reached over http.")
_443 = kept_text("Use port 443.")
_ADDRESS = kept_text("Use a host name, not an IP address.")
_DOT = kept_text("Leave the dot at the end of the host name out.")
_OUTSIDE = kept_text("The host is not under one of the connection's allowed host suffixes.")
_NONE_LISTED = kept_text("{setting} lists no host that this may be sent to; the operator of the platform sets it.")
_NOT_LISTED = kept_text("The host is none of those that {setting} lists: {hosts}.")
_NOT_IDNA = kept_text("{label} is no internationalized name.")
_SANDBOX = kept_text("A sandbox connection may only reach {hosts}.")


class HostRefused(ValueError):
    """The URL may not be used as an upstream; the message, a kept text, says why and what to do."""


class HostOutside(HostRefused):
    """The host is under none of the names that are allowed."""


def is_public(address: str) -> bool:
    """True for an address on the public internet. Private, loopback, link-local, shared, mapped of these: False."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if (disguised := _ipv4_within(ip)) is not None:
            return is_public(str(disguised))
        if ip not in _GLOBAL_UNICAST:
            return False
    if any(ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast


def _ipv4_within(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a mapped, translated, compatible (::), NAT64 (64:ff9b::) or 6to4 (2002:) one leads to."""
    if ip.sixtofour is not None:
        return ip.sixtofour
    if any(ip in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def is_literal(host: str) -> bool:
    """True when ``host`` is an IP address in any notation a resolver would take (also decimal and octal)."""
    if ":" in host:
        return True
    last = host.rstrip(".").rsplit(".", 1)[-1].lower()
    return last.isdigit() or last.startswith("0x")


def check_url(url: str, *, suffixes: Iterable[str], sandbox_hosts: Iterable[str] = (), query: bool = False) -> None:
    """Raise :class:`HostRefused` unless ``url`` is ``https`` to a name under one of ``suffixes``.

    With ``sandbox_hosts`` (``host:port`` pairs from SANDBOX_HOSTS) the URL must name exactly one of those; plain
    ``http`` is allowed there and nowhere else. ``query``: whether it may have one.
    """
    parts = _split(url)
    try:
        port = parts.port
    except ValueError:
        raise HostRefused(_PORT) from None
    if "@" in parts.netloc:
        raise HostRefused(_PASSWORD)
    if parts.fragment or "#" in url or ("?" in url and not query):
        raise HostRefused(_QUERY)
    host = (parts.hostname or "").lower()
    if not host:
        raise HostRefused(_NO_HOST)
    if "[" in parts.netloc and ":" not in host:
        raise HostRefused(_BRACKETS)
    if sandbox_hosts:
        _check_sandbox(parts.scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", set(sandbox_hosts))
    else:
        _check_public(parts.scheme, host, port, suffixes)


def check_listed(url: str, listed: Iterable[str], *, setting: str, query: bool = False) -> None:
    """Raise :class:`HostRefused` unless ``url`` leads to one of the hosts that the setting of this name lists.

    A name there allows https to itself and the names under it. A ``host:port`` allows exactly that, which may be plain
    http and a private address. ``query``: whether the URL may have one.
    """
    pairs = {each for each in listed if ":" in each}
    parts = _split(url)
    if parts.netloc.lower() in pairs:
        check_url(url, suffixes=(), sandbox_hosts=pairs, query=query)
        return
    suffixes = [each.lower() for each in listed if ":" not in each]
    if not suffixes:
        raise HostRefused(_NONE_LISTED.format(setting=setting))
    try:
        check_url(url, suffixes=suffixes, query=query)
    except HostOutside:
        raise HostRefused(_NOT_LISTED.format(setting=setting, hosts=", ".join(suffixes))) from None


def origin(url: str) -> tuple[str, str]:
    """Scheme and host with port, to be compared; empty for a text that is no URL."""
    try:
        parts = _split(url.lower())
    except HostRefused:
        return "", ""
    return parts.scheme, parts.netloc


def _split(url: str) -> SplitResult:
    """The URL taken apart. What parsers read differently, or drop without a word, is refused before."""
    if not url.isascii():
        raise HostRefused(_ASCII)
    if not url.isprintable() or " " in url or "\\" in url:
        raise HostRefused(_BLANK)
    try:
        return urlsplit(url)
    except ValueError:
        raise HostRefused(_UNREADABLE) from None


def _check_name(host: str) -> None:
    """Raise :class:`HostRefused` unless this is a host name by RFC 1123, its xn-- labels by IDNA."""
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostRefused(_NAME)
    for label in labels:
        if label.startswith("xn--") and not _is_idna(label):
            raise HostRefused(_NOT_IDNA.format(label=label))


def _is_idna(label: str) -> bool:
    try:
        decoded = label.encode().decode("idna")
    except UnicodeError:
        return False
    return not decoded.isascii()


def _check_sandbox(scheme: str, address: str, allowed: set[str]) -> None:
    if scheme not in ("http", "https") or address not in allowed:
        raise HostRefused(_SANDBOX.format(hosts=", ".join(sorted(allowed))))


def _check_public(scheme: str, host: str, port: int | None, suffixes: Iterable[str]) -> None:
    if scheme != "https":
        raise HostRefused(_HTTPS)
    if port not in (None, 443):
        raise HostRefused(_443)
    if is_literal(host):
        raise HostRefused(_ADDRESS)
    if host.endswith("."):
        raise HostRefused(_DOT)
    _check_name(host)
    if not any(host == s or host.endswith("." + s) for s in suffixes):
        raise HostOutside(_OUTSIDE)
