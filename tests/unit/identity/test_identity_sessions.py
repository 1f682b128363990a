# SPDX-License-Identifier: Apache-2.0
import pytest

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.base.errors import NotFound, TooManyTries
from closedcircuit.db import Database
from closedcircuit.identity import Sessions
from closedcircuit.identity.limit import OVERALL, PER_PLACE, PLACES_MAX, LoginLimit, place_of
from closedcircuit.identity.sessions import LASTS_90K, SESSIONS_MAX, TRUSTED_S

DAY_S = 86_400


@pytest.fixture
def db(tmp_path):
    db = Database(tmp_path / "facts.db")
    db.write(
        lambda tx: tx.execute(
            "insert into account (name, recipient, recovery_recipient, blob, login_kind, login_json, made_90k)"
            " values ('Ada', 'age1pq1a', 'age1pq1b', x'00', 'passphrase', '{}', 0)"
        )
    )
    yield db
    db.close()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sessions(db, clock):
    return Sessions(db, clock, SeededIds())


def test_token_is_not_stored_and_finds_its_session(sessions, db):
    token = sessions.open(1, "Browser\n1.0")
    session = sessions.find(token)
    assert (session.account, session.agent) == (1, "Browser 1.0")
    stored = db.read("select * from session")
    assert token not in repr(stored)
    assert sessions.find(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    for nonsense in ("", "x", "é" * 43, "\udcff" * 43, "x" * 100_000):
        assert sessions.find(nonsense) is None


def test_it_lasts_thirty_days_from_its_last_use(sessions, clock):
    token = sessions.open(1, "")
    for _ in range(3):
        clock.advance(29 * DAY_S)
        assert sessions.find(token) is not None
    clock.advance(30 * DAY_S + 1)
    assert sessions.find(token) is None


def test_remembering_does_not_outlive_the_end(sessions, clock):
    token = sessions.open(1, "")
    clock.advance(30 * DAY_S - 1)
    other = Sessions(sessions._db, clock, SeededIds())
    other._ask = lambda digest, now_90k: sessions.list(1)[0]  # without the renewal
    assert other.find(token) is not None
    clock.advance(2)
    assert other.find(token) is None


def test_use_writes_at_most_once_an_hour(sessions, clock, db):
    token = sessions.open(1, "")
    made = clock.now_90k()
    clock.advance(TRUSTED_S + 1)
    sessions.find(token)
    assert db.read("select seen_90k from session") == [(made,)]
    clock.advance(3600)
    sessions.find(token)
    assert db.read("select seen_90k, expires_90k from session") == [(clock.now_90k(), clock.now_90k() + LASTS_90K)]


def test_closing_and_revoking_end_it_at_once_here_and_soon_in_another_process(sessions, db, clock):
    elsewhere = Sessions(db, clock, SeededIds(b"x"))
    one, two = sessions.open(1, "one"), sessions.open(1, "two")
    assert elsewhere.find(one)
    assert elsewhere.find(two)
    sessions.close(one)
    assert sessions.find(one) is None
    (left,) = sessions.list(1)
    assert left.agent == "two"
    sessions.revoke(1, left.id)
    assert sessions.find(two) is None
    clock.advance(TRUSTED_S)
    assert elsewhere.find(one) is None
    with pytest.raises(NotFound):
        sessions.revoke(1, left.id)


def test_another_account_cannot_revoke_it(sessions):
    token = sessions.open(1, "")
    with pytest.raises(NotFound):
        sessions.revoke(2, sessions.list(1)[0].id)
    assert sessions.find(token)


def test_sessions_are_bounded_and_old_ones_go(sessions, clock, db):
    first = sessions.open(1, "first")
    for _ in range(SESSIONS_MAX):
        clock.advance(1)
        sessions.open(1, "more")
    assert len(sessions.list(1)) == SESSIONS_MAX
    assert sessions.find(first) is None
    clock.advance(LASTS_90K / TICKS + 1)
    sessions.open(1, "new")
    assert db.read("select count(*) from session") == [(1,)]


# ------------------------------------------------------------------------------------------------ limits


def test_five_a_minute_from_one_place(clock):
    limit = LoginLimit(clock)
    for _ in range(PER_PLACE):
        limit.enter("192.0.2.1")
        clock.advance(1)
    with pytest.raises(TooManyTries) as refused:
        limit.enter("192.0.2.1")
    assert refused.value.retry_after_s == 56
    limit.enter("192.0.2.2")
    clock.advance(56)
    limit.enter("192.0.2.1")


def test_a_household_is_one_place():
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:2")
    assert place_of("2001:db8:0:1::1") != place_of("2001:db8::1")
    assert place_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert place_of("fe80::1%eth0") == "fe80::/64"
    assert place_of("") == ""


def test_many_places_together_are_limited_and_remembered_in_bounds(clock):
    limit = LoginLimit(clock)
    for number in range(OVERALL):
        limit.enter(f"10.0.0.{number}")
    with pytest.raises(TooManyTries):
        limit.enter("10.0.1.1")
    limit.forgive("10.0.0.0")
    limit.enter("10.0.1.2")
    for number in range(PLACES_MAX + 10):
        with pytest.raises(TooManyTries):
            limit.enter(f"10.1.{number // 250}.{number % 250}")
    assert len(limit._tries) <= PLACES_MAX
