# SPDX-License-Identifier: Apache-2.0
"""Numbers in Prometheus's text format (version 0.0.4): names, labels, values; nothing is kept between calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from closedcircuit.api.parts import Parts
from closedcircuit.base import TICKS
from closedcircuit.base.errors import StorageError
from closedcircuit.model import SpanKind, State

DAY_90K = 86_400 * TICKS
Row = tuple[Mapping[str, str], float]


def metrics_text(parts: Parts, processes: list[dict[str, Any]]) -> str:
    """Return everything. Reads the index and the status files: call it from a thread."""
    lines: list[str] = []
    _put(lines, "cameras", "gauge", "Cameras by the state of their main stream.", _cameras(parts))
    _put(lines, "ledger_seconds", "gauge", "Seconds of the last 24 hours by what became of them.", _ledgers(parts))
    _put(
        lines, "footage_bytes", "gauge", "Bytes of footage by camera.", _by("camera", parts.catalogue.bytes_by_camera())
    )
    _put(lines, "disk_free_bytes", "gauge", "Free bytes by disk.", _disks(parts))
    _processes(lines, processes)
    recorder = next((one for one in processes if one["role"] == "recorder"), {})
    _recorder(lines, recorder)
    for name, value in parts.hub.counts().items():
        kind = "counter" if name in {"relayed", "dropped"} else "gauge"
        _put(lines, f"live_{name}", kind, f"Live view: {name}.", [({}, value)])
    return "\n".join(lines) + "\n"


def _cameras(parts: Parts) -> Iterable[Row]:
    counted = Counter(parts.hub.state(camera.id, "main").state for camera in parts.registry.list_usable()[0])
    return [({"state": state}, counted.get(state, 0)) for state in State]


def _ledgers(parts: Parts) -> Iterable[Row]:
    now_90k = parts.clock.now_90k()
    rows: list[Row] = []
    for camera in parts.registry.list_usable()[0]:
        ledger = parts.catalogue.ledger(camera.id, now_90k - DAY_90K, now_90k)
        about = {"camera": camera.id, "kind": SpanKind.RECORDED.value, "cause": ""}
        rows.append((about, ledger.recorded_90k / TICKS))
        for cause, ticks in ledger.by_cause.items():
            rows.append(({"camera": camera.id, "kind": cause.kind.value, "cause": cause.value}, ticks / TICKS))
    return rows


def _disks(parts: Parts) -> Iterable[Row]:
    for disk in parts.disks:
        try:
            yield {"disk": disk.id}, disk.free().free_bytes
        except StorageError:
            yield {"disk": disk.id}, 0


def _processes(lines: list[str], processes: list[dict[str, Any]]) -> None:
    for name, key, kind, text in (
        ("process_up", "alive", "gauge", "Whether a process runs."),
        ("process_restarts", "restarts", "counter", "How often a process was started again."),
        ("process_cpu_seconds", "cpu_s", "counter", "CPU time of a process."),
        ("process_memory_bytes", "rss_bytes", "gauge", "Memory of a process."),
    ):
        _put(lines, name, kind, text, [({"role": one["role"]}, float(one.get(key) or 0)) for one in processes])


def _recorder(lines: list[str], recorder: dict[str, Any]) -> None:
    writer, index = recorder.get("writer") or {}, recorder.get("index") or {}
    for name, value, kind, text in (
        ("written_bytes", writer.get("written_bytes"), "counter", "Bytes that the recorder wrote since it started."),
        ("writer_queue_bytes", writer.get("queue_bytes"), "gauge", "Bytes that wait for a disk."),
        (
            "writer_dropped_fragments",
            writer.get("dropped_fragments"),
            "counter",
            "Fragments that a full queue dropped.",
        ),
        ("index_behind_rows", index.get("behind_rows"), "gauge", "Rows that wait for the database."),
    ):
        if value is not None:
            _put(lines, name, kind, text, [({}, float(value))])


def _by(label: str, values: Mapping[str, int]) -> Iterable[Row]:
    return [({label: name}, value) for name, value in values.items()]


def _put(lines: list[str], name: str, kind: str, text: str, rows: Iterable[Row]) -> None:
    full = f"closedcircuit_{name}"
    lines.append(f"# HELP {full} {text}")
    lines.append(f"# TYPE {full} {kind}")
    for labels, value in rows:
        inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        lines.append(f"{full}{{{inside}}} {value:.10g}" if inside else f"{full} {value:.10g}")


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
