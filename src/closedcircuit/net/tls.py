# SPDX-License-Identifier: Apache-2.0
"""Who may be at the other end of a TLS connection, and who we are when we listen.

Contexts are shared by all connections of one policy: OpenSSL's memory is then mostly paid once.
"""

from __future__ import annotations

import functools
import hashlib
import socket
import ssl
from collections.abc import Callable

import msgspec

from closedcircuit.base.errors import CertificateRefused, ConfigError


class TlsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to trust. A pin decides alone; else `ca_file`; else the system's CAs, and the name is checked as well."""

    pin_sha256: str = ""  # SHA-256 of the certificate (DER), 64 hex digits, colons allowed
    ca_file: str = ""  # PEM
    server_name: str = ""  # the name to check and to ask for; empty: the host dialled


class TlsIdentity(msgspec.Struct, frozen=True):
    """What a listener shows: PEM files."""

    certificate_file: str
    key_file: str


def client_wrap(policy: TlsPolicy, host: str) -> Callable[[socket.socket], ssl.SSLSocket]:
    """Make the function that turns a connected socket into a TLS one. Raises ConfigError for an unusable policy."""
    if policy.pin_sha256:
        _pin(policy)
    context = _client_context(policy.ca_file, pinned=bool(policy.pin_sha256))
    name = policy.server_name or host

    def wrap(sock: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)

    return wrap


def client_check(policy: TlsPolicy, host: str) -> Callable[[ssl.SSLSocket], None] | None:
    """Make the check of the pin, which runs after the handshake and before any byte of ours; None without a pin."""
    if not policy.pin_sha256:
        return None
    pin = _pin(policy)

    def check(tls: ssl.SSLSocket) -> None:
        der = tls.getpeercert(binary_form=True) or b""
        shown = hashlib.sha256(der).hexdigest()
        if shown != pin:
            raise CertificateRefused(
                f"{host}: it shows another certificate than the one pinned (SHA-256 {shown})",
                remedy="If the device got a new certificate, pin the new SHA-256; else something else answers there.",
                sha256=shown,
            )

    return check


def server_wrap(identity: TlsIdentity) -> Callable[[socket.socket], ssl.SSLSocket]:
    """Make the function that turns an accepted socket into a TLS one."""
    context = _server_context(identity.certificate_file, identity.key_file)

    def wrap(sock: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    return wrap


def _pin(policy: TlsPolicy) -> str:
    pin = policy.pin_sha256.replace(":", "").strip().lower()
    if len(pin) != 64 or any(digit not in "0123456789abcdef" for digit in pin):
        raise ConfigError(
            "a certificate's SHA-256 is 64 hex digits",
            remedy="Take it from the message of a failed test of the camera.",
        )
    return pin


@functools.lru_cache(maxsize=64)
def _client_context(ca_file: str, *, pinned: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pinned:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the pin is checked instead, by client_check
    elif ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigError(f"{ca_file}: no certificates to read there", remedy="Name a PEM file of a CA.") from error
    else:
        context.load_default_certs()
    return context


@functools.lru_cache(maxsize=64)
def _server_context(certificate_file: str, key_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate_file, key_file)
    except OSError as error:
        raise ConfigError(
            f"{certificate_file}: no certificate and key to read there", remedy="Name two PEM files."
        ) from error
    return context
