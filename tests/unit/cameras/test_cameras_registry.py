# SPDX-License-Identifier: Apache-2.0
"""Camera files: what is written reads back equal; what cannot be used is refused by name."""

import contextlib
import stat
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import Secret, durable
from closedcircuit.base.errors import ConfigError, NotFound
from closedcircuit.cameras import Registry, join_address, split_address
from closedcircuit.cameras.registry import parse_camera
from closedcircuit.cameras.toml import to_toml
from closedcircuit.model import Camera, Mode, Recording, Source, Weekly

DOOR = Camera(
    id="front-door",
    name='Front "door"\n\t\\ ünï',
    main=Source(address="rtsp://10.0.0.5/main", pin_sha256="ab" * 32, options={"odd key.": "värde"}),
    sub=Source(address="rtsp://10.0.0.5/sub", audio=False),
    username="admin",
    recording=Recording(
        mode=Mode.SCHEDULE,
        schedule=(
            Weekly(days=("mon", "tue"), from_="08:00", to="18:30"),
            Weekly(days=("sun",), from_="22:00", to="06:00"),
        ),
        keep_days=30.0,
        pre_roll_s=2.5,
    ),
    added_90k=162_000_000_000_000,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SOURCES = st.builds(
    Source,
    address=TEXT,
    pin_sha256=TEXT,
    ca_file=TEXT,
    audio=st.booleans(),
    options=st.dictionaries(TEXT, TEXT, max_size=3),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
RECORDINGS = st.builds(
    Recording,
    mode=st.sampled_from(Mode),
    schedule=st.lists(
        st.builds(Weekly, days=st.lists(TEXT, max_size=3).map(tuple), from_=TEXT, to=TEXT), max_size=2
    ).map(tuple),
    pre_roll_s=FLOATS,
    post_roll_s=FLOATS,
    keep_days=st.none() | FLOATS,
    keep_gb=st.none() | FLOATS,
    record_sub=st.booleans(),
)


@given(
    st.builds(
        Camera,
        id=st.just("c"),
        name=TEXT,
        main=SOURCES,
        sub=st.none() | SOURCES,
        username=TEXT,
        recording=RECORDINGS,
        disk=TEXT,
        added_90k=st.integers(0, 2**62),
        pretend=st.booleans(),
    )
)
def test_any_camera_reads_back_equal(camera):
    assert msgspec.convert(tomllib.loads(to_toml(camera)), Camera) == camera


def test_save_get_list_remove(tmp_path):
    registry = Registry(tmp_path)
    assert registry.list() == []
    before = registry.stamp()
    registry.save(DOOR, Secret("hünter2"))
    assert registry.get("front-door") == DOOR
    assert registry.list() == [DOOR]
    assert registry.password("front-door") == Secret("hünter2")
    secret = tmp_path / "secrets" / "camera-front-door"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "hünter2" not in (tmp_path / "cameras" / "front-door.toml").read_text()
    after = registry.stamp()
    assert before != after
    registry.save(DOOR)  # the password stays
    assert registry.password("front-door") == Secret("hünter2")
    assert registry.stamp() != after
    registry.save(DOOR, Secret("other"))
    assert registry.password("front-door") == Secret("other")
    registry.remove("front-door")
    assert registry.list() == []
    assert not secret.exists()
    for act in (registry.get, registry.remove):
        with pytest.raises(NotFound):
            act("front-door")
    assert registry.password("front-door") == Secret("")


@pytest.mark.parametrize("ident", ["../x", "", "A", "a/b", ".."])
def test_ids_are_no_paths(tmp_path, ident):
    registry = Registry(tmp_path)
    with pytest.raises(ConfigError):
        registry.save(Camera(id=ident, name="x", main=Source(address="x")))
    with pytest.raises(NotFound):
        registry.get(ident)
    with pytest.raises(NotFound):
        registry.remove(ident)
    assert registry.password(ident) == Secret("")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "x"\n[main]\naddress = "a"\nadress = "b"', "adress"),
        ('name = "x"\nspeed = 3\n[main]\naddress = "a"', "speed"),
        ('name = "x"', "main"),
        ("name = 3\n[main]\naddress = 'a'", "name"),
        ("name = ", "not TOML"),
        ('id = "b"\nname = "x"\n[main]\naddress = "a"', "'b'"),
        ('name = "x"\n[main]\naddress = "a"\n[recording]\nmode = "never"', "recording.mode"),
        ("\x00", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, words):
    registry = Registry(tmp_path)
    registry.save(DOOR)
    (tmp_path / "cameras" / "a.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        registry.list()
    assert "a.toml" in str(caught.value)
    assert words in str(caught.value)
    usable, wrong = registry.list_usable()
    assert usable == [DOOR]
    assert [str(error) for error in wrong] == [str(caught.value)]


def test_hand_written_files_need_no_id(tmp_path):
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras" / "yard.toml").write_text('name = "Yard"\n[main]\naddress = "rtsp://h/x"\n')
    assert Registry(tmp_path).get("yard") == Camera(id="yard", name="Yard", main=Source(address="rtsp://h/x"))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_camera_or_a_config_error(data):
    with contextlib.suppress(ConfigError):
        parse_camera(data, Path("c.toml"))


class Crash(BaseException):
    pass


def test_a_crash_at_any_step_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    registry = Registry(tmp_path)
    registry.save(DOOR, Secret("old"))
    new = msgspec.structs.replace(DOOR, name="new")
    steps: list[str] = []
    monkeypatch.setattr(durable, "hook", steps.append)
    registry.save(new, Secret("new"))
    registry.save(DOOR, Secret("old"))
    for step in steps[: len(steps) // 2]:

        def die(name: str, step: str = step) -> None:
            if name == step:
                raise Crash

        monkeypatch.setattr(durable, "hook", die)
        with pytest.raises(Crash):
            registry.save(new, Secret("new"))
        monkeypatch.setattr(durable, "hook", None)
        assert registry.list() in ([DOOR], [new])
        assert registry.password("front-door").reveal() in ("old", "new")
        registry.save(DOOR, Secret("old"))
    assert len(steps) >= 8


@pytest.mark.parametrize(
    ("typed", "address", "username", "password"),
    [
        ("rtsp://user:p%40ss@host:554/path", "rtsp://host:554/path", "user", "p@ss"),
        ("rtsp://u:p@ss@host/x", "rtsp://host/x", "u", "p@ss"),
        ("rtsp://admin:a/b@host/x", "rtsp://host/x", "admin", "a/b"),
        ("rtsp://admin:a#b@10.0.0.1:554/x?y=z@w", "rtsp://10.0.0.1:554/x?y=z@w", "admin", "a#b"),
        ("rtsp://host/path@x", "rtsp://host/path@x", "", ""),
        (" RTSP://host/x ", "rtsp://host/x", "", ""),
        ("rtsp://u@[fe80::1]:8554/", "rtsp://[fe80::1]:8554/", "u", ""),
        ("/dev/video0", "/dev/video0", "", ""),
        ("clip.mp4", "clip.mp4", "", ""),
    ],
)
def test_addresses_as_typed(typed, address, username, password):
    assert split_address(typed) == (address, username, password)


@given(TEXT.filter(bool), TEXT)
def test_credentials_survive_being_put_in_and_taken_out(username, password):
    joined = join_address("rtsp://host:1/x", username, password)
    assert split_address(joined) == ("rtsp://host:1/x", username, password)


@given(st.text(max_size=60))
def test_any_text_is_split(text):
    split_address("rtsp://" + text)
    split_address(text)
