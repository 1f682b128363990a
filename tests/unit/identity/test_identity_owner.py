# SPDX-License-Identifier: Apache-2.0
"""Becoming the owner, crashing on the way, and signing in."""

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from closedcircuit.base import ManualClock, SeededIds, durable
from closedcircuit.base.errors import AccessError, Forbidden, RequestError, TooManyTries
from closedcircuit.db import Database
from closedcircuit.identity import NewOwner, Owner, PasskeyProof, PassphraseProof, SetupLink, make_setup_token
from closedcircuit.vault import Identity, LoginSecrets, Passkey, Site, read_recipients

SITE = Site("localhost", "http://localhost:8470")
IDS = SeededIds(b"owner")
OWN, SHEET = Identity.generate(IDS).recipient.text, Identity.generate(IDS).recipient.text
AUTH = bytes(range(32))


class Place:
    """A data folder with an Owner."""

    def __init__(self, path):
        self.path, self.clock = path, ManualClock()
        (path / "run").mkdir()
        self.db = Database(path / "facts.db")
        self.token = make_setup_token(path, SeededIds())
        self.owner = self.start()

    def start(self):
        owner = Owner(self.path, self.db, self.clock, SeededIds())
        owner.repair()
        return owner

    @property
    def recipients(self):
        return [r.text for r in read_recipients(self.path / "keys" / "recipients.txt")]


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.db.close()


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch):
    """argon2 at its real strength costs 0.1 s and 64 MiB a call; one test below uses it."""
    monkeypatch.setattr(LoginSecrets, "hash_auth", staticmethod(lambda auth: "cheap:" + auth.hex()))
    monkeypatch.setattr(LoginSecrets, "verify_auth", staticmethod(lambda stored, auth: stored == "cheap:" + auth.hex()))


def new(**changes):
    values = {
        "name": "Ada",
        "recipient": OWN,
        "recovery_recipient": SHEET,
        "blob": bytes(60),
        "proof": PassphraseProof(bytes(16), 600_000, AUTH),
        **changes,
    }
    return NewOwner(**values)


def test_token_is_for_the_owner_of_the_machine_only(place):
    path = place.path / "run" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_setup_token(place.path, SeededIds(b"other")) == place.token  # a link printed before stays good
    assert len(place.token) == 32


def test_setup_writes_account_and_recipients_and_spends_the_token(place):
    assert not place.owner.exists()
    account = place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
    assert place.owner.account() == account
    assert place.recipients == [OWN, SHEET]
    assert "the owner, Ada" in (place.path / "keys" / "recipients.txt").read_text()
    assert stat.S_IMODE((place.path / "keys" / "recipients.txt").stat().st_mode) == 0o600
    assert not (place.path / "run" / "token").exists()
    assert make_setup_token(place.path, SeededIds()) is None
    with pytest.raises(Forbidden):
        place.owner.set_up(place.token, new(name="Eve"), SITE, "127.0.0.1")
    assert AUTH not in (place.path / "facts.db").read_bytes()  # the stored form is a hash (here a fake one, in hex)


def test_wrong_tokens_are_refused_and_counted(place):
    for wrong in ("", "0" * 32, place.token[:-1], place.token + "0", "\udcff" * 32):
        with pytest.raises(Forbidden):
            place.owner.set_up(wrong, new(), SITE, "127.0.0.1")
    with pytest.raises(TooManyTries) as refused:
        place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
    assert 0 < refused.value.retry_after_s <= 61
    place.clock.advance(61)
    place.owner.set_up(place.token, new(), SITE, "127.0.0.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "Ada\nage1pq1evil"},
        {"name": "x" * 81},
        {"recipient": "age1pq1nonsense"},
        {"recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"},
        {"recovery_recipient": OWN},
        {"blob": bytes(28)},
        {"blob": bytes(20_000)},
        {"proof": PassphraseProof(bytes(15), 600_000, AUTH)},
        {"proof": PassphraseProof(bytes(16), 599_999, AUTH)},
        {"proof": PassphraseProof(bytes(16), 600_000, AUTH[:-1])},
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(place, changes):
    with pytest.raises(RequestError) as refused:
        place.owner.set_up(place.token, new(**changes), SITE, "127.0.0.1")
    assert refused.value.remedy
    assert not place.owner.exists()
    assert place.recipients == []
    SetupLink(place.path).check(place.token)


def test_recipients_that_were_there_stay(place):
    third = Identity.generate(SeededIds(b"third")).recipient.text
    (place.path / "keys").mkdir()
    (place.path / "keys" / "recipients.txt").write_text(f"# the shop's lawyer\n{third}")
    place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
    assert place.recipients == [third, OWN, SHEET]
    assert "lawyer" in (place.path / "keys" / "recipients.txt").read_text()


def test_of_two_setups_at_once_one_wins(place):
    def attempt(number):
        try:
            return place.owner.set_up(place.token, new(name=f"Owner {number}"), SITE, f"10.0.0.{number}").name
        except Forbidden:
            return None

    with ThreadPoolExecutor(4) as pool:
        names = [name for name in pool.map(attempt, range(4)) if name]
    assert names == [place.owner.account().name]


class CrashError(Exception):
    pass


def test_a_crash_at_any_step_of_setup_leaves_either_nothing_or_an_owner_who_is_repaired_at_the_next_start(
    tmp_path, monkeypatch
):
    steps = []
    monkeypatch.setattr(durable, "hook", steps.append)
    (tmp_path / "dry").mkdir()
    dry = Place(tmp_path / "dry")
    steps.clear()
    dry.owner.set_up(dry.token, new(), SITE, "127.0.0.1")
    dry.db.close()
    assert {"identity.account", "identity.recipients", "identity.spend"} <= set(steps)
    for number in range(len(steps)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.setattr(durable, "hook", None)
        place = Place(folder)
        seen = []

        def die_at(step, seen=seen, number=number):
            if len(seen) == number:
                raise CrashError(step)
            seen.append(step)

        monkeypatch.setattr(durable, "hook", die_at)
        with pytest.raises(CrashError):
            place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
        monkeypatch.setattr(durable, "hook", None)
        owner = place.start()
        if owner.exists():
            assert place.recipients == [OWN, SHEET]
            assert not (folder / "run" / "token").exists()
            owner.login_passphrase(AUTH, "127.0.0.1")
        else:
            assert place.recipients == []
            owner.set_up(place.token, new(), SITE, "127.0.0.1")
        place.db.close()


def test_passphrase_login(place):
    place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
    options = place.owner.login_options(SITE)
    assert options == {"kind": "passphrase", "salt": bytes(16), "iterations": 600_000}
    assert place.owner.login_passphrase(AUTH, "127.0.0.1").name == "Ada"
    for _ in range(4):
        with pytest.raises(AccessError, match="not right"):
            place.owner.login_passphrase(bytes(32), "127.0.0.1")
    assert place.owner.login_passphrase(AUTH, "127.0.0.1")  # the fifth is right, which forgives the four
    for _ in range(5):
        with pytest.raises(AccessError, match="not right"):
            place.owner.login_passphrase(bytes(32), "127.0.0.1")
    with pytest.raises(TooManyTries):
        place.owner.login_passphrase(AUTH, "127.0.0.1")
    assert place.owner.login_passphrase(AUTH, "192.0.2.7")  # another place is not locked out


def test_real_argon2_is_what_is_stored(place, monkeypatch):
    monkeypatch.undo()
    place.owner.set_up(place.token, new(), SITE, "127.0.0.1")
    assert place.owner.account().login.auth_hash.startswith("$argon2id$")
    assert place.owner.login_passphrase(AUTH, "127.0.0.1")
    with pytest.raises(AccessError):
        place.owner.login_passphrase(bytes(32), "127.0.0.1")


def test_login_without_an_owner_says_what_to_do(place):
    with pytest.raises(Forbidden) as refused:
        place.owner.login_options(SITE)
    assert "link" in refused.value.remedy


# ------------------------------------------------------------------------------------------------ passkeys


def answer_to(options, **more):
    client_data = {"type": "webauthn", "challenge": options["challenge"], "origin": SITE.origin}
    return {"response": {"clientDataJSON": b64url(json.dumps(client_data).encode())}, **more}


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def believing(monkeypatch):
    """Authenticator checks are vault's and tested there; here: which challenge is used, how often, and for whom."""
    asked = []

    def made(_credential, challenge, site):
        asked.append((challenge, site))
        return Passkey(credential_id=b"id", public_key=b"key", sign_count=0)

    def seen(credential, challenge, _site, passkey):
        asked.append((challenge, passkey))
        if credential.get("wrong"):
            raise AccessError("no")
        return msgspec.structs.replace(passkey, sign_count=passkey.sign_count + 1)

    monkeypatch.setattr(LoginSecrets, "verify_passkey_creation", staticmethod(made))
    monkeypatch.setattr(LoginSecrets, "verify_passkey_assertion", staticmethod(seen))
    return asked


def passkey_owner(place):
    options = place.owner.setup_options(place.token, "Ada", SITE, "127.0.0.1")
    credential = answer_to(options)
    place.owner.set_up(place.token, new(proof=PasskeyProof(credential)), SITE, "127.0.0.1")
    return credential


def test_setup_and_login_by_passkey(place, believing):
    passkey_owner(place)
    (challenge, site), *_ = believing
    assert len(challenge) == 32
    assert site == SITE
    options = place.owner.login_options(SITE)["options"]
    assert options["extensions"]["prf"]
    credential = answer_to(options)
    assert place.owner.login_passkey(credential, SITE, "127.0.0.1").name == "Ada"
    assert place.owner.account().login.passkey.sign_count == 1
    with pytest.raises(AccessError, match="used before"):
        place.owner.login_passkey(credential, SITE, "127.0.0.1")


def test_challenges_end_and_serve_one_purpose(place, believing):
    setup = passkey_owner(place)
    with pytest.raises(AccessError):
        place.owner.login_passkey(setup, SITE, "127.0.0.1")
    credential = answer_to(place.owner.login_options(SITE)["options"])
    place.clock.advance(301)
    with pytest.raises(AccessError, match="too old"):
        place.owner.login_passkey(credential, SITE, "127.0.0.1")


def test_passkey_belongs_to_one_name(place, believing):
    passkey_owner(place)
    with pytest.raises(Forbidden) as refused:
        place.owner.login_options(Site("nvr.lan", "http://nvr.lan:8470"))
    assert "http://localhost:8470" in refused.value.remedy


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"response": None},
        {"response": {"clientDataJSON": "!"}},
        {"response": {"clientDataJSON": b64url(b"[]")}},
        {"response": {"clientDataJSON": b64url(b"{}")}},
        {"response": {"clientDataJSON": b64url(b'{"challenge": 5}')}},
        {"response": {"clientDataJSON": b64url(b"[" * 100_000)}},
    ],
)
def test_answers_that_cannot_be_read_are_refused(place, believing, credential):
    passkey_owner(place)
    with pytest.raises(AccessError):
        place.owner.login_passkey(credential, SITE, "192.0.2.1")


def test_the_other_kind_of_login_is_refused(place, believing):
    passkey_owner(place)
    with pytest.raises(AccessError, match="passkey"):
        place.owner.login_passphrase(AUTH, "127.0.0.1")


def test_many_open_questions_push_out_the_oldest_only(place, believing):
    passkey_owner(place)
    first = answer_to(place.owner.login_options(SITE)["options"])
    for _ in range(255):
        place.owner.login_options(SITE)
    last = answer_to(place.owner.login_options(SITE)["options"])
    with pytest.raises(AccessError):
        place.owner.login_passkey(first, SITE, "192.0.2.1")
    place.owner.login_passkey(last, SITE, "192.0.2.1")
