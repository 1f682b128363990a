# SPDX-License-Identifier: Apache-2.0
"""The site's settings: what is wrong is named with file and key."""

from __future__ import annotations

import os

import pytest

from closedcircuit.app import DataFolder, Settings, load_settings
from closedcircuit.app.folder import is_alive
from closedcircuit.base.errors import ConfigError


def test_no_file_means_all_defaults_and_loopback(tmp_path):
    settings = load_settings(tmp_path)
    assert settings == Settings()
    assert settings.web.host == "127.0.0.1"
    assert [(disk.id, disk.path) for disk in settings.disks(tmp_path)] == [("data", str(tmp_path))]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[web]\nprot = 1\n", "prot"),
        ("[web]\nport = 'x'\n", "port"),
        ("[web]\nport = 70000\n", "70000"),
        ("[footage]\nkeep_days = 0\n", "keep_days"),
        ("[footage]\nfragment_s = 60\n", "fragment_s"),
        ("[footage]\nsegment_s = 1\n", "segment_s"),
        ("[web]\ntls_cert_file = 'a.pem'\n", "TLS"),
        ("[[disk]]\nid='a'\npath='x'\n[[disk]]\nid='a'\npath='y'\n", "disk ids"),
        ("[[disk]]\nid='../a'\npath='x'\n", "disk ids"),
        ("[web\n", "config.toml"),
        ("nonsense = true\n", "nonsense"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, named):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)
    assert named in str(caught.value)
    assert "config.toml" in str(caught.value)
    assert caught.value.remedy


def test_the_folder_is_private_and_status_files_are_whole(tmp_path):
    folder = DataFolder(tmp_path / "site")
    folder.create()
    assert (folder.root.stat().st_mode & 0o777) == 0o700
    assert folder.read_status("web") is None
    folder.write_status("web", {"pid": os.getpid()})
    assert folder.read_status("web")["alive"]
    (folder.run / "web.json").write_text('{"pid":')
    assert folder.read_status("web") is None


def test_an_unwritable_place_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        DataFolder(tmp_path / "file" / "site").create()


@pytest.mark.parametrize("pid", [None, 0, -1, "12", 2**22 + 1])
def test_what_is_no_process_is_not_alive(pid):
    assert not is_alive(pid)
