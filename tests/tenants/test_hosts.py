"""Which URLs may be saved as an upstream: https names under the connection's suffixes, or exactly the sandbox."""

from __future__ import annotations

import pytest

from tenants.hosts import HostRefused, check_url, is_literal, is_public

SUFFIXES = ["niceincontact.com"]


@pytest.mark.parametrize(
    "url",
    [
        "https://niceincontact.com",
        "https://api-na1.niceincontact.com",
        "https://api-na1.niceincontact.com/",
        "https://API-NA1.NiceInContact.com:443/inContactAPI",
    ],
)
def test_a_name_under_a_suffix_is_accepted(url: str) -> None:
    check_url(url, suffixes=SUFFIXES)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api-na1.niceincontact.com", "https"),
        ("ftp://api-na1.niceincontact.com", "https"),
        ("//api-na1.niceincontact.com", "https"),
        ("https://127.0.0.1", "IP address"),
        ("https://[::1]", "IP address"),
        ("https://[::ffff:127.0.0.1]", "IP address"),
        ("https://169.254.169.254/latest/meta-data", "IP address"),
        ("https://2130706433", "IP address"),
        ("https://0x7f000001", "IP address"),
        ("https://0177.0.0.1", "IP address"),
        ("https://127.1", "IP address"),
        ("https://user@api-na1.niceincontact.com", "user name"),
        ("https://user:secret@api-na1.niceincontact.com", "user name"),
        ("https://api-na1.niceincontact.com@evil.example", "user name"),
        ("https://api-na1.niceincontact.com.attacker.example", "suffixes"),
        ("https://evilniceincontact.com", "suffixes"),
        ("https://localhost", "suffixes"),
        ("https://api-na1.niceincontact.com.", "suffixes"),
        ("https://api-na1.n\u0131ceincontact.com", "ASCII"),
        ("https://xn--api-na1.niceincontact.com.example", "suffixes"),
        ("https://api-na1.niceincontact.com:8443", "443"),
        ("https://api-na1.niceincontact.com:0", "443"),
        ("https://api-na1.niceincontact.com:99999", "port"),
        ("https://api-na1.niceincontact.com?a=b", "query"),
        ("https://api-na1.niceincontact.com#f", "fragment"),
        ("https:///path", "host name"),
        ("", "host name"),
    ],
)
def test_everything_else_is_refused_with_the_reason(url: str, says: str) -> None:
    with pytest.raises(HostRefused, match=says):
        check_url(url, suffixes=SUFFIXES)


@pytest.mark.parametrize("url", ["http://sandbox:8801", "https://sandbox:8801/x"])
def test_the_sandbox_may_be_reached_over_http_where_it_is(url: str) -> None:
    check_url(url, suffixes=[], sandbox_hosts=["sandbox:8801"])


@pytest.mark.parametrize(
    "url", ["http://sandbox:8802", "http://sandbox", "http://127.0.0.1:8801", "https://api-na1.niceincontact.com"]
)
def test_a_sandbox_connection_reaches_nothing_else(url: str) -> None:
    with pytest.raises(HostRefused, match="sandbox:8801"):
        check_url(url, suffixes=SUFFIXES, sandbox_hosts=["sandbox:8801"])


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
        ("2002:5db8:d70e::", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("::ffff:192.168.0.1", False),
        ("::192.168.0.1", False),
        ("64:ff9b::c0a8:1", False),
        ("2002:c0a8:1::", False),
        ("ff02::1", False),
        ("239.1.1.1", False),
    ],
)
def test_an_address_is_public_or_not_in_every_disguise(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("host", "literal"),
    [("127.0.0.1", True), ("::1", True), ("2130706433", True), ("0x7f.1", True), ("1.2.3.4.", True), ("a1.com", False)],
)
def test_an_ip_address_is_seen_in_every_notation(host: str, literal: bool) -> None:
    assert is_literal(host) is literal
