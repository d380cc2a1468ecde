"""The head of a request, judged by RFC 9112 and made into an ASGI scope."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from quota_platform.base import addresses
from quota_platform.base.lean.problem import Problem

Headers = list[tuple[bytes, bytes]]

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,255})(?::([0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?", re.IGNORECASE)
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_sound_hosts: set[bytes | None] = set()
"""Values of Host that were found sound; few differ, so that a request costs one look-up."""
_MAX_SOUND_HOSTS = 1024


def of_connection(transport: asyncio.Transport, *, root_path: str) -> dict[str, Any]:
    """What the scopes of all requests of a connection have in common."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "scheme": "https" if is_ssl(transport) else "http",
        "root_path": root_path,
    }


def peer_of(transport: asyncio.Transport) -> str:
    """The address at the other end, without all else that :func:`of_connection` asks the kernel for."""
    client = get_remote_addr(transport)
    return addresses.peer({"client": client, "server": None if client else get_local_addr(transport)})


def scope(
    always: Mapping[str, Any], *, method: str, version: str, url: bytes, headers: Headers
) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The ASGI scope of a request, without its state; raises Problem. ``always``: :func:`of_connection`."""
    if version not in ("1.1", "1.0"):
        raise Problem(505, "version-unsupported", "Use HTTP/1.1.")
    if url.startswith(b"/"):
        raw_path, _, query = url.partition(b"?")
    else:
        raw_path, query, headers = _other_target(method, url, headers)
    if url.find(b"#") >= 0:  # ``in`` would first take the sought bytes for a number, and make an exception
        raise malformed("The request's target has a fragment.")
    named = dict(headers)
    if named.get(b"host") not in _sound_hosts or len(named) != len(headers):
        _check_singles(version, headers, named)
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        raise malformed("The request's path has to be ASCII; encode other characters by percent.") from None
    made = {
        **always,
        "method": method,
        "http_version": version,
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }
    return made, named


def check_protocol(method: str, url: bytes, read: bytes, *, follows: bool) -> None:
    """Raise Problem where the request line ends in ``RTSP/`` or ``ICE/``: llhttp reads these too, and does not say so.

    ``read`` begins with the line or, when it ``follows`` earlier bytes, contains it somewhere.
    """
    if method != "SOURCE" and read.find(b" RTSP/") < 0:
        return
    line = method.encode() + rb" +" + re.escape(url) + rb" +(?:RTSP|ICE)/"
    if re.search(line, read) if follows else re.match(rb"[\r\n]*" + line, read):
        raise malformed("The protocol in its first line is not HTTP.")


def malformed(detail: str) -> Problem:
    """What cannot be read as a request."""
    return Problem(400, "request-malformed", f"The request is not HTTP/1.1: {detail}")


def has_body(version: str, named: Mapping[bytes, bytes]) -> bool:
    """Whether a body follows the head; raises Problem when its framing is none of ours."""
    coding = named.get(b"transfer-encoding")
    if coding is None:
        return named.get(b"content-length", b"0").strip(b"0") != b""
    if version == "1.0":
        raise malformed("HTTP/1.0 has no Transfer-Encoding.")
    if coding.lower() != b"chunked":
        raise Problem(501, "coding-unsupported", "The only Transfer-Encoding understood is chunked.")
    return True


def is_websocket(method: str, version: str, named: Mapping[bytes, bytes]) -> bool:
    """Whether a request that asks for an upgrade becomes a websocket (RFC 6455 4.2.1); raises Problem when it cannot.

    Any other upgrade is ignored, as a server may (RFC 9110 7.8).
    """
    asked = b"websocket" in [protocol.strip().lower() for protocol in named.get(b"upgrade", b"").split(b",")]
    if not asked or method != "GET" or version != "1.1":
        return False
    if has_body(version, named):
        raise Problem(400, "websocket-invalid", "A websocket's handshake has no body.")
    if named.get(b"sec-websocket-version") != b"13":
        fields = (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"))
        raise Problem(426, "websocket-invalid", "The websocket's version has to be 13.", fields=fields)
    if not _KEY.fullmatch(named.get(b"sec-websocket-key", b"")):
        raise Problem(400, "websocket-invalid", "Sec-WebSocket-Key has to be 16 bytes in base64.")
    return True


def _other_target(method: str, url: bytes, headers: Headers) -> tuple[bytes, bytes, Headers]:
    """Path, query and headers of a target that is no path: ``*``, or an absolute form, whose host counts (3.2.2)."""
    if url == b"*" and method == "OPTIONS":
        return url, b"", headers
    found = _ABSOLUTE.fullmatch(url.partition(b"#")[0])
    if method == "CONNECT" or found is None:
        raise malformed("The request's target is neither a path nor an absolute http URL.")
    authority, path, query = found.groups()
    if all(name != b"host" for name, _ in headers):
        raise malformed("Host is missing.")
    others = [(name, value) for name, value in headers if name != b"host"]
    hosts = [(name, authority) for name, value in headers if name == b"host"]
    return path or b"/", query or b"", hosts + others


def _check_singles(version: str, headers: Headers, named: Mapping[bytes, bytes]) -> None:
    """Host once and sound, and no field twice whose repetition would be read in two ways."""
    names = [name for name, _ in headers]
    for name in (b"host", b"transfer-encoding", b"content-length"):
        if names.count(name) > 1:
            raise malformed(f"{name.decode().title()} came more than once.")
    host = named.get(b"host")
    if host is None:
        if version == "1.1":
            raise malformed("Host is missing.")
        return
    found = _HOST.fullmatch(host)
    if found is None or int(found[1] or 0) > 65_535:
        raise malformed("Host is not a name or address with an optional port.")
    if len(_sound_hosts) < _MAX_SOUND_HOSTS:
        _sound_hosts.add(host)
