# SPDX-License-Identifier: Apache-2.0
"""What the server answers, for the API's description (OpenAPI) and for the tests that hold every answer against it.

Answers themselves are encoded by msgspec; nothing here runs when a request is served.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """RFC 9457, with a code that never changes and what to do next."""

    model_config = ConfigDict(extra="allow", strict=True)

    type: str
    title: str
    status: int
    code: str
    detail: str
    remedy: str


class SessionFacts(Shape):
    """`GET /api/session`."""

    owner: bool
    signed_in: bool
    name: str
    pretend: bool
    version: str


class Options(Shape):
    """WebAuthn options, for `navigator.credentials`."""

    options: dict[str, Any]


class PassphraseQuestion(Shape):
    """How to derive `auth` from the passphrase."""

    kind: Literal["passphrase"]
    salt: str
    iterations: int


class PasskeyQuestion(Shape):
    """What to ask the passkey."""

    kind: Literal["passkey"]
    options: dict[str, Any]


class SignedIn(Shape):
    """What a browser needs to open the identity."""

    recipient: str
    blob: str
    kind: Literal["passphrase", "passkey"]


class IdentityFacts(Shape):
    """`GET /api/identity`; `salt` and `iterations` only with a passphrase."""

    recipient: str
    recovery_recipient: str
    blob: str
    kind: Literal["passphrase", "passkey"]
    salt: str | None = None
    iterations: int | None = None


class SessionRow(Shape):
    """One browser that is signed in."""

    id: str
    made_90k: int
    seen_90k: int
    expires_90k: int
    agent: str
    this: bool


class SessionList(Shape):
    """`GET /api/sessions`."""

    sessions: list[SessionRow]


class StreamState(Shape):
    """State of a stream, always with since when and why."""

    state: Literal["connecting", "live", "late", "frozen", "gone", "paused"]
    since_90k: int
    why: str
    codec: str
    width: int
    height: int
    fps: float
    kbps: float
    audio: str
    run: str
    clock_offset_ms: float | None
    clock_drift_ppm: float | None
    lost_packets: int
    reconnects: int
    last_sample_90k: int | None
    dropped_live: int


class Weekly(BaseModel):
    """Hours of the week."""

    model_config = ConfigDict(extra="allow", strict=True)

    days: list[str]


class Recording(Shape):
    """When to record, how long to keep."""

    mode: Literal["continuous", "schedule", "event", "paused"]
    schedule: list[Weekly]
    pre_roll_s: float
    post_roll_s: float
    keep_days: float | None
    keep_gb: float | None
    record_sub: bool


class Camera(Shape):
    """One camera; addresses never hold a password."""

    id: str
    name: str
    address: str
    sub_address: str | None
    username: str
    has_password: bool
    pin_sha256: str
    audio: bool
    pretend: bool
    recording: Recording
    disk: str
    added_90k: int
    streams: dict[str, StreamState]


class CameraList(Shape):
    """`GET /api/cameras`."""

    cameras: list[Camera]


class TestProblem(Shape):
    """Why there was no picture."""

    code: str
    message: str
    remedy: str


class TestResult(Shape):
    """`POST /api/cameras/test`."""

    ok: bool
    tracks: list[dict[str, Any]]
    first_picture_ms: float | None
    fps: float | None
    kbps: float | None
    error: TestProblem | None


SpanRow = tuple[int, int, Literal["recorded", "off", "lost"], str | None, str]


class CameraLine(Shape):
    """One camera of a timeline."""

    oldest_90k: int | None
    spans: list[SpanRow]
    holds: list[tuple[int, int, str, str]]


class Timeline(Shape):
    """`GET /api/timeline`."""

    now_90k: int
    cameras: dict[str, CameraLine]


class Ledger(Shape):
    """`GET /api/ledger`: the three sums are the total."""

    recorded_90k: int
    off_90k: int
    lost_90k: int
    total_90k: int
    by_cause: dict[str, int]
    spans: list[SpanRow]


class Track(Shape):
    """How one elementary stream is coded; `config` is base64."""

    kind: Literal["video", "audio"]
    codec: str
    codec_string: str
    timescale: int
    config: str
    width: int
    height: int
    channels: int


class Segment(Shape):
    """One sealed file."""

    start_90k: int
    end_90k: int
    kid: str
    key_id: str
    run: str
    size_bytes: int
    init_bytes: int
    sha256: str | None
    tracks: list[Track]
    path: str
    fragments: list[tuple[int, int, int, int, bool, int]]


class SegmentList(Shape):
    """`GET /api/segments`."""

    segments: list[Segment]
    more: bool


class Hold(Shape):
    """Footage that may not be deleted."""

    id: str
    camera: str
    start_90k: int
    end_90k: int
    reason: str
    made_90k: int


class HoldList(Shape):
    """`GET /api/holds`."""

    holds: list[Hold]


class Disk(Shape):
    """One disk."""

    id: str
    path: str
    state: Literal["ok", "missing", "wrong", "full"]
    total_bytes: int
    free_bytes: int
    footage_bytes: int


class CameraStorage(Shape):
    """What one camera takes."""

    id: str
    bytes: int
    oldest_90k: int | None
    bytes_per_day: int
    keep_days: float | None
    keep_gb: float | None


class Storage(Shape):
    """`GET /api/storage`."""

    disks: list[Disk]
    cameras: list[CameraStorage]
    forecast_days: float | None
    keep_days: float
    reserve_bytes: int
    holds: list[Hold]


class Process(BaseModel):
    """One process's status file, with whether it runs."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: str
    pid: int
    alive: bool
    restarts: int


class System(Shape):
    """`GET /api/system`."""

    version: str
    processes: list[Process]
    data: str
    listening: list[str]
    pretend: bool
