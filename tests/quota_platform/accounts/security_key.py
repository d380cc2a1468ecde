"""A security key as the platform keeps it, without a browser that registers it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

_ID = b"a-key"
_NO_MODEL = b"\0" * 16


def registered(name: str) -> dict[str, Any]:
    """The data of an ``Authenticator`` of the type webauthn."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = ES256.from_cryptography_key(key)  # type: ignore[no-untyped-call]
    credential = AttestedCredentialData.create(_NO_MODEL, _ID, public)
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT
    data = AuthenticatorData.create(sha256(b"testserver"), flags, 0, credential)
    client = CollectedClientData.create(type="webauthn.create", challenge=b"x", origin="https://testserver")
    response = {
        "clientDataJSON": websafe_encode(client),
        "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
    }
    key_id = websafe_encode(_ID)
    return {"name": name, "credential": {"id": key_id, "rawId": key_id, "type": "public-key", "response": response}}
