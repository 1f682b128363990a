# SPDX-License-Identifier: Apache-2.0
"""What a camera says it sends: SDP (RFC 8866) as far as RTSP uses it (RFC 2326, annex C).

Cameras get this wrong in every way there is, so unknown lines are skipped and missing ones have defaults; only what
makes recording impossible is an error, and that later, where it is known to be needed.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.media.rtsp.messages import parameters

MEDIA_MAX = 16
LINES_MAX = 2000

_STATIC = {0: ("PCMU", 8000, 1), 8: ("PCMA", 8000, 1), 14: ("MPA", 90_000, 1), 26: ("JPEG", 90_000, 0)}


class MediaLine(msgspec.Struct, frozen=True):
    """One `m=` section: one RTP stream on offer."""

    kind: str  # "video", "audio", "application", ...
    payload_type: int  # the first one listed that has a name; -1 where none has
    encoding: str  # upper case: "H264"
    clock_rate: int
    channels: int
    control: str
    fmtp: dict[str, str]  # lower-case keys
    frame_rate: float


class Description(msgspec.Struct, frozen=True):
    """A parsed SDP."""

    control: str  # of the session; empty or "*" when it names none of its own
    media: tuple[MediaLine, ...]


def parse_sdp(text: str) -> Description:
    """Read an SDP. Raises MediaError for what is none or is absurdly long."""
    lines = text.replace("\r", "\n").split("\n")
    if len(lines) > LINES_MAX:
        raise MediaError("a description (SDP) with too many lines")
    sections: list[list[str]] = [[]]
    for line in lines:
        line = line.strip()
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    if not any(line.startswith("v=") for line in sections[0]) and len(sections) == 1:
        raise MediaError("no description (SDP) in the camera's answer")
    control = _attributes(sections[0]).get("control", [""])[0]
    return Description(control, tuple(_media(lines) for lines in sections[1 : MEDIA_MAX + 1]))


def _attributes(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _media(lines: list[str]) -> MediaLine:
    words = lines[0][2:].split()
    kind = words[0].lower() if words else ""
    offered = [number for word in words[3:] if (number := _number(word, -1)) >= 0]
    attributes = _attributes(lines[1:])
    names: dict[int, tuple[str, int, int]] = {}
    for value in attributes.get("rtpmap", []):
        shown, _, rest = value.partition(" ")
        parts = rest.strip().split("/")
        channels = _number(parts[2], 1) if len(parts) > 2 else 1
        rate = _number(parts[1], 0) if len(parts) > 1 else 0
        names[_number(shown, -1)] = (parts[0].upper(), rate, channels)
    chosen = next((number for number in offered if number in names or number in _STATIC), -1)
    encoding, rate, channels = names.get(chosen) or _STATIC.get(chosen) or ("", 0, 1)
    fmtp: dict[str, str] = {}
    for value in attributes.get("fmtp", []):
        shown, _, rest = value.partition(" ")
        if _number(shown, -1) == chosen:
            fmtp = parameters(rest)
    return MediaLine(
        kind=kind,
        payload_type=chosen,
        encoding=encoding,
        clock_rate=rate or (90_000 if kind == "video" else 8000),
        channels=channels,
        control=attributes.get("control", [""])[0],
        fmtp=fmtp,
        frame_rate=_rate(attributes.get("framerate", [""])[0]),
    )


def _number(text: str, otherwise: int) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        return 0.0
    return rate if 0 < rate < 1000 else 0.0


def decoded_sets(text: str) -> list[bytes]:
    """NAL units of a `sprop-...` value: base64, comma separated. What is not base64 is left out."""
    found = []
    for part in text.split(","):
        try:
            nal = base64.b64decode(part.strip() + "=" * (-len(part.strip()) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        nal = nal.removeprefix(b"\0\0\0\1").removeprefix(b"\0\0\1")
        if nal:
            found.append(nal)
    return found


def resolve_control(base: str, control: str) -> str:
    """URL to SETUP or PLAY: `control` of the SDP against the base (RFC 2326, C.1.1, as servers really mean it)."""
    if not control or control == "*":
        return base
    if "://" in control[:12]:
        return control
    return base + control if base.endswith("/") else f"{base}/{control}"
