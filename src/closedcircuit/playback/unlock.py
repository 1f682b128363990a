# SPDX-License-Identifier: Apache-2.0
"""Opening sealed footage in bulk: the owner's way out, without an index, a running site or a browser.

Reads the disks' folders and the keys folder as they are, so it works on a copy and on the ruins of a machine as well.
One ordinary MP4 for each stretch that joins without a break; the very samples that were received.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from closedcircuit.base import TICKS, iso
from closedcircuit.base.errors import CannotOpen, MediaError, NotFound, Unsupported
from closedcircuit.blobs import parse_path
from closedcircuit.media.mp4 import (
    INIT_BYTES_MAX,
    ClearSample,
    InitInfo,
    Mp4File,
    iter_fragments,
    open_fragment,
    read_init,
)
from closedcircuit.model import Fragment, SegmentName
from closedcircuit.vault import Identity, opening_cipher, segment_key, unwrap_hour_key

JOIN_90K = TICKS // 2
"""Segments that begin within half a second of the end of the one before go into the same file."""

_LONGEST_SEGMENT_90K = (
    600 * TICKS
)  # the longest that the settings allow: how far back a file may begin and still reach us


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to open: [from, to) of one stream. Fragments that touch it are taken whole."""

    camera: str
    stream: str
    from_90k: int
    to_90k: int


class OpenedFile(msgspec.Struct, frozen=True):
    """One MP4 that was written."""

    path: str
    start: str
    seconds: float
    fragments: int


class Missing(msgspec.Struct, frozen=True):
    """Time of the request in which nothing was recorded, and why, as the footage itself says."""

    start: str
    end: str
    cause: str
    detail: str


class Report(msgspec.Struct):
    """What became of a request; every piece that could not be opened is a sentence in `problems`."""

    files: list[OpenedFile] = []
    gaps: list[Missing] = []
    problems: list[str] = []


def unlock_footage(
    request: Request,
    roots: Sequence[Path],
    keys_dir: Path,
    identities: Sequence[Identity],
    out: Path,
    known: Mapping[bytes, bytes] | None = None,
) -> Report:
    """Write MP4s to `out`. `known` maps a kid to the SHA-256 that the index has, where there is an index.

    Raises NotFound where there is no footage at all, CannotOpen where not one hour key opens with `identities`. What
    fails for one file (damaged, key gone, changed) is a sentence in the report, and the others go on. A file that a
    crash interrupted has no tables and is named `.part`.
    """
    report = Report()
    found = list(_find(request, roots))
    if not found:
        raise NotFound(
            f"Nothing of {request.camera}/{request.stream} is recorded there.",
            remedy="Check the camera's id, the times (UTC or with an offset) and the folders.",
        )
    keys = _Keys(keys_dir, identities)
    output = _Output(request, out, report)
    try:
        for name, path in found:
            try:
                _open_segment(request, path, keys.of(name), output, (known or {}).get(name.kid))
            except (MediaError, CannotOpen, OSError, msgspec.MsgspecError) as error:
                report.problems.append(f"{path}: {error}")
    finally:
        output.close()
    if keys.refused and not keys.opened:
        raise CannotOpen(
            "This identity opens none of these hours.",
            remedy="Use the identity, or the recovery sheet, of who owned the site when this was recorded.",
        )
    return report


class _Header(msgspec.Struct):
    """The part of a segment's header that is needed: its name is rounded to milliseconds."""

    start_90k: int
    before: list[tuple[int, int, str, str]] = []


class _Keys:
    """Hour keys by id, each unwrapped once."""

    def __init__(self, folder: Path, identities: Sequence[Identity]) -> None:
        self._folder, self._identities = folder, identities
        self._known: dict[str, bytes | CannotOpen] = {}
        self.opened = self.refused = 0

    def of(self, name: SegmentName) -> bytes:
        """Return the segment's key. Raises CannotOpen, again and cheaply where it was raised before."""
        if name.key_id not in self._known:
            self._known[name.key_id] = self._unwrap(name)
        hour = self._known[name.key_id]
        if isinstance(hour, CannotOpen):
            raise hour
        return segment_key(hour, name.kid)

    def _unwrap(self, name: SegmentName) -> bytes | CannotOpen:
        path = self._folder / name.camera / f"{name.key_id}.age"
        try:
            hour = unwrap_hour_key(path.read_bytes(), self._identities)
        except FileNotFoundError:
            return CannotOpen(f"its key {path} is gone", remedy="Without it nobody can open this hour.")
        except CannotOpen as error:
            self.refused += 1
            return error
        self.opened += 1
        return hour


class _Output:
    """The MP4 being written, and when to begin the next."""

    def __init__(self, request: Request, out: Path, report: Report) -> None:
        self._request, self._out, self._report = request, out, report
        self._mp4: Mp4File | None = None
        self._path = self._part = out
        self._start_90k = self._end_90k = 0
        self._fragments = 0

    def add(self, init: InitInfo, fragment: Fragment, samples: list[ClearSample], segment_90k: int) -> None:
        """Append a fragment; begin a new file after a break, or where the coding changed too much for one file."""
        if self._mp4 and not -JOIN_90K <= fragment.start_90k - self._end_90k <= JOIN_90K:
            self.close()
        if self._mp4 is None:
            if not fragment.key:
                return  # nothing can be shown before the first key frame
            self._begin(fragment)
        try:
            self._write(init, samples, segment_90k)
        except Unsupported:
            self.close()
            self._begin(fragment)
            self._write(init, samples, segment_90k)
        self._end_90k = fragment.start_90k + fragment.duration_90k
        self._fragments += 1

    def explain(self, header: _Header) -> None:
        """Report the gaps before a segment that are in the request."""
        for start_90k, end_90k, cause, detail in header.before:
            start, end = max(start_90k, self._request.from_90k), min(end_90k, self._request.to_90k)
            if start < end:
                self._report.gaps.append(Missing(iso(start), iso(end), cause, detail))

    def close(self) -> None:
        """Finish the present file."""
        mp4, self._mp4 = self._mp4, None
        if mp4 is None:
            return
        with self._file:
            mp4.close()
        self._part.rename(self._path)
        seconds = (self._end_90k - self._start_90k) / TICKS
        self._report.files.append(OpenedFile(str(self._path), iso(self._start_90k), seconds, self._fragments))

    def _write(self, init: InitInfo, samples: list[ClearSample], segment_90k: int) -> None:
        if self._mp4 is not None:
            self._mp4.write(init.tracks, samples, segment_90k - self._start_90k)

    def _begin(self, fragment: Fragment) -> None:
        self._start_90k, self._fragments = fragment.start_90k, 0
        stamp = iso(fragment.start_90k).replace("-", "").replace(":", "")
        self._path = self._out / f"{self._request.camera}_{self._request.stream}_{stamp}.mp4"
        self._part = self._path.with_suffix(".part")
        self._file = self._part.open("w+b")
        self._mp4 = Mp4File(self._file, comment=f"{self._request.camera} {iso(fragment.start_90k)}")


def _open_segment(request: Request, path: Path, key: bytes, output: _Output, sha256: bytes | None) -> None:
    opener = functools.partial(opening_cipher, key)
    with path.open("rb") as file:
        if sha256 is not None and hashlib.file_digest(file, "sha256").digest() != sha256:
            raise MediaError("it is not the file that was recorded: its SHA-256 differs from the index", remedy="")
        file.seek(0)
        init = read_init(file.read(INIT_BYTES_MAX))
        header = msgspec.json.decode(init.header, type=_Header)
        output.explain(header)
        fragments = list(iter_fragments(file, init.size))
        for fragment in _touching(fragments, request):
            file.seek(fragment.offset)
            samples = open_fragment(file.read(fragment.size), init, opener)
            output.add(init, fragment, samples, header.start_90k)


def _touching(fragments: Sequence[Fragment], request: Request) -> Iterable[Fragment]:
    """Fragments that touch the request, from the last key frame before it on."""
    first = None
    for at, fragment in enumerate(fragments):
        if fragment.start_90k >= request.to_90k:
            break
        if fragment.key and (first is None or fragment.start_90k <= request.from_90k):
            first = at
    if first is None:
        return []
    touching = [f for f in fragments[first:] if f.start_90k < request.to_90k]
    last = touching[-1]
    return touching if last.start_90k + last.duration_90k > request.from_90k else []


def _find(request: Request, roots: Sequence[Path]) -> Iterator[tuple[SegmentName, Path]]:
    """Segment files that may touch the request, in order of time, over all disks."""
    found = []
    for root in roots:
        for path in (root / "footage" / request.camera / request.stream).glob("*/*.mp4"):
            name = parse_path(PurePosixPath(path.relative_to(root)))
            if name and request.from_90k - _LONGEST_SEGMENT_90K < name.start_90k < request.to_90k:
                found.append((name, path))
    return iter(sorted(found, key=lambda pair: (pair[0].start_90k, pair[0].kid)))
