# SPDX-License-Identifier: Apache-2.0
"""Trying a camera before it is added: one attempt, and an answer that its owner can act on."""

from __future__ import annotations

from typing import Any

import msgspec

from closedcircuit.base.clock import TICKS, Clock
from closedcircuit.base.errors import CameraUnreachable, CertificateRefused, CircuitError, NetError
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.cameras.address import parse_place, split_address
from closedcircuit.cameras.receiver import BUFFER, make_line
from closedcircuit.model import Camera, Cause, Sample, SenderReport, Track
from closedcircuit.net import TlsPolicy, dial

WATCH_S = 1.5
"""How long to count pictures once the first is here."""
STEP_S = 0.01


class _Observer:
    """A sink that keeps no sample, only what it says of the stream."""

    def __init__(self) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.pictures = self.bytes = 0
        self.first_pts = self.last_pts = 0
        self.ended_with = ""

    def started(self, tracks: tuple[Track, ...], at_90k: int) -> None:  # noqa: ARG002 - the promise has it
        self.tracks = tracks

    def sample(self, sample: Sample) -> None:
        self.bytes += sample.size
        if sample.track == 1:
            self.pictures += 1
            self.first_pts = min(self.first_pts, sample.pts)
            self.last_pts = max(self.last_pts, sample.pts)

    @property
    def seen_s(self) -> float:
        """Media time between the first and the last picture: a server may begin with a burst."""
        return (self.last_pts - self.first_pts) / TICKS

    def changed(self, tracks: tuple[Track, ...]) -> None:
        self.tracks = tracks

    def sender_report(self, report: SenderReport) -> None:
        pass

    def lost(self, at_90k: int, detail: str) -> None:
        pass

    def ended(self, at_90k: int, cause: Cause, detail: str) -> None:  # noqa: ARG002 - the promise has it
        self.ended_with = detail


def probe(camera: Camera, password: Secret, clock: Clock, ids: Ids, timeout_s: float = 10.0) -> dict[str, Any]:
    """Try the camera's main stream once; blocks for at most about `timeout_s` and a second and a half.

    Returns `TestResult` of docs/design/processes.md. Never raises a CircuitError: it is in the result.
    """
    seen = _Observer()
    began_s = clock.monotonic_s()
    try:
        line = make_line(f"{camera.id}/test", camera.main, camera.username, password, sink=seen, clock=clock, ids=ids)
    except CircuitError as error:
        return _failed(error)
    view = memoryview(bytearray(BUFFER))
    dialled, first_s = False, 0.0
    try:
        while True:
            now_s = clock.monotonic_s()
            dialled |= line.sweep(view, now_s, clock.now_90k(), may_dial=not dialled)
            if line.error is not None and not seen.tracks:
                return _failed(_explained(line.error, camera, clock, timeout_s))
            if seen.tracks and not first_s:
                first_s = now_s
            if first_s and (now_s - first_s >= WATCH_S or line.error is not None):
                break
            if not first_s and now_s - began_s > timeout_s:
                return _failed(
                    CameraUnreachable(
                        f"no picture within {timeout_s:.0f} s",
                        remedy="The camera answers slowly, or sends a key frame rarely: try again, or shorten its GOP.",
                    )
                )
            clock.sleep(STEP_S)
    finally:
        line.stop(clock.now_90k())
    return {
        "ok": True,
        "tracks": [_shown(track) for track in seen.tracks],
        "first_picture_ms": round((first_s - began_s) * 1000),
        "fps": round((seen.pictures - 1) / seen.seen_s, 1) if seen.seen_s > 0 else 0.0,
        "kbps": round(seen.bytes * 8 / 1000 / seen.seen_s) if seen.seen_s > 0 else 0,
        "error": None,
    }


def _shown(track: Track) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(track)  # `config` as base64
    return shown


def _failed(error: CircuitError) -> dict[str, Any]:
    told = {"code": error.code, "message": str(error), "remedy": error.remedy}
    return {"ok": False, "tracks": [], "first_picture_ms": None, "fps": 0.0, "kbps": 0, "error": told}


def _explained(error: CircuitError, camera: Camera, clock: Clock, timeout_s: float) -> CircuitError:
    """A certificate that is not trusted: say its SHA-256, so that it can be compared and pinned."""
    if not isinstance(error, CertificateRefused) or error.sha256:
        return error
    place = parse_place(split_address(camera.main.address)[0])
    until_s = clock.monotonic_s() + min(5.0, timeout_s)
    # A pin that no certificate has: the refusal names the one that was shown.
    connection = dial(place.host, place.port, tls=TlsPolicy(pin_sha256="0" * 64), clock=clock)
    try:
        while clock.monotonic_s() < until_s and not connection.progress():
            clock.sleep(STEP_S)
    except CertificateRefused as shown:
        return CertificateRefused(
            f"{place.host}: its certificate is signed by nobody we know; its SHA-256 is {shown.sha256}",
            remedy="If that is your camera's own certificate, pin this SHA-256.",
            sha256=shown.sha256,
        )
    except NetError:
        pass  # the first answer stands
    finally:
        connection.close()
    return error
