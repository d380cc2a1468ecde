"""A request's address is its peer's, or what trusted proxies report, and never what the caller wrote itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from quota_platform.base.addresses import MAX_HOPS, Networks, group, origin, peer

PROXIES = Networks(["10.0.3.0/28", "2001:db8:1::/48"])
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text()
EXAMPLES = re.findall(r"^\| `([\d.]+)` \| `([^`]+)` \| (?:`([\d.]+)`|unknown)", PAGE, re.MULTILINE)


def scope(client: str | None = "10.0.3.1", **fields: str) -> dict[str, Any]:
    headers = [(name.replace("_", "-").encode(), value.encode("latin1")) for name, value in fields.items()]
    server = ("/run/web.sock", None) if client is None else ("10.0.0.9", 80)
    return {"scheme": "http", "client": client and (client, 1), "server": server, "headers": headers}


def address(given: dict[str, Any], trusted: Networks = PROXIES) -> str:
    return origin(given, trusted).address


@pytest.mark.parametrize(
    ("client", "fields", "expected"),
    [
        ("192.0.2.7", {}, "192.0.2.7"),
        ("::ffff:192.0.2.7", {}, "192.0.2.7"),
        ("2001:DB8:0::1", {}, "2001:db8::1"),
        ("192.0.2.7", {"x_forwarded_for": "10.0.0.1"}, "192.0.2.7"),
        ("10.0.3.1", {}, "10.0.3.1"),
        ("10.0.3.1", {"x_forwarded_for": "192.0.2.7"}, "192.0.2.7"),
        ("::ffff:10.0.3.1", {"x_forwarded_for": "::ffff:192.0.2.7"}, "192.0.2.7"),
        ("10.0.3.1", {"x_forwarded_for": "10.9.9.9, 192.0.2.7"}, "192.0.2.7"),
        ("10.0.3.1", {"x_forwarded_for": "10.9.9.9, 192.0.2.7, 10.0.3.2,10.0.3.3"}, "192.0.2.7"),
        ("10.0.3.1", {"x_forwarded_for": "10.0.3.4, 10.0.3.2"}, "10.0.3.4"),
        ("10.0.3.1", {"x_forwarded_for": "192.0.2.7:4711"}, "192.0.2.7"),
        ("10.0.3.1", {"x_forwarded_for": "[2001:db8::7]:4711"}, "2001:db8::7"),
        ("10.0.3.1", {"x_forwarded_for": "[2001:db8::7]"}, "2001:db8::7"),
        ("10.0.3.1", {"forwarded": 'for="[2001:db8::7]:4711";proto=https'}, "2001:db8::7"),
        ("10.0.3.1", {"forwarded": "for=10.9.9.9, For=192.0.2.7;by=10.0.3.2;proto=https, for=10.0.3.2"}, "192.0.2.7"),
        ("10.0.3.1", {"forwarded": "for=192.0.2.7", "x_forwarded_for": "192.0.2.7"}, "192.0.2.7"),
    ],
)
def test_the_address_is_read_from_the_right_through_trusted_proxies(
    client: str, fields: dict[str, str], expected: str
) -> None:
    assert address(scope(client, **fields)) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"x_forwarded_for": "10.9.9.9, unknown"},
        {"x_forwarded_for": "10.9.9.9, nonsense, 10.0.3.2"},
        {"x_forwarded_for": "10.9.9.9,"},
        {"x_forwarded_for": "10.9.9.9:http"},
        {"x_forwarded_for": "[10.9.9.9"},
        {"x_forwarded_for": "0x0a090909"},
        {"x_forwarded_for": "10.9.9.9" + "0" * 100},
        {"x_forwarded_for": "10.9.9.9," + "10.0.3.2," * MAX_HOPS + "10.0.3.2"},
        {"forwarded": "for=_hidden"},
        {"forwarded": "proto=https"},
        {"forwarded": "for=10.9.9.9", "x_forwarded_for": "192.0.2.7"},
        {"forwarded": "for=192.0.2.7", "x_forwarded_for": "10.9.9.9"},
    ],
)
def test_where_proxies_cannot_tell_the_caller_is_nobody(fields: dict[str, str]) -> None:
    assert address(scope(**fields)) == ""
    assert "" not in Networks(["0.0.0.0/0", "::/0"])


def test_several_fields_of_one_name_are_one_list() -> None:
    given = scope()
    given["headers"] = [(b"x-forwarded-for", b"10.9.9.9"), (b"x-forwarded-for", b"192.0.2.7"), (b"x-x", b"1")]
    assert address(given) == "192.0.2.7"


def test_a_peer_on_a_unix_socket_is_believed_when_it_is_named() -> None:
    given = scope(None, x_forwarded_for="192.0.2.7")
    assert (peer(given), address(given), address(given, Networks(["unix"]))) == ("unix", "unix", "192.0.2.7")


def test_a_peer_that_is_gone_already_is_no_unix_socket() -> None:
    given = scope(x_forwarded_for="192.0.2.7") | {"client": None}
    assert address(given, Networks(["unix"])) == ""


@pytest.mark.parametrize(
    ("client", "fields", "scheme"),
    [
        ("192.0.2.7", {"x_forwarded_proto": "https"}, "http"),
        ("10.0.3.1", {"x_forwarded_proto": "https"}, "https"),
        ("10.0.3.1", {"x_forwarded_proto": "https", "x_forwarded_for": "192.0.2.7, 10.0.3.2"}, "https"),
        ("10.0.3.1", {"x_forwarded_proto": "https, http", "x_forwarded_for": "192.0.2.7, 10.0.3.2"}, "https"),
        ("10.0.3.1", {"x_forwarded_proto": "https, http", "x_forwarded_for": "192.0.2.7"}, "http"),
        ("10.0.3.1", {"forwarded": "for=192.0.2.7;proto=https"}, "https"),
        ("10.0.3.1", {"forwarded": "proto=https;for=10.9.9.9, for=192.0.2.7;proto=http"}, "http"),
        ("10.0.3.1", {"x_forwarded_proto": "gopher"}, "http"),
        ("10.0.3.1", {}, "http"),
    ],
)
def test_the_scheme_is_what_the_proxy_that_the_caller_reached_says(
    client: str, fields: dict[str, str], scheme: str
) -> None:
    assert origin(scope(client, **fields), PROXIES).scheme == scheme


def test_an_ipv6_household_is_one_caller() -> None:
    assert group("2001:db8::1") == group("2001:db8::ffff:1:2:3") != group("2001:db8:0:1::1")
    assert (group("192.0.2.7"), group("::ffff:192.0.2.7"), group(""), group("unix")) == (
        *("192.0.2.7", "192.0.2.7"),
        *("", "unix"),
    )


@pytest.mark.parametrize("name", ["::ffff:10.0.0.0/104", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/8"])
def test_a_network_contains_an_ipv4_address_however_either_is_written(name: str) -> None:
    assert "10.1.2.3" in Networks([name])
    assert "::ffff:10.1.2.3" in Networks([name])
    assert "::10.1.2.3" not in Networks([name])


@pytest.mark.parametrize("name", ["10.0.0.0/33", "proxy.example.com", "10.0.0", ""])
def test_an_invalid_network_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        Networks([name])


@pytest.mark.parametrize(("client", "forwarded_for", "expected"), EXAMPLES)
def test_the_addresses_of_the_documentation_are_read_as_it_shows(
    client: str, forwarded_for: str, expected: str
) -> None:
    trusted = Networks(re.findall(r"`TRUSTED_PROXIES=(\S+)`", PAGE))
    assert address(scope(client, x_forwarded_for=forwarded_for), trusted) == expected


def test_the_documentation_has_an_example_of_a_known_and_an_unknown_address() -> None:
    assert {bool(expected) for _, _, expected in EXAMPLES} == {True, False}
