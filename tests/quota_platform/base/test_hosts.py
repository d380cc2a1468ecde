"""Which URLs may be saved as an upstream: https names under the connection's suffixes, or exactly the sandbox."""

from __future__ import annotations

import pytest

from quota_platform.base.hosts import HostRefused, check_listed, check_url, is_literal, is_public

SUFFIXES = ["niceincontact.com"]


@pytest.mark.parametrize(
    "url",
    [
        "https://niceincontact.com",
        "https://api-na1.niceincontact.com",
        "https://api-na1.niceincontact.com/",
        "https://API-NA1.NiceInContact.com:443/inContactAPI",
        "https://xn--bcher-kva.niceincontact.com",
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
        ("https://api-na1.niceincontact.com.", "dot"),
        ("https://@api-na1.niceincontact.com", "user name"),
        ("https://evil.example\\@api-na1.niceincontact.com", "backslash"),
        ("https://evil.example\\.niceincontact.com", "backslash"),
        ("https://api\n-na1.niceincontact.com", "control character"),
        ("https://api-na1.niceincontact.com/\x00", "control character"),
        (" https://api-na1.niceincontact.com", "blank"),
        ("https://[::1", "brackets"),
        ("https://[v1.x]", "IPv6 address"),
        ("https://[fe80::1%25eth0]", "IP address"),
        ("https://a_b.niceincontact.com", "letters, digits"),
        ("https://a%2eb.niceincontact.com", "letters, digits"),
        ("https://evil.example%2f.niceincontact.com", "letters, digits"),
        ("https://a;b.niceincontact.com", "letters, digits"),
        ("https://*.niceincontact.com", "letters, digits"),
        ("https://.niceincontact.com", "letters, digits"),
        ("https://a..niceincontact.com", "letters, digits"),
        ("https://-a.niceincontact.com", "letters, digits"),
        ("https://a-.niceincontact.com", "letters, digits"),
        (f"https://{'a' * 64}.niceincontact.com", "letters, digits"),
        (f"https://{'a.' * 125}niceincontact.com", "letters, digits"),
        ("https://xn--a.niceincontact.com", "internationalized"),
        ("https://xn--99999999999.niceincontact.com", "internationalized"),
        ("https://api-na1.niceincontact\uff0ecom", "ASCII"),
        ("https://\u2170.niceincontact.com", "ASCII"),
        ("https://127.0.0.1.", "IP address"),
        ("https://0x7f.0.0.0x1", "IP address"),
        ("https://api-na1.niceincontact.com:4_43", "port"),
        ("https://api-na1.niceincontact.com?", "query"),
        ("https://api-na1.niceincontact.com#", "fragment"),
        ("https://api-na1.n\u0131ceincontact.com", "ASCII"),
        ("https://xn--bcher-kva.niceincontact.com.example", "suffixes"),
        ("https://api-na1.niceincontact.com:8443", "443"),
        ("https://api-na1.niceincontact.com:0", "443"),
        ("https://api-na1.niceincontact.com:99999", "port"),
        ("https://api-na1.niceincontact.com?a=b", "query"),
        ("https://api-na1.niceincontact.com#f", "fragment"),
        ("https:///path", "host name"),
        ("", "host name"),
    ],
)
def test_an_address_that_is_not_public_is_refused_with_the_reason(url: str, says: str) -> None:
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
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("192.0.0.192", False),
        ("198.18.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("::ffff:0:10.0.0.1", False),
        ("64:ff9b:1::5db8:d70e", False),
        ("2002:a9fe:a9fe::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("fec0::1", False),
        ("feff::1", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c%1", True),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("4000::1", False),
        ("100::1", False),
        ("::", False),
        ("nonsense", False),
        ("", False),
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


@pytest.mark.parametrize("url", ["http://[::1]:8801", "http://[::1]:8801/x"])
def test_the_sandbox_may_have_an_ipv6_address(url: str) -> None:
    check_url(url, suffixes=[], sandbox_hosts=["[::1]:8801"])


@pytest.mark.parametrize("url", ["https://[::1", "http://a b:80", "https://hooks.example.com\t.evil.example"])
def test_a_hook_that_is_no_url_is_refused_with_the_reason(url: str) -> None:
    with pytest.raises(HostRefused):
        check_listed(url, ["hooks.example.com", "127.0.0.1:9000"], setting="ALERT_HOOK_HOSTS")
