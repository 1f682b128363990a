# SPDX-License-Identifier: Apache-2.0
"""Documentation that cannot rot: generated pages are fresh, settings complete, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from closedcircuit.app import Settings
from closedcircuit.app.config import DiskSetting
from closedcircuit.model import Camera, Recording, Source

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_generated_pages_are_fresh(name):
    assert (ROOT / "docs/reference" / name).read_text("utf-8") == generate.PAGES[name](), "run ./dev docs"


def test_the_configuration_reference_is_complete_and_shows_the_defaults():
    text = (ROOT / "docs/reference/config.toml").read_text("utf-8")
    assert msgspec.convert(tomllib.loads(text), Settings) == Settings()
    for section in msgspec.structs.fields(Settings):
        if section.name == "disk":
            keys = [field.name for field in msgspec.structs.fields(DiskSetting)]
        else:
            keys = [field.name for field in msgspec.structs.fields(section.type)]
        for key in keys:
            assert re.search(rf"^#? ?{key} = ", text, re.MULTILINE), f"{section.name}.{key} is not in the reference"


def test_the_camera_reference_is_complete():
    text = (ROOT / "docs/reference/camera.toml").read_text("utf-8")
    camera = msgspec.convert(tomllib.loads(text), Camera)
    assert camera.recording.schedule
    for record in (Camera, Source, Recording):
        for field in msgspec.structs.fields(record):
            assert re.search(rf"^(\[(main\.)?{field.encode_name}\]|{field.encode_name} = )", text, re.MULTILINE), (
                field.name
            )


def test_every_command_has_an_example():
    for page in generate.cli_page().split("\n## ")[1:]:
        name = page.splitlines()[0]
        if "Commands:" not in page:
            assert "Example:" in page, name


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text("utf-8")):
            broken += [] if (page.parent / target).exists() else [f"{page.relative_to(ROOT)}: {target}"]
    assert not broken


def test_claims_name_tests_that_exist():
    for test in re.findall(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`", (ROOT / "docs/claims.md").read_text("utf-8")):
        path = ROOT / test[0]
        assert path.is_file(), test[0]
        if test[1]:
            assert f"def {test[1]}(" in path.read_text("utf-8"), "::".join(test)


def test_every_promise_of_the_readme_has_its_line_in_claims():
    readme = (ROOT / "README.md").read_text("utf-8")
    promises = re.findall(r"<!-- claim: ([\w-]+) -->", readme)
    claims = (ROOT / "docs/claims.md").read_text("utf-8")
    assert promises
    assert not [name for name in promises if f"`{name}`" not in claims]
