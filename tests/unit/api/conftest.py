# SPDX-License-Identifier: Apache-2.0
"""The application without a server: requests go straight into it."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from closedcircuit.api import create_app
from closedcircuit.api.desk import Desk
from closedcircuit.api.serve import open_parts
from closedcircuit.api.static_pages import StaticPages
from closedcircuit.app import DataFolder, Settings
from closedcircuit.app.config import WebSetting
from closedcircuit.base import ManualClock, SeededIds
from closedcircuit.blobs import Disks
from closedcircuit.db import Database
from closedcircuit.identity import NewOwner, PassphraseProof, make_setup_token
from closedcircuit.vault import Identity, LoginSecrets, Site

BASE = "http://localhost"
AUTH = bytes(range(32))
OWN, SHEET = (Identity.generate(SeededIds(seed)).recipient.text for seed in (b"own", b"sheet"))


class Site_:  # noqa: N801 - `Site` is vault's
    """A folder, the application over it, and two browsers: a stranger's and the owner's."""

    def __init__(self, root, static):
        self.folder = DataFolder(root)
        self.folder.create()
        Disks.adopt(root, disk_id="data")
        self.clock, self.token = ManualClock(), make_setup_token(root, SeededIds(b"token"))
        self.db, self.desk = Database(self.folder.facts), Desk(2)
        settings = Settings(web=WebSetting(names=("nvr.example", "Nvr.Lan.")))
        self.parts = open_parts(self.folder, settings, (self.db, self.desk), (self.clock, SeededIds()))
        self.app = create_app(self.parts, StaticPages(static))
        self.stranger = self.browser()
        self.owner = self.browser()

    def browser(self, base=BASE, **headers):
        return TestClient(self.app, base_url=base, headers={"origin": base, **headers})

    def sign_in(self):
        proof = PassphraseProof(bytes(16), 600_000, AUTH)
        new = NewOwner(name="Ada", recipient=OWN, recovery_recipient=SHEET, blob=bytes(60), proof=proof)
        account = self.parts.owner.set_up(self.token, new, Site("localhost", BASE), "x")
        self.owner.cookies.set("cc_session", self.parts.sessions.open(account.id, "test"))
        return self

    def close(self):
        for browser in (self.stranger, self.owner):
            browser.close()
        self.desk.close()
        self.db.close()


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch):
    monkeypatch.setattr(LoginSecrets, "hash_auth", staticmethod(lambda auth: "cheap:" + auth.hex()))
    monkeypatch.setattr(LoginSecrets, "verify_auth", staticmethod(lambda stored, auth: stored == "cheap:" + auth.hex()))


@pytest.fixture
def static(tmp_path):
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Closed Circuit</title>" + " " * 700)
    (folder / "icon.svg").write_text("<svg/>")
    (folder / ".stamp").write_text("secret")
    (folder / "assets" / "console-abc123.js").write_text("export {};" * 100)
    (tmp_path / "outside.txt").write_text("not for you")
    (folder / "assets" / "link.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def bare(tmp_path, static):
    """A site without an owner."""
    site = Site_(tmp_path / "data", static)
    yield site
    site.close()


@pytest.fixture
def site(bare):
    """A site whose owner is signed in as `owner`."""
    return bare.sign_in()
