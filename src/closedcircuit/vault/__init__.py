# SPDX-License-Identifier: Apache-2.0
"""The only door to cryptography: age files, hour keys, the ciphers of footage and live, login secrets.

Knows nothing of boxes or NAL units: `media` lays out, `recording` brings the two together through `model.SampleCipher`.
"""

from closedcircuit.vault.age import age_decrypt, age_encrypt
from closedcircuit.vault.ciphers import CtrCipher, opening_cipher
from closedcircuit.vault.keys import HourKey, KeyRing, SegmentKey, live_key, segment_key, unwrap_hour_key
from closedcircuit.vault.live import LiveHeader, LiveSealer, open_live
from closedcircuit.vault.login import PRF_SALT, Challenge, LoginSecrets, Passkey, Site
from closedcircuit.vault.passphrase import SealedIdentity, open_with_passphrase, seal_with_passphrase
from closedcircuit.vault.recipients import (
    Identity,
    Recipient,
    parse_identity,
    parse_recipient,
    read_identities,
    read_recipients,
)

__all__ = [
    "PRF_SALT",
    "Challenge",
    "CtrCipher",
    "HourKey",
    "Identity",
    "KeyRing",
    "LiveHeader",
    "LiveSealer",
    "LoginSecrets",
    "Passkey",
    "Recipient",
    "SealedIdentity",
    "SegmentKey",
    "Site",
    "age_decrypt",
    "age_encrypt",
    "live_key",
    "open_live",
    "open_with_passphrase",
    "opening_cipher",
    "parse_identity",
    "parse_recipient",
    "read_identities",
    "read_recipients",
    "seal_with_passphrase",
    "segment_key",
    "unwrap_hour_key",
]
