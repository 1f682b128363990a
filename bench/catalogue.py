# SPDX-License-Identifier: Apache-2.0
"""How fast the index answers: `./dev bench catalogue --segments 10512000 --cameras 20 --json`, a year of 20 cameras.

Makes an index of continuous one-minute segments (main streams, three breaks a day), then asks it at random places, page
cache warm. `days` tells how much of the year of the timeline there was. The last line is one JSON object; times in
milliseconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import sqlite3
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.catalogue import Catalogue
from closedcircuit.catalogue.fakes import TRACKS, segment
from closedcircuit.db import Database

MINUTE = 60 * TICKS
DAY = 86_400 * TICKS
T0 = 1_700_000_000 * TICKS // DAY * DAY
BREAKS = (617, 1011, 1333)
"""Minutes of each day that are missing, with a reason on file."""
SERIES = f"""with recursive every(m) as (select 0 union all select m + 1 from every where m + 1 < :minutes),
    series(m) as (select m from every where m % 1440 not in {BREAKS}) """


def fill(path: Path, cameras: int, minutes: int) -> None:
    """Write rows as `upsert` leaves them, but in bulk, and with no thought of a crash; `upsert` is measured on top."""
    Database(path).close()  # makes the tables
    conn = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = off", "synchronous = off", "foreign_keys = off"):
        conn.execute(f"pragma {pragma}")
    conn.execute("begin")
    conn.execute("insert into disk values (1, 'disk')")
    conn.execute("insert into coding values (1, ?)", (TRACKS,))
    for number in range(1, cameras + 1):
        fill_camera(conn, number, minutes)
        if number % 20 == 0:
            print(f"{number * minutes} segments", file=sys.stderr)
    conn.execute("commit")
    conn.close()


def fill_camera(tx: sqlite3.Connection, number: int, minutes: int) -> None:
    rng = random.Random(number)
    fragments = b"\3" + struct.pack("<III", 2 * TICKS, 1_000_000, 125_000) * 30
    missing = set(BREAKS)
    first = T0 + rng.randrange(60) * TICKS
    tx.execute("insert into camera (id, name, added_90k) values (?, ?, ?)", (number, f"cam{number}", first))
    tx.execute("insert into stream values (?, ?, 'main', ?, ?)", (number, number, minutes, MINUTE))
    hours = range(minutes // 60 + 1)
    keys = [
        (number << 20 | h, number, rng.randbytes(8), first + h * 60 * MINUTE, first + (h * 60 + 59) * MINUTE)
        for h in hours
    ]
    tx.executemany("insert into hour_key values (?, ?, ?, ?, ?)", keys)
    place = {
        "n": number,
        "first": first,
        "minutes": minutes,
        "minute": MINUTE,
        "day": DAY,
        "fragments": fragments,
    }
    tx.execute(
        SERIES + "insert into segment select :n, :first + m * :minute, m, :minute, 30000000, :n << 20 | m / 60,"
        " randomblob(8), 1 from series",
        place,
    )
    tx.execute(
        SERIES + "insert into segment_body select :n << 32 | m, '0123456789abcdef', 1, 1000, randomblob(32), :fragments"
        " from series",
        place,
    )
    tx.execute(
        SERIES + "insert into day select :n, (:first + m * :minute) / :day as d, 1, count(*) * 30000000, count(*)"
        " from series group by d",
        place,
    )
    edges = [-1, *(m for m in range(minutes) if m % 1440 in missing), minutes]
    tx.executemany(
        "insert into stretch values (?, ?, ?)",
        ((number, first + (a + 1) * MINUTE, first + b * MINUTE) for a, b in itertools.pairwise(edges) if b > a + 1),
    )
    tx.executemany(
        "insert into gap values (?, ?, ?, 'unreachable', 'no route')",
        ((number, first + m * MINUTE, first + (m + 1) * MINUTE) for m in edges[1:-1]),
    )


def measure(ask: Callable[[], object], times: int) -> dict[str, float]:
    """Wall time, and CPU time of this process, which a busy machine does not lengthen as much."""
    taken, used = [], []
    for _ in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        ask()
        used.append((time.process_time() - began_cpu) * 1000)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return {
        "median_ms": round(statistics.median(taken), 3),
        "p95_ms": round(taken[int(len(taken) * 0.95)], 3),
        "cpu_median_ms": round(statistics.median(used), 3),
    }


def growing_batches(catalogue: Catalogue, cameras: int, end: int) -> Iterator[float]:
    """Seconds that a second's batch of a site takes: half of the cameras' segments have grown by a fragment."""
    ids = SeededIds(b"bench")
    rows = [segment(end, ids=ids, camera=f"cam{n}", seconds=2, grows=True) for n in range(1, cameras + 1)]
    for step in range(1, 16):
        batch = []
        for row in rows:
            longer = segment(end, ids=ids, camera=row.camera, seconds=2 * step, grows=True)
            batch.append(msgspec.structs.replace(longer, kid=row.kid, run=row.run))
        for half in (batch[::2], batch[1::2]):
            began = time.perf_counter()
            catalogue.upsert(half)
            yield time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=1_000_000)
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print only the JSON line")
    args = parser.parse_args()
    minutes = args.segments // args.cameras
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="closedcircuit-bench-") as folder:
        path = Path(folder) / "facts.db"
        began = time.perf_counter()
        fill(path, args.cameras, minutes)
        filled_s = time.perf_counter() - began
        db = Database(path, busy_s=60)
        end = T0 + minutes * MINUTE
        clock = ManualClock(end + 2 * MINUTE)
        catalogue = Catalogue(db, clock)

        def somewhere(length: int) -> tuple[str, int]:
            return f"cam{rng.randrange(args.cameras) + 1}", rng.randrange(T0, max(T0 + 1, end - length))

        def hour(fragments: bool) -> object:
            camera, at = somewhere(60 * MINUTE)
            return catalogue.segments(camera, "main", at, at + 60 * MINUTE, fragments=fragments)

        def at_moment() -> object:
            camera, at = somewhere(0)
            return catalogue.at(camera, "main", at)

        def day() -> object:
            camera, at = somewhere(DAY)
            return catalogue.ledger(camera, at, at + DAY)

        def year(cameras: int) -> object:
            chosen = [f"cam{n + 1}" for n in rng.sample(range(args.cameras), min(cameras, args.cameras))]
            return catalogue.coverage(chosen, end - 365 * DAY, end, 1500)

        def by_kid() -> object:
            return catalogue.segment(*kids[rng.randrange(len(kids))])

        kids = [
            (f"cam{stream}", "main", key + tail)
            for stream, key, tail in db.read(
                "select s.stream_id, k.key_id, s.kid_tail from segment s join hour_key k on k.id = s.hour_key_id"
                " where s.stream_id % 20 = 1 and s.start_90k % 7 = 0 limit 2000"
            )
        ]
        for _ in range(200):  # warm
            hour(True)
        result = {
            "segments": minutes * args.cameras,
            "cameras": args.cameras,
            "days": round(minutes / 1440, 1),
            "file_bytes": path.stat().st_size,
            "fill_s": round(filled_s, 1),
            "range_hour": measure(lambda: hour(False), 2000),
            "range_hour_with_fragments": measure(lambda: hour(True), 1000),
            "at": measure(at_moment, 2000),
            "by_kid": measure(by_kid, 1000),
            "ledger_day": measure(day, 1000),
            "coverage_year_1_camera": measure(lambda: year(1), 100),
            "coverage_year_8_cameras": measure(lambda: year(8), 30),
            "upsert_second_of_site": {},
            "machine": platform.platform(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        }
        batches = sorted(s * 1000 for s in growing_batches(catalogue, args.cameras, end))
        result["upsert_second_of_site"] = {
            "rows": args.cameras // 2,
            "median_ms": round(statistics.median(batches), 2),
            "p95_ms": round(batches[int(len(batches) * 0.95)], 2),
        }
        hours = min(24, minutes // 60)
        checked = catalogue.ledger("cam1", end - hours * 60 * MINUTE, end)
        if checked.recorded_90k + checked.off_90k + checked.lost_90k != checked.total_90k:
            sys.exit("the ledger does not add up")
        db.close()
    if not args.json:
        for name, value in result.items():
            print(f"{name:28} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
