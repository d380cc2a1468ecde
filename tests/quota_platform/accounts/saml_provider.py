"""A SAML provider on a socket of its own. It signs with real keys, lies included."""

from __future__ import annotations

import base64
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit
from uuid import uuid4

import xmlsec as _xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

xmlsec: Any = _xmlsec  # its stubs leave out what its own documentation uses
NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
_XMLNS = f'xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}"'
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
_METADATA = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="{ds}" entityID="{issuer}">
<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}
<md:SingleLogoutService Binding="{redirect}" Location="{address}/signed-out"/>
<md:SingleSignOnService Binding="{redirect}" Location="{address}/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"""
_KEY = """<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate>
</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"""
_RESPONSE = """<samlp:Response {xmlns} ID="{response_id}" Version="2.0" IssueInstant="{now}"
 Destination="{recipient}" {irt}>
<saml:Issuer>{issuer}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
<saml:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer>
<saml:Subject><saml:NameID Format="{name_format}">{name_id}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData Recipient="{recipient}"{end}{irt}/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{start}" NotOnOrAfter="{until}">{audience}</saml:Conditions>
<saml:AuthnStatement AuthnInstant="{now}" SessionIndex="{session_index}"><saml:AuthnContext>
<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
</saml:AuthnContext></saml:AuthnStatement>
<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion></samlp:Response>"""
_AUDIENCE = "<saml:AudienceRestriction><saml:Audience>{}</saml:Audience></saml:AudienceRestriction>"
_ATTRIBUTE = '<saml:Attribute Name="{}">{}</saml:Attribute>'
_LOGOUT = """<samlp:LogoutRequest {xmlns} ID="{request_id}" Version="2.0" IssueInstant="{now}" Destination="{where}">
<saml:Issuer>{issuer}</saml:Issuer><saml:NameID Format="{name_format}">{name_id}</saml:NameID></samlp:LogoutRequest>"""
_LOGGED_OUT = """<samlp:LogoutResponse {xmlns} ID="{response_id}" Version="2.0" IssueInstant="{now}"
 Destination="{where}" InResponseTo="{irt}"><saml:Issuer>{issuer}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>
</samlp:LogoutResponse>"""
_FORM = """<!doctype html><title>Provider</title><link rel="icon" href="data:,"><form method="post" action="{}">
<input type="hidden" name="SAMLResponse" value="{}"><button>Sign in as Ana</button></form>"""


class Key:
    """A private key with a certificate that it signed itself."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.private.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        self.certificate = builder.sign(self.private, hashes.SHA256())

    @property
    def pem(self) -> str:
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.private.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode()

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def body(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()

    def sign(self, text: str) -> str:
        return base64.b64encode(self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


@dataclass(frozen=True)
class Says:
    """The provider's next response. ``None`` for the truth."""

    name_id: str = "ana-at-the-provider"
    name_format: str = PERSISTENT
    attributes: dict[str, list[str]] = field(default_factory=lambda: {"username": ["ana"], "groups": ["supervisors"]})
    issuer: str | None = None
    audience: str | None = None
    recipient: str | None = None
    in_response_to: str | None = None
    key: Key | None = None
    signs: str = "Assertion"
    encrypts_for: Key | None = None
    """The owner of the key that the assertion is encrypted with, after it was signed."""
    age_s: int = 0
    ends: bool = True
    session_index: str = "_session&amp;1"


@dataclass
class Provider:
    """Its address, its keys, its next response, and the requests that it got."""

    address: str
    keys: list[Key]
    says: Says = Says()
    platform: str = ""
    """The entity ID of the platform."""
    acs: str = ""
    requests: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """The name identifiers of the people whose sessions were ended at a platform's request."""

    @property
    def issuer(self) -> str:
        return f"{self.address}/metadata"

    def metadata(self) -> str:
        keys = "".join(_KEY.format(key.body) for key in self.keys)
        redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
        return _METADATA.format(ds=NS["ds"], issuer=self.issuer, keys=keys, redirect=redirect, address=self.address)

    def response(self, request_id: str = "", **says: Any) -> str:
        """The XML of a response to a request, or to none."""
        said = replace(self.says, **says)
        now = datetime.now(UTC) - timedelta(seconds=said.age_s)
        irt = request_id if said.in_response_to is None else said.in_response_to
        until = _time(now + timedelta(minutes=5))
        audience = self.platform if said.audience is None else said.audience
        text = _RESPONSE.format(
            xmlns=_XMLNS,
            response_id=f"_{uuid4().hex}",
            assertion_id=f"_{uuid4().hex}",
            now=_time(now),
            start=_time(now - timedelta(minutes=1)),
            until=until,
            end=f' NotOnOrAfter="{until}"' if said.ends else "",
            issuer=said.issuer or self.issuer,
            recipient=said.recipient or self.acs,
            irt=f' InResponseTo="{irt}"' if irt else "",
            audience=_AUDIENCE.format(audience) if audience else "",
            name_id=said.name_id,
            name_format=said.name_format,
            session_index=said.session_index,
            attributes="".join(_attribute(name, values) for name, values in said.attributes.items()),
        )
        text = signed(text, said.signs, said.key or self.keys[-1]) if said.signs else text
        return encrypted(text, said.encrypts_for) if said.encrypts_for else text

    def request_to_sign_out(self, where: str, *, signs: bool = True, **says: Any) -> dict[str, str]:
        """The query of a request to end the sessions of a person."""
        said = replace(self.says, **says)
        now, request_id = _time(datetime.now(UTC)), f"_{uuid4().hex}"
        text = _LOGOUT.format(
            xmlns=_XMLNS, request_id=request_id, now=now, where=where, issuer=self.issuer, **_name(said)
        )
        query = {"SAMLRequest": deflated(text), "RelayState": "there", "SigAlg": RSA_SHA256}
        return self._signed(query, said) if signs else query

    def _signed(self, query: dict[str, str], said: Says) -> dict[str, str]:
        text = "&".join(f"{name}={quote_plus(value)}" for name, value in query.items())
        return {**query, "Signature": (said.key or self.keys[-1]).sign(text)}

    def sign_out(self, query: str, *, where: str, status: str = "Success", **says: Any) -> dict[str, str]:
        """End the sessions of the person that a platform's request names; the query of the response to it."""
        request = self.request_of(query)
        name = request.find("saml:NameID", NS)
        if request.findtext("samlp:SessionIndex", "", NS) == unescape(self.says.session_index):
            self.left.append(f"{name.text} {name.get('Format')}")
        said = replace(self.says, **says)
        irt = request.get("ID") if said.in_response_to is None else said.in_response_to
        text = _LOGGED_OUT.format(
            xmlns=_XMLNS,
            response_id=f"_{uuid4().hex}",
            now=_time(datetime.now(UTC)),
            where=where,
            irt=irt,
            issuer=said.issuer or self.issuer,
            status=status,
        )
        return self._signed({"SAMLResponse": deflated(text), "RelayState": "", "SigAlg": RSA_SHA256}, said)

    @staticmethod
    def request_of(query: str) -> Any:
        return etree.fromstring(inflated(parse_qs(query)["SAMLRequest"][0]))

    def form(self, query: str) -> str:
        """The page for a request in the query of its address."""
        self.requests.append(query)
        request = self.request_of(query)
        self.acs, self.platform = request.get("AssertionConsumerServiceURL"), request.findtext("saml:Issuer", "", NS)
        return _FORM.format(escape(self.acs), encoded(self.response(request.get("ID"))))


def _name(said: Says) -> dict[str, str]:
    return {"name_id": said.name_id, "name_format": said.name_format}


def _attribute(name: str, values: list[str]) -> str:
    return _ATTRIBUTE.format(name, "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values))


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(xml: str | bytes) -> str:
    return base64.b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def deflated(xml: str) -> str:
    return base64.b64encode(zlib.compress(xml.encode())[2:-4]).decode()


def inflated(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text), -15)


def signed(xml: str, element: str, key: Key) -> str:
    """The document with this element signed, by xmlsec itself."""
    root = etree.fromstring(xml)
    what = root if element == "Response" else root.find(f"saml:{element}", NS)
    signature = xmlsec.template.create(what, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256)
    what.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{what.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.pem, xmlsec.KeyFormat.PEM)
    context.register_id(what, "ID")
    context.sign(signature)
    return str(etree.tostring(root), "ascii")


def encrypted(xml: str, owner: Key) -> str:
    """The document with its assertion encrypted for the owner of a key, by xmlsec itself: AES-256-GCM and RSA-OAEP."""
    root = etree.fromstring(xml)
    assertion = root.find("saml:Assertion", NS)
    around = etree.Element(f"{{{NS['saml']}}}EncryptedAssertion")
    root.replace(assertion, around)
    around.append(assertion)
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.Transform.AES256_GCM, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="dsig")
    xmlsec.template.encrypted_data_ensure_cipher_value(
        xmlsec.template.add_encrypted_key(info, xmlsec.Transform.RSA_OAEP)
    )
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(owner.certificate_pem, xmlsec.KeyFormat.CERT_PEM))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, 256, xmlsec.KeyDataType.SESSION)
    context.encrypt_xml(data, assertion)
    return str(etree.tostring(root), "ascii")


@contextmanager
def serving(*keys: Key) -> Iterator[Provider]:
    """A provider that publishes its metadata and responds to requests."""
    provider = Provider("", list(keys))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/signed-out":
                where = provider.acs.replace("/acs/", "/signed-out/")
                self.send_response(302)
                self.send_header("Location", f"{where}?{urlencode(provider.sign_out(parts.query, where=where))}")
                self.end_headers()
                return
            text = provider.metadata() if parts.path == "/metadata" else provider.form(parts.query)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.address = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
