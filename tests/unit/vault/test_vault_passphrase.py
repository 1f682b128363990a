# SPDX-License-Identifier: Apache-2.0
"""An identity under a passphrase."""

from __future__ import annotations

import pytest

from closedcircuit.base import Secret
from closedcircuit.base.errors import CannotOpen
from closedcircuit.vault import Identity, open_with_passphrase, seal_with_passphrase


def test_the_right_passphrase_opens_and_no_other(ids):
    identity = Identity.generate(ids)
    sealed = seal_with_passphrase(identity.text, Secret("correct horse battery"), ids)
    assert identity.text.encode() not in sealed.blob
    assert len(sealed.auth) == 32
    assert open_with_passphrase(sealed, Secret("correct horse battery")) == identity.text
    with pytest.raises(CannotOpen):
        open_with_passphrase(sealed, Secret("correct horse batteries"))


def test_composed_and_decomposed_letters_are_the_same_passphrase(ids):
    sealed = seal_with_passphrase("AGE-SECRET-KEY-PQ-1TEST", Secret("caf\u00e9 au lait, grand"), ids)
    assert open_with_passphrase(sealed, Secret("cafe\u0301 au lait, grand")) == "AGE-SECRET-KEY-PQ-1TEST"
