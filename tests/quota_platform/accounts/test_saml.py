"""Sign-in through a SAML provider that really signs: who is let in, with which rights, and which messages are not."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from lxml import etree
from pydantic import SecretStr, ValidationError
from pytest_django import Settings

from quota_platform.accounts.saml import assertion, metadata
from quota_platform.accounts.saml_settings import providers
from quota_platform.accounts.settings import SamlEnv
from quota_platform.base.sessions import person_of
from tenants.models import Tenant
from tests.patience import HANG_S
from tests.quota_platform.accounts.mapped import HOME, MAPPING, ana, assert_ana_is_supervisor_of_acme
from tests.quota_platform.accounts.saml_provider import NS, PERSISTENT, Key, Provider, encoded, serving, signed

START, ACS, FINISH = "/accounts/saml/start/", "/accounts/saml/acs/", "/accounts/saml/finish/"
METADATA, SIGNED_OUT = "/accounts/saml/metadata/", "/accounts/saml/signed-out/"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("redis_url"),
    pytest.mark.filterwarnings(
        "ignore:datetime.datetime.utc:DeprecationWarning"
    ),  # python3-saml's, from Python 3.12 on
]


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


@pytest.fixture(scope="module")
def other_key() -> Key:
    return Key()


@pytest.fixture
def provider(key: Key, settings: Settings) -> Iterator[Provider]:
    """A provider that the platform trusts."""
    with serving(key) as provider:
        use(
            settings, SAML_METADATA_URL=provider.issuer, SAML_NAME="Acme Identity", SAML_GROUPS=MAPPING, PUBLIC_URL=HOME
        )
        provider.platform, provider.acs = f"{HOME}{METADATA}", f"{HOME}{ACS}"
        yield provider
    cache.clear()


def use(settings: Settings, **values: Any) -> None:
    env = settings.ENV.model_copy(update=values)
    settings.ENV, settings.SOCIALACCOUNT_PROVIDERS = env, providers(env)


def begin(client: Client, query: str = "") -> str:
    """Follow the sign-in page's button; the ID of the request to the provider."""
    where = client.get(START + query)["Location"]
    page = requests.get(where, timeout=HANG_S).text
    client.page = page  # type: ignore[attr-defined]
    return str(re.search('InResponseTo="([^"]+)"', responded(page))[1])  # type: ignore[index]


def responded(page: str) -> str:
    return base64.b64decode(unescape(re.search('name="SAMLResponse" value="([^"]+)"', page)[1])).decode()  # type: ignore[index]


def post(client: Client, xml: str | bytes, **more: str) -> Any:
    """Bring a response as a browser does: without its session to the one page, and with it to the next."""
    stranger = Client()
    brought = stranger.post(ACS, {"SAMLResponse": encoded(xml), **more})
    if brought.status_code != 302:
        return brought
    assert brought["Location"] == FINISH
    client.cookies["saml_response"] = brought.cookies["saml_response"].value
    return client.get(FINISH)


def sign_in(client: Client, query: str = "") -> Any:
    begin(client, query)
    return post(client, responded(client.page))  # type: ignore[attr-defined]


def member_of(*groups: str) -> dict[str, list[str]]:
    return {"username": ["ana"], "groups": list(groups)}


def is_refused(response: Any) -> bool:
    return response.status_code == 403 and b"message cannot be accepted" in response.content


def test_the_sign_in_page_leads_to_the_provider(client: Client, provider: Provider) -> None:
    page = client.get("/dashboard/tenants/", follow=True).content.decode()
    assert "Sign in with Acme Identity" in page
    link = unescape(re.search(r'href="(/accounts/saml/start/[^"]*)"', page)[1])  # type: ignore[index]
    assert client.get(link)["Location"].startswith(f"{provider.address}/sso?SAMLRequest=")


def test_a_person_gets_the_groups_and_tenants_of_their_attributes(
    client: Client, provider: Provider, acme: Tenant
) -> None:
    attributes = {"username": ["ana"], "email": ["ana@example.com"], "firstName": ["Ana"]}
    provider.says = replace(provider.says, attributes={**attributes, "groups": ["supervisors", "of no concern"]})
    assert sign_in(client, "?next=/dashboard/refusals/")["Location"] == "/dashboard/refusals/"
    assert_ana_is_supervisor_of_acme(client)


def test_what_a_group_gave_goes_with_the_group(
    client: Client, provider: Provider, acme: Tenant, globex: Tenant
) -> None:
    provider.says = replace(provider.says, attributes=member_of("supervisors", "owners"))
    sign_in(client)
    assert ana().is_superuser
    provider.says = replace(provider.says, attributes=member_of("auditors"))
    sign_in(Client())
    person = ana()
    assert not person.is_superuser and not person.is_staff
    assert set(person.groups.values_list("name", flat=True)) == {"Auditor"}
    assert set(person.memberships.values_list("tenant__tenant_id", flat=True)) == {"globex"}


def test_without_a_mapped_group_nobody_is_let_in_and_an_account_loses_what_it_had(
    client: Client, provider: Provider, acme: Tenant
) -> None:
    provider.says = replace(provider.says, attributes=member_of("strangers"))
    assert sign_in(client).status_code == 403 and not User.objects.filter(username="ana").exists()
    provider.says = replace(provider.says, attributes=member_of("supervisors"))
    sign_in(client)
    provider.says = replace(provider.says, attributes={"username": ["ana"]})
    later = Client()
    response = sign_in(later)
    assert response.status_code == 403 and b"is in no group that may use this platform" in response.content
    assert not ana().groups.exists() and not ana().memberships.exists() and not ana().is_staff
    assert person_of(later.session.session_key) is None


def test_a_name_or_an_address_of_the_provider_takes_over_no_account(
    client: Client, provider: Provider, admin_user: User
) -> None:
    names = {"username": [admin_user.username], "email": [admin_user.email], "groups": ["auditors"]}
    provider.says = replace(provider.says, attributes=names)
    sign_in(client)
    mine = person_of(client.session.session_key)
    assert mine is not None and mine != admin_user and not mine.is_superuser


@pytest.mark.parametrize("signs", ["Assertion", "Response"])
def test_the_assertion_or_the_response_around_it_is_signed(client: Client, provider: Provider, signs: str) -> None:
    provider.says = replace(provider.says, signs=signs)
    assert sign_in(client).status_code == 302 and person_of(client.session.session_key) == ana()


LIES: dict[str, dict[str, Any]] = {
    "unsigned": {"signs": ""},
    "another audience": {"audience": "https://other.example.com/"},
    "no audience": {"audience": ""},
    "another issuer": {"issuer": "https://other.example.com/"},
    "another recipient": {"recipient": f"https://other.example.com/?{HOME}{ACS}"},
    "a recipient that begins like ours": {"recipient": f"{HOME}{ACS}more"},
    "expired": {"age_s": 3_600},
    "not yet": {"age_s": -3_600},
    "without an end": {"ends": False},
    "a request of somebody else": {"in_response_to": "_another"},
    "no request": {"in_response_to": ""},
    "a transient name": {"name_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"},
    "a name too long to store": {"name_id": "a" * 192},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_assertion_that_was_not_meant_for_this_sign_in_is_refused(
    client: Client, provider: Provider, lie: dict[str, Any]
) -> None:
    request_id = begin(client)
    assert is_refused(post(client, provider.response(request_id, **lie)))
    assert not User.objects.exists() and person_of(client.session.session_key) is None


def test_a_signature_of_another_key_is_refused(client: Client, provider: Provider, other_key: Key) -> None:
    assert is_refused(post(client, provider.response(begin(client), key=other_key)))


def test_an_assertion_is_believed_once(client: Client, provider: Provider) -> None:
    begin(client)
    xml = responded(client.page)  # type: ignore[attr-defined]
    assert post(client, xml).status_code == 302
    assert is_refused(post(client, xml)) and is_refused(post(Client(), xml))


def test_a_sign_in_that_another_browser_began_is_refused(client: Client, provider: Provider) -> None:
    assert is_refused(post(client, provider.response(begin(Client()))))
    assert person_of(client.session.session_key) is None


def test_an_assertion_in_a_response_of_one_s_own_is_refused(client: Client, provider: Provider) -> None:
    """The response around a signed assertion is not signed: somebody who got hold of one could write another."""
    mine, theirs = begin(client), begin(Client())
    xml = provider.response(theirs)
    head, rest = xml.split(">", 1)
    assert is_refused(post(client, head.replace(theirs, mine) + ">" + rest))
    assert is_refused(post(client, re.sub(' InResponseTo="[^"]+"', "", head) + ">" + rest))


def wrapped(xml: str, place: Callable[[Any, Any, Any], None]) -> str:
    """The signed assertion moved to where nobody looks, and a forged one of an owner where it was."""
    root = etree.fromstring(xml)
    original = root.find("saml:Assertion", NS)
    forged = deepcopy(original)
    forged.remove(forged.find("ds:Signature", NS))
    forged.find(".//saml:Attribute[@Name='groups']/saml:AttributeValue", NS).text = "owners"
    place(root, original, forged)
    return str(etree.tostring(root), "ascii")


def _beside(root: Any, original: Any, forged: Any) -> None:
    forged.set("ID", "_forged")
    root.insert(2, forged)


def _beside_with_its_id(root: Any, original: Any, forged: Any) -> None:
    root.insert(2, forged)


def _in_its_signature(root: Any, original: Any, forged: Any) -> None:
    signature = original.find("ds:Signature", NS)
    root.replace(original, forged)
    forged.set("ID", "_forged")
    forged.insert(1, signature)
    original_copy = deepcopy(original)
    etree.SubElement(signature, f"{{{NS['ds']}}}Object").append(original_copy)


def _in_extensions(root: Any, original: Any, forged: Any) -> None:
    forged.set("ID", "_forged")
    root.replace(original, forged)
    extensions = etree.Element(f"{{{NS['samlp']}}}Extensions")
    extensions.append(original)
    root.insert(1, extensions)


def _around(root: Any, original: Any, forged: Any) -> None:
    forged.set("ID", "_forged")
    root.replace(original, forged)
    forged.append(original)


PLACES = [_beside, _beside_with_its_id, _in_its_signature, _in_extensions, _around]


@pytest.mark.parametrize("place", PLACES)
def test_a_forged_assertion_beside_the_signed_one_is_refused(
    client: Client, provider: Provider, place: Callable[[Any, Any, Any], None]
) -> None:
    assert is_refused(post(client, wrapped(provider.response(begin(client)), place)))
    assert not User.objects.exists()


def test_a_changed_attribute_is_refused(client: Client, provider: Provider) -> None:
    xml = provider.response(begin(client))
    assert is_refused(post(client, xml.replace("supervisors", "owners")))


def test_a_comment_does_not_shorten_a_name(client: Client, provider: Provider) -> None:
    """Canonical XML leaves comments out, so that one may be put in without breaking the signature."""
    long = provider.response(begin(client), name_id="ana.evil")
    assert post(client, long.replace("ana.evil", "ana<!-- -->.evil")).status_code == 302
    assert list(ana().socialaccount_set.values_list("uid", flat=True)) == ["ana.evil"]  # type: ignore[attr-defined]


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;">]>'
READS = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
ODD = ["", "no XML", "<a/>", "<a>" * 10_000, BOMB + "<b>&c;</b>", READS + "<b>&a;</b>", "\x00", "a" * 200_000]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_xml_is_refused_and_nothing_of_it_is_stored(client: Client, provider: Provider, odd: str) -> None:
    assert is_refused(post(client, odd)) and not Session.objects.exists()
    xml = provider.response("_some")
    assert is_refused(post(client, odd + xml)) and not Session.objects.exists()


def test_a_response_that_is_too_long_or_no_base64_is_refused(client: Client, provider: Provider) -> None:
    assert is_refused(client.post(ACS, {"SAMLResponse": "A" * (assertion.MAX_CHARACTERS + 4)}))
    assert is_refused(client.post(ACS, {"SAMLResponse": "%%%"})) and is_refused(client.post(ACS))
    assert is_refused(client.get(FINISH)) and client.get(ACS).status_code == 405


def test_an_unsolicited_response_is_believed_only_if_set_and_once(
    client: Client, provider: Provider, settings: Settings
) -> None:
    xml = provider.response()
    assert is_refused(post(client, xml))
    use(settings, SAML_UNSOLICITED=True)
    assert post(client, xml)["Location"] == "/dashboard/"
    assert is_refused(post(Client(), xml))
    assert is_refused(post(client, provider.response("_a request of somebody else")))


def test_a_person_who_may_sign_in_is_not_led_to_another_site(client: Client, provider: Provider) -> None:
    assert sign_in(client, "?next=https://evil.example.com/")["Location"] == "/dashboard/"


def test_the_second_key_of_a_provider_is_known_and_a_new_one_is_looked_up(
    client: Client, provider: Provider, key: Key, other_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.keys = [key, other_key]
    assert sign_in(client).status_code == 302
    third = Key()
    provider.keys = [key, third]
    assert is_refused(post(client, provider.response(begin(client)))), "read moments ago: not again yet"
    monkeypatch.setattr(metadata, "AGAIN_S", 0)
    assert sign_in(Client()).status_code == 302
    provider.keys = [other_key]
    monkeypatch.setattr(metadata, "KEPT_S", 0)
    assert is_refused(post(client, provider.response(begin(client), key=third))), "the key is withdrawn"


def test_while_the_provider_cannot_be_read_its_last_metadata_serves(
    client: Client, provider: Provider, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client)
    monkeypatch.setattr(metadata, "KEPT_S", 0)
    monkeypatch.setattr(provider, "metadata", lambda: "<html>maintenance</html>")
    assert sign_in(Client()).status_code == 302
    use(settings, SAML_METADATA_URL=f"{provider.address}/nowhere")
    response = client.get(START)
    assert response.status_code == 503 and b"The identity provider is unavailable" in response.content


def test_metadata_can_come_from_a_file(client: Client, provider: Provider, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "provider.xml"
    file.write_text(provider.metadata())
    use(settings, SAML_METADATA_URL="", SAML_METADATA_FILE=str(file))
    assert sign_in(client).status_code == 302


@pytest.mark.parametrize("wrong", ["<a/>", BOMB + "<b>&c;</b>", ""])
def test_metadata_without_a_provider_is_refused(wrong: str) -> None:
    with pytest.raises(Exception):  # noqa: B017  # the parser's or our own: none is believed
        metadata.parsed(wrong.encode())


def test_with_a_key_requests_are_signed_and_the_metadata_has_its_certificate(
    client: Client, provider: Provider, settings: Settings, other_key: Key
) -> None:
    use(settings, SAML_PRIVATE_KEY=SecretStr(other_key.pem), SAML_CERTIFICATE=other_key.certificate_pem)
    assert sign_in(client).status_code == 302
    query = {name: values[0] for name, values in parse_qs(provider.requests[-1], keep_blank_values=True).items()}
    signature = base64.b64decode(query.pop("Signature"))
    text = urlencode({name: query[name] for name in ("SAMLRequest", "RelayState", "SigAlg")})
    other_key.private.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    described = client.get(METADATA)
    assert described["Content-Type"] == "application/samlmetadata+xml"
    assert (
        'AuthnRequestsSigned="true"' in described.content.decode() and other_key.body[:60] in described.content.decode()
    )
    assert other_key.pem.split("\n")[2] not in described.content.decode()


def test_the_platform_describes_itself_under_its_public_address(client: Client, provider: Provider) -> None:
    root = etree.fromstring(client.get(METADATA).content)
    assert root.get("entityID") == f"{HOME}{METADATA}" and root.get("validUntil") in (None, "")
    assert f'Location="{HOME}{ACS}"' in etree.tostring(root).decode()


def signed_out(client: Client, query: dict[str, str]) -> Any:
    return client.get(f"{SIGNED_OUT}?{urlencode(query)}")


def test_signing_out_at_the_provider_ends_the_session_here(client: Client, provider: Provider) -> None:
    sign_in(client)
    response = signed_out(client, provider.request_to_sign_out(f"{HOME}{SIGNED_OUT}"))
    query = parse_qs(urlsplit(response["Location"]).query)
    assert response["Location"].startswith(f"{provider.address}/signed-out?") and query["RelayState"] == ["there"]
    assert person_of(client.session.session_key) is None


def test_nobody_is_signed_out_by_a_stranger_or_for_another(client: Client, provider: Provider, other_key: Key) -> None:
    sign_in(client)
    where = f"{HOME}{SIGNED_OUT}"
    for query in (
        provider.request_to_sign_out(where, signs=False),
        provider.request_to_sign_out(where, key=other_key),
        {**provider.request_to_sign_out(where), "RelayState": "elsewhere"},
        {"SAMLRequest": "A" * 9_000},
        {"SAMLRequest": "no XML"},
        {},
    ):
        assert is_refused(signed_out(client, query))
    assert signed_out(client, provider.request_to_sign_out(where, name_id="ben")).status_code == 302
    assert person_of(client.session.session_key) == ana()


def leave(client: Client, path: str = "/accounts/sign-out/") -> str:
    """Sign out here; where the browser goes from the page after it."""
    response = client.post(path, follow=True)
    assert person_of(client.session.session_key) is None
    found = re.search('http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
    return unescape(found[1]) if found else ""


def came_back(client: Client, provider: Provider, where: str, **says: Any) -> Any:
    return signed_out(client, provider.sign_out(urlsplit(where).query, where=f"{HOME}{SIGNED_OUT}", **says))


@pytest.mark.parametrize("path", ["/accounts/sign-out/", "/admin/logout/"])
def test_signing_out_here_signs_out_at_the_provider_by_a_page_between(
    client: Client, provider: Provider, path: str
) -> None:
    sign_in(client)
    where = leave(client, path)
    assert where.startswith(f"{provider.address}/signed-out?SAMLRequest=")
    assert came_back(client, provider, where)["Location"] == "/accounts/sign-in/"
    assert provider.left == [f"ana-at-the-provider {PERSISTENT}"]
    assert client.get("/accounts/saml/leave/")["Location"] == "/accounts/sign-in/", "once"


def test_with_a_key_the_request_to_sign_out_is_signed(
    client: Client, provider: Provider, settings: Settings, other_key: Key
) -> None:
    use(settings, SAML_PRIVATE_KEY=SecretStr(other_key.pem), SAML_CERTIFICATE=other_key.certificate_pem)
    sign_in(client)
    query = {name: each[0] for name, each in parse_qs(urlsplit(leave(client)).query, keep_blank_values=True).items()}
    text = urlencode({name: query[name] for name in ("SAMLRequest", "RelayState", "SigAlg")})
    signature = base64.b64decode(query["Signature"])
    other_key.private.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_a_provider_that_does_not_confirm_is_named_and_the_session_here_has_ended(
    client: Client, provider: Provider, other_key: Key
) -> None:
    lies: list[dict[str, Any]] = [
        {"status": "Responder"},
        {"key": other_key},
        {"in_response_to": "_another"},
        {"issuer": "https://other.example.com/"},
    ]
    for lie in lies:
        sign_in(client)
        response = came_back(client, provider, leave(client), **lie)
        assert response.status_code == 200 and b"did not confirm that you are signed out there" in response.content
    stranger = Client()
    sign_in(stranger)
    response = came_back(stranger, provider, f"?{provider.requests[-1]}")
    assert b"did not confirm" in response.content and person_of(stranger.session.session_key) == ana()


def test_a_session_that_began_without_the_provider_ends_without_it(
    client: Client, provider: Provider, admin_user: User
) -> None:
    provider.says = replace(provider.says, attributes=member_of("strangers"))
    assert sign_in(client).status_code == 403
    client.force_login(admin_user)
    assert leave(client) == ""


@pytest.mark.parametrize("change", ["no single logout", "the setting"])
def test_who_is_not_to_leave_at_the_provider_signs_out_here_alone(
    client: Client, provider: Provider, settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "no single logout":
        text = re.sub("<md:SingleLogoutService[^>]+>", "", provider.metadata())
        monkeypatch.setattr(provider, "metadata", lambda: text)
    if change == "the setting":
        use(settings, SAML_SINGLE_LOGOUT=False)
    sign_in(client)
    assert leave(client) == ""


def test_signing_out_works_while_the_provider_is_unavailable(
    client: Client, provider: Provider, settings: Settings
) -> None:
    sign_in(client)
    use(settings, SAML_METADATA_URL=f"{provider.address}:1/nowhere")
    assert leave(client) == ""


@pytest.mark.parametrize("signs", ["Assertion", "Response"])
def test_an_encrypted_assertion_is_read_with_the_platform_s_key(
    client: Client, provider: Provider, settings: Settings, other_key: Key, signs: str
) -> None:
    use(settings, SAML_PRIVATE_KEY=SecretStr(other_key.pem), SAML_CERTIFICATE=other_key.certificate_pem)
    if signs == "Assertion":
        provider.says = replace(provider.says, encrypts_for=other_key)
        begin(client)
        assert "ana-at-the-provider" not in responded(client.page)  # type: ignore[attr-defined]
        assert post(client, responded(client.page)).status_code == 302  # type: ignore[attr-defined]
    else:
        xml = provider.response(begin(client), signs="", encrypts_for=other_key)
        assert post(client, signed(xml, "Response", provider.keys[0])).status_code == 302
    assert person_of(client.session.session_key) == ana()


def test_an_encrypted_assertion_for_another_or_changed_or_unsigned_is_refused(
    client: Client, provider: Provider, settings: Settings, key: Key, other_key: Key
) -> None:
    lies: list[dict[str, Any]] = [{"encrypts_for": other_key}]
    assert is_refused(post(client, provider.response(begin(client), **lies[0]))), "the platform has no key at all"
    use(settings, SAML_PRIVATE_KEY=SecretStr(other_key.pem), SAML_CERTIFICATE=other_key.certificate_pem)
    lies = [{"encrypts_for": key}, {"encrypts_for": other_key, "signs": ""}, {"encrypts_for": other_key, "key": Key()}]
    for lie in lies:
        assert is_refused(post(client, provider.response(begin(client), **lie)))
    xml = provider.response(begin(client), encrypts_for=other_key)
    values = re.findall("<xenc:CipherValue>([^<]+)<", xml)
    changed = values[-1][:200] + ("A" if values[-1][200] != "A" else "B") + values[-1][201:]
    assert is_refused(post(client, xml.replace(values[-1], changed)))
    assert not User.objects.exists()


def test_without_a_provider_there_are_no_pages_of_it(client: Client) -> None:
    assert {client.get(page).status_code for page in (START, FINISH, METADATA, SIGNED_OUT)} == {404}
    assert client.post(ACS, {"SAMLResponse": "a"}).status_code == 404


def test_the_provider_has_the_second_factors_of_its_people(
    client: Client, provider: Provider, settings: Settings
) -> None:
    use(settings, SECOND_FACTOR_REQUIRED="everybody")
    sign_in(client)
    assert client.get("/dashboard/").status_code == 200


def test_a_process_loads_what_reads_saml_with_its_first_page_and_not_before() -> None:
    code = (
        "import django, os, sys; django.setup(); import quota_platform.urls, quota_platform.asgi;"
        "from quota_platform.lean_urls import handler; handler();"
        "print([name for name in ('onelogin', 'xmlsec', 'lxml') if name in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=True)
    assert seen.stdout.strip() == "[]"


WHOLE = {"SAML_METADATA_URL": "https://id.example.com/metadata", "SAML_GROUPS": {"a": {"staff": True}}}
WRONG: list[dict[str, Any]] = [
    {"SAML_METADATA_URL": "http://id.example.com/metadata"},
    {"SAML_METADATA_FILE": "/also/a/file"},
    {"SAML_GROUPS": {}},
    {"PUBLIC_URL": ""},
    {"SAML_CERTIFICATE": "one without its key"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_provider_without_tls_address_or_mapping_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    whole = {**WHOLE, "PUBLIC_URL": HOME, "SECRET_KEY": "x" * 32, "SECRETS_KEYS": "x"}
    SamlEnv.model_validate(whole)
    with pytest.raises(ValidationError):
        SamlEnv.model_validate({**whole, **wrong})
