# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit camera remove` ends the camera's ledger; adding it again goes on with it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from closedcircuit.app import DataFolder
from closedcircuit.base import TICKS, SystemClock
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue
from closedcircuit.catalogue.fakes import segment_file
from closedcircuit.cli.camera import app
from closedcircuit.db import Database
from closedcircuit.model import Cause, Hold, Span


def run(root: Path, *words: str) -> None:
    done = CliRunner().invoke(app, [*words, "--data", str(root)])
    assert done.exit_code == 0, done.output


def test_removing_and_adding_again(tmp_path: Path, ids) -> None:
    folder, clock = DataFolder(tmp_path), SystemClock()
    folder.create()
    Disks.adopt(tmp_path, disk_id="data")
    disk = Disks([("data", tmp_path, 0)])["data"]
    run(tmp_path, "add", "Door", "rtsp://127.0.0.1/door", "--no-test")
    catalogue = Catalogue(Database(folder.facts), clock)
    catalogue.announce(Registry(tmp_path).get("door"))
    begin = clock.now_90k() - 3600 * TICKS
    rows = [segment_file(disk, begin + n * 6 * TICKS, ids=ids) for n in range(4)]
    catalogue.upsert(rows)
    catalogue.add_hold(Hold(id="h", camera="door", start_90k=begin, end_90k=begin + 1, reason="", made_90k=0))

    run(tmp_path, "remove", "door", "--footage", "delete")
    assert Registry(tmp_path).list() == []
    assert {s.kid for s in catalogue.doomed()} == {row.kid for row in rows[1:]}
    removed = clock.now_90k()

    def spans(to_90k: int = 1 << 60) -> tuple[Span, ...]:
        return catalogue.ledger("door", begin, to_90k).spans

    assert spans()[-1].end_90k <= removed
    assert Cause.PAUSED not in {span.cause for span in spans()}
    run(tmp_path, "add", "Door", "rtsp://127.0.0.1/door", "--no-test")
    catalogue.announce(Registry(tmp_path).get("door"))
    assert Cause.PAUSED in {span.cause for span in spans()}
