# SPDX-License-Identifier: Apache-2.0
"""A passkey signs in and opens footage in one gesture: with Chromium's virtual authenticator, which has `prf`."""

from __future__ import annotations

import pytest

from material.visit import Visit, pretend_site

AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "hasPrf": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def visit(chromium, tmp_path):
    with pretend_site(tmp_path / "site") as link:
        made = Visit(chromium, link, viewport={"width": 1280, "height": 800})
        session = made.context.new_cdp_session(made.page)
        session.send("WebAuthn.enable")
        session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        made.page.goto(link)
        yield made
        made.context.close()


def test_a_passkey_is_made_and_opens_again_after_signing_out(visit):
    page = visit.page
    page.get_by_label("What is this place called?").fill("Corner shop")
    page.locator("input[type=radio][value=passkey]").check(force=True)
    page.locator("button.primary.big").click()
    page.get_by_role("heading", name="recovery sheet").wait_for(timeout=30_000)
    with page.expect_download():
        page.get_by_role("button", name="Save as a file").click()
    page.locator("label.check input").check(force=True)
    page.locator("button.primary.big").click()
    visit.pictures(4)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Sign out and lock").click()
    page.get_by_role("button", name="Sign in").click()
    visit.pictures(4)
    assert page.locator("input[type=password]").count() == 0
    assert not visit.complaints
    assert not visit.strayed
