# SPDX-License-Identifier: Apache-2.0
"""Our age files and keys against npm `age-encryption` (typage), by the author of age."""

from __future__ import annotations

import pytest

from closedcircuit.base import SystemIds
from closedcircuit.vault import Identity, age_decrypt, age_encrypt, parse_identity, parse_recipient
from material.judges import age_js

pytestmark = pytest.mark.judge

GENERATE = """
const identity = await age.generateHybridIdentity();
process.stdout.write(identity + "\\n" + await age.identityToRecipient(identity));
"""
RECIPIENT = "process.stdout.write(await age.identityToRecipient(args[0]));"
DECRYPT = """
const decrypter = new age.Decrypter();
decrypter.addIdentity(args[0]);
process.stdout.write(await decrypter.decrypt(fs.readFileSync(args[1])));
"""
ENCRYPT = """
const encrypter = new age.Encrypter();
for (const recipient of args.slice(1)) encrypter.addRecipient(recipient);
process.stdout.write(await encrypter.encrypt(fs.readFileSync(args[0])));
"""


def test_identities_made_here_have_the_same_recipient_there():
    identity = Identity.generate(SystemIds())
    assert age_js(RECIPIENT, identity.text).decode() == identity.recipient.text


def test_identities_made_there_have_the_same_recipient_here():
    text, recipient = age_js(GENERATE).decode().split()
    assert parse_identity(text).recipient == parse_recipient(recipient)
    assert parse_identity(text).text == text


@pytest.mark.parametrize("size", [0, 65, 65_536, 65_537])
def test_files_written_here_open_there(tmp_path, size):
    ids = SystemIds()
    one, two = Identity.generate(ids), Identity.generate(ids)
    data = ids.random(size)
    path = tmp_path / "key.age"
    path.write_bytes(age_encrypt(data, [one.recipient, two.recipient], ids))
    for identity in (one, two):
        assert age_js(DECRYPT, identity.text, str(path)) == data


@pytest.mark.parametrize("size", [0, 65, 65_536, 65_537])
def test_files_written_there_open_here(tmp_path, size):
    ids = SystemIds()
    one, two = Identity.generate(ids), Identity.generate(ids)
    data = ids.random(size)
    path = tmp_path / "plain"
    path.write_bytes(data)
    sealed = age_js(ENCRYPT, str(path), one.recipient.text, two.recipient.text)
    for identity in (one, two):
        assert age_decrypt(sealed, [identity]) == data
