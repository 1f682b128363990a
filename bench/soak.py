# SPDX-License-Identifier: Apache-2.0
"""The soak: cameras with drop-outs for hours; then every second has to be accounted for, and memory has to be flat.

Real recorder and keeper processes, real RTSP over loopback from the load simulator, a real disk. At the end the ledger
from the index is held against one rebuilt from the footage alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from closedcircuit.app import DataFolder
from closedcircuit.base import TICKS, Secret, SystemClock, SystemIds
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue
from closedcircuit.db import Database
from closedcircuit.model import Camera, Source
from closedcircuit.vault import Identity

SAMPLE_EVERY_S = 10.0


def main() -> int:
    """Run it; exit code 0 only if the sums are exact and memory stayed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--dropouts", default="240,12", help="mean seconds between drop-outs, mean length")
    parser.add_argument("--mbit", type=float, default=1.0, help="of each camera: two hours of 20 are then 18 GB")
    parser.add_argument("--data", type=Path, help="keep the data here; default: a folder that is removed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.data:
        args.data.mkdir(parents=True, exist_ok=True)
        return soak(args.data, args)
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        return soak(Path(made), args)


def soak(root: Path, args: argparse.Namespace) -> int:
    """One run."""
    folder = DataFolder(root)
    folder.create()
    clock, ids = SystemClock(), SystemIds()
    (root / "config.toml").write_text("[footage]\nkeep_days = 30\n")
    folder.recipients.write_text(Identity.generate(ids).recipient.text + "\n")
    port = free_port()
    load = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "closedcircuit.pretend.load",
            "--cameras",
            str(args.cameras),
            "--port",
            str(port),
            "--dropouts",
            args.dropouts,
            "--mbit",
            str(args.mbit),
            "--clip",
            str(root / "clip"),
        ],
        stdout=subprocess.DEVNULL,
    )
    wait_for_port(port)
    registry = Registry(root)
    begin_90k = clock.now_90k()
    for number in range(args.cameras):
        camera = Camera(
            id=f"cam{number}",
            name=f"Camera {number}",
            added_90k=begin_90k,
            main=Source(address=f"rtsp://127.0.0.1:{port}/cam{number}"),
        )
        registry.save(camera, Secret(""))
    roles = [
        subprocess.Popen([sys.executable, "-m", "closedcircuit.app.role", role, "--data", str(root)])
        for role in ("recorder", "keeper")
    ]
    samples: list[tuple[float, float, float]] = []
    began_s = time.monotonic()
    try:
        while (age_s := time.monotonic() - began_s) < args.seconds:
            time.sleep(min(SAMPLE_EVERY_S, args.seconds - age_s))
            samples.append((time.monotonic() - began_s, rss_mb(roles[0].pid), cpu_s(roles[0].pid)))
            if len(samples) % 30 == 0:
                print(
                    f"{age_s / 60:.0f} min: {samples[-1][1]:.1f} MB, {samples[-1][2]:.0f} CPU s",
                    file=sys.stderr,
                    flush=True,
                )
    finally:
        for role in roles:
            role.send_signal(signal.SIGTERM)
        codes = [role.wait(30) for role in roles]
        load.terminate()
        load.wait(10)
    return judge(root, args, begin_90k, clock.now_90k(), samples, codes)


def judge(root, args, begin_90k, end_90k, samples, codes) -> int:
    """Hold the ledger against the total, against the footage, and memory against its beginning."""
    clock = SystemClock()
    catalogue = Catalogue(Database(root / "facts.db"), clock)
    total = recorded = lost = off = 0
    exact, causes = True, {}
    for number in range(args.cameras):
        ledger = catalogue.ledger(f"cam{number}", begin_90k, end_90k)
        # The ledger ends where the recorder's last word does: a stopped recorder has said nothing of the time after.
        spanned = ledger.spans[-1].end_90k - begin_90k
        exact &= ledger.spans[0].start_90k == begin_90k and end_90k - ledger.spans[-1].end_90k < 5 * TICKS
        exact &= ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == spanned
        exact &= all(a.end_90k == b.start_90k for a, b in itertools.pairwise(ledger.spans))
        total += spanned
        recorded, lost, off = recorded + ledger.recorded_90k, lost + ledger.lost_90k, off + ledger.off_90k
        for cause, ticks in ledger.by_cause.items():
            causes[str(cause)] = causes.get(str(cause), 0) + ticks
    fifth = max(1, len(samples) // 5)
    settled = statistics.median(mb for _, mb, _ in samples[fifth : 2 * fifth] or samples)
    at_end = statistics.median(mb for _, mb, _ in samples[-fifth:])
    flat = at_end <= settled * 1.05 + 2
    result = {
        "cameras": args.cameras,
        "seconds": (end_90k - begin_90k) / TICKS,
        "camera_seconds": total / TICKS,
        "recorded_s": recorded / TICKS,
        "lost_s": lost / TICKS,
        "off_s": off / TICKS,
        "by_cause_s": {cause: ticks / TICKS for cause, ticks in causes.items()},
        "sum_exact": bool(exact and recorded + lost + off == total),
        "unexplained_s": causes.get("unknown", 0) / TICKS,
        "rss_mb_settled": round(settled, 1),
        "rss_mb_end": round(at_end, 1),
        "memory_flat": flat,
        "cpu_percent_per_camera": round(100 * samples[-1][2] / samples[-1][0] / args.cameras, 3),
        "exit_codes": codes,
    }
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    return 0 if result["sum_exact"] and flat and not result["unexplained_s"] and codes == [0, 0] else 1


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, seconds: float = 60) -> None:
    """Wait until something listens there."""
    until_s = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
