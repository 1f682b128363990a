# SPDX-License-Identifier: Apache-2.0
"""What proves an owner to the web process: a login secret at rest (argon2id), or a passkey (WebAuthn level 3).

The libraries are imported on use: the recorder imports `vault` too, and needs neither.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any, Final

import msgspec

from closedcircuit.base import Ids
from closedcircuit.base.errors import AccessError, KeyError_

PRF_SALT: Final = hashlib.sha256(b"closedcircuit passkey v1").digest()
"""What a passkey's `prf` extension is evaluated at (docs/design/http.md, "The owner")."""

_RP_NAME: Final = "Closed Circuit"


class Site(msgspec.Struct, frozen=True):
    """Where a passkey is valid."""

    host: str  # the relying party's id: "localhost", "nvr.example.org"; never an address
    origin: str  # "http://localhost:8080"


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a passkey, to be stored. As JSON its bytes are base64."""

    credential_id: bytes
    public_key: bytes  # COSE
    sign_count: int
    transports: tuple[str, ...] = ()


class Challenge(msgspec.Struct, frozen=True):
    """A question to a browser: `options` go to it as JSON, `challenge` stays here until its answer comes."""

    options: dict[str, Any]
    challenge: bytes


class LoginSecrets:
    """Stateless, safe from any thread. A challenge must be used once only: that is the caller's to keep."""

    @staticmethod
    def hash_auth(auth: bytes) -> str:
        """PHC string of what a browser sends to sign in: argon2id, 64 MiB, 3 passes (RFC 9106, section 4)."""
        from argon2 import PasswordHasher

        return PasswordHasher().hash(auth)

    @staticmethod
    def verify_auth(stored: str, auth: bytes) -> bool:
        """Say whether `auth` is what was hashed. Raises `KeyError_` where `stored` is no hash."""
        from argon2 import PasswordHasher, exceptions

        try:
            return PasswordHasher().verify(stored, auth)
        except exceptions.VerifyMismatchError:
            return False
        except (exceptions.InvalidHashError, exceptions.VerificationError) as error:
            raise KeyError_("The stored login secret is damaged.", remedy="Set up the owner again.") from error

    @staticmethod
    def passkey_creation_options(site: Site, user_name: str, ids: Ids) -> Challenge:
        """Ask for a new passkey, kept with the user verified, and with `prf`."""
        import webauthn
        from webauthn.helpers import structs

        challenge = ids.random(32)
        options = webauthn.generate_registration_options(
            rp_id=site.host,
            rp_name=_RP_NAME,
            user_name=user_name,
            user_id=ids.random(16),
            challenge=challenge,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.PREFERRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
        )
        return Challenge(_with_prf(webauthn.options_to_json(options)), challenge)

    @staticmethod
    def verify_passkey_creation(credential: dict[str, Any], challenge: bytes, site: Site) -> Passkey:
        """Check a browser's answer to `passkey_creation_options`. Raises AccessError."""
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise _refused(error) from error
        response = credential.get("response")
        transports = response.get("transports") if isinstance(response, dict) else None
        return Passkey(
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=tuple(str(way) for way in transports) if isinstance(transports, list) else (),
        )

    @staticmethod
    def passkey_request_options(site: Site, passkeys: tuple[Passkey, ...], ids: Ids) -> Challenge:
        """Ask for one of `passkeys`, with the user verified, and with `prf`."""
        import webauthn
        from webauthn.helpers import structs

        challenge = ids.random(32)
        known = {way.value for way in structs.AuthenticatorTransport}
        options = webauthn.generate_authentication_options(
            rp_id=site.host,
            challenge=challenge,
            allow_credentials=[
                structs.PublicKeyCredentialDescriptor(
                    id=key.credential_id,
                    transports=[structs.AuthenticatorTransport(way) for way in key.transports if way in known] or None,
                )
                for key in passkeys
            ],
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return Challenge(_with_prf(webauthn.options_to_json(options)), challenge)

    @staticmethod
    def verify_passkey_assertion(credential: dict[str, Any], challenge: bytes, site: Site, passkey: Passkey) -> Passkey:
        """Check an answer to `passkey_request_options`: the passkey with its new counter. Raises AccessError."""
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            _check_same(webauthn.base64url_to_bytes(str(credential.get("rawId", ""))), passkey.credential_id)
            seen = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise _refused(error) from error
        return msgspec.structs.replace(passkey, sign_count=seen.new_sign_count)


def _check_same(given: bytes, wanted: bytes) -> None:
    if given != wanted:
        raise ValueError("it is another passkey")


def _with_prf(options_json: str) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(options_json)
    first = urlsafe_b64encode(PRF_SALT).rstrip(b"=").decode("ascii")
    options["extensions"] = {"prf": {"eval": {"first": first}}}
    return options


def _refused(error: Exception) -> AccessError:
    return AccessError(
        f"The passkey was not accepted: {error}.", remedy="Try again, with the passkey made for this site."
    )
