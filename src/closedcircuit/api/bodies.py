# SPDX-License-Identifier: Apache-2.0
"""What browsers send. Unknown fields, wrong types and oversize texts are refused (422)."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A JSON object whose fields are all known."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def unbase64(text: str) -> bytes:
    """Return the bytes of standard, padded base64. Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("this is not base64") from error


def _check_base64(text: str) -> str:
    unbase64(text)
    return text


Base64 = Annotated[str, Field(max_length=32 << 10), AfterValidator(_check_base64)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Token = Annotated[str, Field(max_length=100)]
Recipient = Annotated[str, Field(max_length=4096)]
Address = Annotated[str, Field(min_length=1, max_length=2048)]
Secret = Annotated[str, Field(max_length=256)]
Moment = Annotated[int, Field(ge=0, lt=1 << 53)]
Hex256 = Annotated[str, Field(max_length=95)]


class SetupPasskey(Body):
    """`POST /api/setup/passkey`."""

    token: Token
    name: Name


class PassphraseLogin(Body):
    """What the browser made of a new passphrase."""

    kind: Literal["passphrase"]
    salt: Base64
    iterations: int
    auth: Base64


class PasskeyLogin(Body):
    """A new passkey: WebAuthn RegistrationResponseJSON."""

    kind: Literal["passkey"]
    credential: dict[str, Any]


class Setup(Body):
    """`POST /api/setup`."""

    token: Token
    name: Name
    recipient: Recipient
    recovery_recipient: Recipient
    blob: Base64
    login: Annotated[PassphraseLogin | PasskeyLogin, Field(discriminator="kind")]


class PassphraseProof(Body):
    """`POST /api/login` with a passphrase."""

    kind: Literal["passphrase"]
    auth: Base64


class PasskeyProof(Body):
    """`POST /api/login` with a passkey: WebAuthn AuthenticationResponseJSON."""

    kind: Literal["passkey"]
    credential: dict[str, Any]


Login = Annotated[PassphraseProof | PasskeyProof, Field(discriminator="kind")]


class CameraChange(Body):
    """`PATCH /api/cameras/{id}`: what is not named stays."""

    name: Name | None = None
    address: Address | None = None
    sub_address: Annotated[str, Field(max_length=2048)] | None = None  # empty: it has none any more
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret | None = None
    pin_sha256: Hex256 | None = None
    audio: bool | None = None
    recording: dict[str, Any] | None = None  # fields of Recording; what is not named stays
    disk: Annotated[str, Field(max_length=64)] | None = None
    paused: bool | None = None


class NewCamera(Body):
    """`POST /api/cameras` and `POST /api/cameras/test`."""

    name: Name
    address: Address
    sub_address: Annotated[str, Field(max_length=2048)] | None = None
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret | None = None
    pin_sha256: Hex256 | None = None
    audio: bool | None = None
    recording: dict[str, Any] | None = None
    disk: Annotated[str, Field(max_length=64)] | None = None


class NewHold(Body):
    """`POST /api/holds`."""

    camera: Annotated[str, Field(max_length=40)]
    start_90k: Moment
    end_90k: Moment
    reason: Annotated[str, Field(max_length=500)]


class StorageChange(Body):
    """`PATCH /api/storage`."""

    keep_days: Annotated[float, Field(gt=0, le=36_500, strict=False)] | None = None
