# SPDX-License-Identifier: Apache-2.0
"""When a folder is a pretend site."""

from __future__ import annotations

import pytest

from closedcircuit.app import ROLES, DataFolder
from closedcircuit.app.pretending import _register, prepare_pretend_site
from closedcircuit.base import Secret
from closedcircuit.cameras import Registry
from closedcircuit.model import Camera, Source


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path)
    made.create()
    return made


def drawn(port, name="till"):
    return Camera(id=name, name=name, main=Source(address=f"rtsp://127.0.0.1:{port}/{name}/main"), pretend=True)


def test_an_empty_folder_becomes_a_pretend_site_and_stays_one(folder):
    assert prepare_pretend_site(folder) == tuple(ROLES)
    assert prepare_pretend_site(folder) == tuple(ROLES)
    _register(Registry(folder.root), [drawn(1)], {}, 7)
    folder.recipients.write_text("age1pq1\n")
    assert prepare_pretend_site(folder) == tuple(ROLES)


def test_a_configuration_or_a_camera_of_ones_own_is_no_pretend_site(folder):
    folder.config.write_text("")
    assert "pretend" not in prepare_pretend_site(folder)
    folder.config.unlink()
    Registry(folder.root).save(Camera(id="door", name="Door", main=Source(address="rtsp://camera/1")), Secret(""))
    assert "pretend" not in prepare_pretend_site(folder)


def test_a_site_with_an_owner_and_no_camera_waits_for_one(folder):
    folder.recipients.write_text("age1pq1\n")
    assert "pretend" not in prepare_pretend_site(folder)


def test_when_the_last_pretend_camera_is_removed_nothing_is_drawn_any_more(folder):
    prepare_pretend_site(folder)
    registry = Registry(folder.root)
    _register(registry, [drawn(1)], {}, 7)
    registry.remove("till")
    registry.save(Camera(id="door", name="Door", main=Source(address="rtsp://camera/1")), Secret(""))
    assert "pretend" not in prepare_pretend_site(folder)


def test_addresses_follow_the_port_and_what_the_owner_changed_stays(folder):
    import msgspec

    registry = Registry(folder.root)
    _register(registry, [drawn(1), drawn(1, "yard")], {"till": "secret"}, 7)
    assert registry.get("till").added_90k == 7
    assert registry.password("till").reveal() == "secret"
    registry.save(msgspec.structs.replace(registry.get("till"), name="My till"), None)
    registry.remove("yard")
    _register(registry, [drawn(2), drawn(2, "yard")], {"till": "secret"}, 9)
    assert [camera.id for camera in registry.list()] == ["till"]
    assert registry.get("till").name == "My till"
    assert registry.get("till").main.address == "rtsp://127.0.0.1:2/till/main"
    assert registry.get("till").added_90k == 7
