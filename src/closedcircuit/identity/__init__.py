# SPDX-License-Identifier: Apache-2.0
"""The owner, the one-time link that makes one, and who is signed in."""

from closedcircuit.identity.accounts import Account, StoredPasskey, StoredPassphrase
from closedcircuit.identity.owner import NewOwner, Owner, PasskeyProof, PassphraseProof
from closedcircuit.identity.sessions import Session, Sessions
from closedcircuit.identity.setup_link import SetupLink, make_setup_token

__all__ = [
    "Account",
    "NewOwner",
    "Owner",
    "PasskeyProof",
    "PassphraseProof",
    "Session",
    "Sessions",
    "SetupLink",
    "StoredPasskey",
    "StoredPassphrase",
    "make_setup_token",
]
