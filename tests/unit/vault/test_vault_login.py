# SPDX-License-Identifier: Apache-2.0
"""Login secrets, and passkeys against an authenticator made from the standard (WebAuthn level 3, 6.1, 6.5)."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from closedcircuit.base.errors import AccessError, KeyError_
from closedcircuit.vault import PRF_SALT, LoginSecrets, Passkey, Site

SITE = Site("localhost", "http://localhost:8080")


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """A passkey in software: ES256, attestation none."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = b"credential-1"
        self.count = 0

    def _data(self, host, *, verified=True, attested=False):
        flags = 0x01 | (0x04 if verified else 0) | (0x40 if attested else 0)
        data = hashlib.sha256(host.encode()).digest() + bytes((flags,)) + struct.pack(">I", self.count)
        if attested:
            numbers = self.key.public_key().public_numbers()
            cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
            data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        return data

    def _client(self, kind, challenge, origin):
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def create(self, options, origin=SITE.origin, *, verified=True):
        data = self._data(options["rp"]["id"], verified=verified, attested=True)
        client = self._client("webauthn.create", options["challenge"], origin)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"clientDataJSON": b64(client), "attestationObject": b64(attestation), "transports": ["internal"]}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response}

    def get(self, options, origin=SITE.origin, *, verified=True):
        self.count += 1
        data = self._data(options["rpId"], verified=verified)
        client = self._client("webauthn.get", options["challenge"], origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response}


@pytest.fixture
def made(ids):
    device = Authenticator()
    asked = LoginSecrets.passkey_creation_options(SITE, "owner", ids)
    return device, LoginSecrets.verify_passkey_creation(device.create(asked.options), asked.challenge, SITE)


def test_creation_options_are_json_and_ask_for_prf(ids):
    asked = LoginSecrets.passkey_creation_options(SITE, "owner", ids)
    options = json.loads(json.dumps(asked.options))
    assert unb64(options["challenge"]) == asked.challenge
    assert options["rp"] == {"id": "localhost", "name": "Closed Circuit"}
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["extensions"] == {"prf": {"eval": {"first": b64(PRF_SALT)}}}
    assert hashlib.sha256(b"closedcircuit passkey v1").digest() == PRF_SALT


def test_a_passkey_signs_in(made, ids):
    device, passkey = made
    assert passkey.credential_id == b"credential-1"
    assert passkey.transports == ("internal",)
    asked = LoginSecrets.passkey_request_options(SITE, (passkey,), ids)
    options = json.loads(json.dumps(asked.options))
    assert options["userVerification"] == "required"
    assert options["rpId"] == "localhost"
    assert [unb64(known["id"]) for known in options["allowCredentials"]] == [passkey.credential_id]
    assert options["extensions"]["prf"]["eval"]["first"] == b64(PRF_SALT)
    seen = LoginSecrets.verify_passkey_assertion(device.get(asked.options), asked.challenge, SITE, passkey)
    assert seen == Passkey(
        credential_id=passkey.credential_id, public_key=passkey.public_key, sign_count=1, transports=("internal",)
    )


def test_another_site_an_old_question_or_an_unverified_user_is_refused(made, ids):
    device, passkey = made
    asked = LoginSecrets.passkey_request_options(SITE, (passkey,), ids)

    def verify(answer, challenge=asked.challenge, site=SITE, key=passkey):
        return LoginSecrets.verify_passkey_assertion(answer, challenge, site, key)

    with pytest.raises(AccessError):
        verify(device.get(asked.options, "http://evil.example"))
    with pytest.raises(AccessError):
        verify(device.get(asked.options), challenge=bytes(32))
    with pytest.raises(AccessError):
        verify(device.get(asked.options), site=Site("nvr.example.org", SITE.origin))
    with pytest.raises(AccessError):
        verify(device.get(asked.options, verified=False))
    with pytest.raises(AccessError):
        verify(Authenticator().get(asked.options))
    other = Authenticator()
    other.id = b"credential-2"
    with pytest.raises(AccessError):
        verify(other.get(asked.options))
    good = device.get(asked.options)
    stepped = verify(good)
    with pytest.raises(AccessError):  # a copy whose counter lags
        verify(good, key=stepped)


def test_creation_is_checked_as_well(ids):
    device = Authenticator()
    asked = LoginSecrets.passkey_creation_options(SITE, "owner", ids)
    for answer, challenge in (
        (device.create(asked.options, "http://evil.example"), asked.challenge),
        (device.create(asked.options), bytes(32)),
        (device.create(asked.options, verified=False), asked.challenge),
    ):
        with pytest.raises(AccessError):
            LoginSecrets.verify_passkey_creation(answer, challenge, SITE)


@pytest.mark.parametrize(
    "junk", [{}, {"id": 1}, {"rawId": "!!!"}, {"id": "a", "rawId": "YQ", "response": None, "type": "public-key"}]
)
def test_junk_from_a_browser_is_refused(made, junk):
    _, passkey = made
    with pytest.raises(AccessError):
        LoginSecrets.verify_passkey_creation(junk, bytes(32), SITE)
    with pytest.raises(AccessError):
        LoginSecrets.verify_passkey_assertion(junk, bytes(32), SITE, passkey)


def test_login_secret():
    stored = LoginSecrets.hash_auth(b"a" * 32)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")
    assert LoginSecrets.verify_auth(stored, b"a" * 32)
    assert not LoginSecrets.verify_auth(stored, b"a" * 31 + b"b")
    assert LoginSecrets.hash_auth(b"a" * 32) != stored
    with pytest.raises(KeyError_):
        LoginSecrets.verify_auth("not a hash", b"a" * 32)


def test_the_recorder_pays_for_none_of_it():
    """Importing what the recorder imports must not load the libraries of the web process, nor FFmpeg."""
    code = (
        "import sys, closedcircuit.vault, closedcircuit.media.mp4, closedcircuit.media.flac\n"
        "heavy = {'av', 'numpy', 'argon2', 'webauthn', 'pydantic', 'fastapi', 'asyncio', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
