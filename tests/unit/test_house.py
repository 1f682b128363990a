# SPDX-License-Identifier: Apache-2.0
"""House rules that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = {".py", ".ts", ".svelte", ".css", ".sql", ".mjs"}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_source_file_names_its_licence():
    missing = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in CODE and "SPDX-License-Identifier: Apache-2.0" not in path.read_text("utf-8")[:200]
    ]
    assert not missing


def test_modules_stay_small():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix == ".py" and "src" in path.parts and (lines := len(path.read_text().splitlines())) > 420
    }
    assert not long


def test_modules_over_thirty_lines_say_what_they_are_for():
    silent = []
    for path in tracked():
        if path.suffix == ".py" and "src" in path.parts:
            text = path.read_text()
            if len(text.splitlines()) > 30 and not ast.get_docstring(ast.parse(text)):
                silent.append(str(path.relative_to(ROOT)))
    assert not silent


def test_no_room_is_called_misc():
    bad = re.compile(r"(^|/)(utils?|helpers?|common|manager|misc)(\.py|\.ts|/)")
    assert not [str(path.relative_to(ROOT)) for path in tracked() if bad.search(str(path.relative_to(ROOT)))]


def test_nothing_is_left_to_do():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    left = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in CODE and path != Path(__file__) and marks.search(path.read_text("utf-8"))
    ]
    assert not left


def test_broad_excepts_and_ignores_carry_a_reason():
    pattern = re.compile(r"#\s*(noqa|type: ignore)(?P<rest>.*)")
    bare = []
    for path in tracked():
        if path.suffix == ".py" and "src" in path.parts:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = pattern.search(line)
                if found and not re.search(r"(:\s*[A-Z0-9, ]+|\[[a-z, -]+\])\s*(-|#)\s*\S", found["rest"]):
                    bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not bare
