# SPDX-License-Identifier: Apache-2.0
"""A camera as its owner describes it. One TOML file a camera; unknown keys refuse."""

from __future__ import annotations

import enum

import msgspec


class StreamName(enum.StrEnum):
    """`main` is what is kept; `sub` is the camera's smaller stream, for walls and, later, analysis."""

    MAIN = "main"
    SUB = "sub"


class Mode(enum.StrEnum):
    """When a camera records."""

    CONTINUOUS = "continuous"
    SCHEDULE = "schedule"
    EVENT = "event"  # with pre-roll from a ring buffer in memory
    PAUSED = "paused"


class Weekly(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the week in the site's local time: `days = ["mon", "tue"]`, `from = "08:00"`, `to = "18:30"`.

    `to` earlier than or equal to `from` runs past midnight.
    """

    days: tuple[str, ...]
    from_: str = msgspec.field(name="from")
    to: str


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to record and how long to keep."""

    mode: Mode = Mode.CONTINUOUS
    schedule: tuple[Weekly, ...] = ()
    pre_roll_s: float = 5.0
    post_roll_s: float = 10.0
    keep_days: float | None = None  # None: the site's default
    keep_gb: float | None = None  # None: no quota of its own
    record_sub: bool = True  # keep the substream too: previews and walls of the past come from it


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one stream of a camera comes from."""

    address: str  # rtsp:// rtsps:// for our own receiver; anything else goes to FFmpeg (udp, rtmp, http, srt, a file)
    pin_sha256: str = ""  # rtsps: SHA-256 of the camera's certificate (DER, hex) to pin it
    ca_file: str = ""  # rtsps: or a CA to trust
    audio: bool = True
    options: dict[str, str] = {}  # FFmpeg options, for FFmpeg sources


class Camera(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the system is told about one camera. The password is not here: it is in `secrets/camera-<id>`."""

    id: str
    name: str
    main: Source
    sub: Source | None = None
    username: str = ""
    recording: Recording = Recording()
    disk: str = ""  # id of the disk that it writes to; empty: the recorder chooses
    added_90k: int = 0  # the ledger of its seconds begins here
    pretend: bool = False  # drawn by the program


class State(enum.StrEnum):
    """What a viewer is told about a stream, always with since when and why."""

    CONNECTING = "connecting"
    LIVE = "live"
    LATE = "late"  # connected, but pictures come with a growing delay
    FROZEN = "frozen"  # connected, no picture for longer than it should be
    GONE = "gone"  # not connected
    PAUSED = "paused"
