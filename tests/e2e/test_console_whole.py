# SPDX-License-Identifier: Apache-2.0
"""The README followed in a real browser: the one-time link, a key, live pictures, back in time, a clip, out again.

And what may never happen meanwhile: a request to anywhere else, an error on the console, a page that axe objects to.
"""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest

from material.visit import Visit, pretend_site

PASSPHRASE = "otter lantern violet harbour"
PAGES = ("wall", "playback", "cameras", "storage", "system")


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    """Start the pretend site by its command; the one-time link that it prints."""
    with pretend_site(tmp_path_factory.mktemp("site")) as printed:
        yield printed


@pytest.fixture(scope="module")
def first_visit(link, chromium):
    """Three screens: a key, the sheet, the cameras."""
    visit = Visit(chromium, link, viewport={"width": 1440, "height": 900})
    page = visit.page
    page.goto(link)
    page.get_by_label("What is this place called?").fill("Corner shop")
    choice = page.locator("input[type=radio][value=passphrase]")
    if choice.count():
        choice.check(force=True)
    page.locator("#new-passphrase").fill(PASSPHRASE)
    page.locator("form button.primary, button.primary.big").first.click()
    page.get_by_role("heading", name="recovery sheet").wait_for(timeout=30_000)
    sheet = page.inner_text("body")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as a file").click()
    visit.sheet_file = Path(saving.value.path()).read_text()
    visit.sheet = sheet
    page.locator("label.check input").check(force=True)
    page.locator("button.primary.big").click()
    visit.pictures(4)
    yield visit
    visit.context.close()


def test_three_screens_lead_to_live_pictures_and_the_sheet_holds_an_identity(first_visit):
    assert re.search(r"AGE-SECRET-KEY-PQ-1[0-9A-Z]+", first_visit.sheet_file)
    assert "#setup" not in first_visit.page.url


def test_the_link_works_once(first_visit, chromium, link):
    other = Visit(chromium, link)
    other.page.goto(link)
    other.page.get_by_label("Passphrase").first.wait_for()
    assert other.page.get_by_label("What is this place called?").count() == 0
    other.context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_pleases_axe(first_visit, name, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs the dependency group `judge`"
    ).Axe()
    page = first_visit.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{first_visit.home}/#/{name}")
    page.get_by_role("main").wait_for()
    page.wait_for_timeout(1500)
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_needs_no_sideways_scrolling(first_visit, name):
    page = first_visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{first_visit.home}/#/{name}")
    page.get_by_role("main").wait_for()
    page.wait_for_timeout(800)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    assert wide <= 0


def test_back_in_time_and_a_clip_that_any_player_opens(first_visit, tmp_path):
    page = first_visit.page
    page.goto(f"{first_visit.home}/#/wall")
    page.goto(f"{first_visit.home}/#/playback?c=till")
    first_visit.pictures(1)
    page.wait_for_function(
        """() => { const line = document.querySelector('[role=slider]');
                   return line.ariaValueMax - line.ariaValueMin > 35; }""",
        timeout=90_000,
    )  # seconds on the timeline
    page.get_by_role("button", name="1 min", exact=True).click()
    page.get_by_role("button", name="Clip").click()
    box = page.get_by_role("slider").bounding_box()
    height = box["y"] + box["height"] * 0.6
    page.mouse.move(box["x"] + box["width"] * 0.35, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, height, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Save clip").click()
    dialog = page.get_by_role("dialog")
    with page.expect_download(timeout=60_000) as saving:
        dialog.get_by_role("button", name="Save clip").click()
    target = tmp_path / saving.value.suggested_filename
    saving.value.save_as(target)
    assert target.suffix == ".mp4"
    with av.open(str(target)) as clip:
        assert sum(1 for _ in clip.decode(video=0)) > 5
    page.keyboard.press("Escape")


def test_signing_out_locks_and_the_passphrase_opens_again(first_visit):
    page = first_visit.page
    page.goto(f"{first_visit.home}/#/wall")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Sign out and lock").click()
    page.locator("input[type=password]").first.fill("not the passphrase")
    page.keyboard.press("Enter")
    page.get_by_text("not the passphrase").first.wait_for()
    page.locator("input[type=password]").first.fill(PASSPHRASE)
    page.keyboard.press("Enter")
    first_visit.pictures(4)


def test_nothing_was_asked_of_anybody_else(first_visit):
    first_visit.page.wait_for_timeout(500)
    assert not first_visit.strayed


def test_the_page_had_nothing_to_complain_of(first_visit):
    unexpected = [text for text in first_visit.complaints if "401" not in text]  # the wrong passphrase above
    assert not unexpected
