# SPDX-License-Identifier: Apache-2.0
"""What a segment file itself says: the row that the index should have, and the reasons in its header."""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, BinaryIO, cast

import msgspec

from closedcircuit.base.clock import TICKS
from closedcircuit.base.errors import MediaError
from closedcircuit.blobs import Named, OpenSegment, Store
from closedcircuit.catalogue.joining import Opening, touching
from closedcircuit.media.mp4 import INIT_BYTES_MAX, iter_fragments, longest_picture, read_init
from closedcircuit.model import Cause, Fragment, Gap, Segment, StreamName

_TAIL = 4
"""So many last fragments are looked at byte by byte: data is synced after each fragment, so a power cut leaves zeros in
the last ones only."""
_CHUNK = 1 << 20
_PAGE = 4096
LONGEST_90K = 2 * 3600 * TICKS
"""No segment is longer (a key lives an hour); a file that says so has a wrong time in a fragment, and one row of a
century would make every query of its stream slow."""
_Moment = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_encode_tracks = msgspec.msgpack.Encoder().encode


class Header(msgspec.Struct, frozen=True):
    """Our header box (docs/design/footage.md)."""

    v: int
    camera: str
    stream: str
    run: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    start_90k: _Moment
    before: tuple[tuple[_Moment, _Moment, str, str], ...] = ()


class Scan(msgspec.Struct, frozen=True):
    """One file, read."""

    segment: Segment | None  # None where there is no whole fragment; its end is the media's (`joining.joined`)
    gaps: tuple[Gap, ...]  # the time before it, as its header tells; only of main streams
    picture_90k: int  # how long the longest picture of its last fragment stands, in media time
    whole_bytes: int  # up to the end of the last whole fragment
    file_bytes: int

    @property
    def torn_bytes(self) -> int:
        """Bytes behind the last whole fragment."""
        return self.file_bytes - self.whole_bytes

    @property
    def opening(self) -> Opening | None:
        """What it says of the footage before it."""
        found = self.segment
        if found is None:
            return None
        return Opening(found.run, found.start_90k, self.gaps, found.stream == StreamName.MAIN)


def scan(store: Store, name: Named, *, tail: bool) -> Scan:
    """Read a file's beginning and the heads of its fragments; its data is skipped, but for the last ones with `tail`.

    `segment.sha256` is None: nothing says the hash but the index and the bytes themselves (`sha256_of`).
    Raises MediaError for a file that is not one of ours or damaged in its beginning, and what `Store.open` raises.
    """
    with store.open(name) as file:
        file_bytes = file.size()
        beginning = file.pread(0, INIT_BYTES_MAX)
        init = read_init(beginning)
        header = _header(init.header, name)
        source = cast("BinaryIO", _Seekable(file, file_bytes))
        fragments = list(iter_fragments(source, init.size))
        if tail and fragments:
            first = fragments[-_TAIL:][0]
            fragments[-_TAIL:] = list(iter_fragments(source, first.offset, check_data=True))
        picture_90k = longest_picture(source, fragments[-1].offset) if fragments else 0
    whole = fragments[-1].offset + fragments[-1].size if fragments else 0
    gaps = tuple(_gap(name.camera, said) for said in header.before) if name.stream == StreamName.MAIN else ()
    if not fragments:
        return Scan(None, gaps, 0, 0, file_bytes)
    return Scan(
        _segment(store.id, header, name, (touching(fragments), init.size, _encode_tracks(init.tracks))),
        gaps,
        picture_90k,
        whole,
        file_bytes,
    )


def is_torn(store: Store, name: Named) -> bool:
    """Say whether a file that `scan` cannot read ends, or turns to zeros, in its beginning: cut off in its first write.

    Such a file holds nothing that anybody could open. Any other that cannot be read is damaged or not ours.
    """
    with store.open(name) as file:
        file_bytes = file.size()
        data = file.pread(0, INIT_BYTES_MAX)
    at = 0
    for kind in (b"ftyp", b"moov", b"uuid"):
        head = data[at : at + 8]
        if len(head) < 8 or head == bytes(8):
            return True
        size = int.from_bytes(head[:4])
        if head[4:] != kind or size < 8:
            return False
        at += size
        if at > file_bytes:
            return True
    return any(data[page : page + _PAGE] == bytes(_PAGE) for page in range(0, at - _PAGE, _PAGE))


def sha256_of(store: Store, name: Named, size: int) -> bytes:
    """Hash the first `size` bytes of a file, a piece at a time."""
    digest = hashlib.sha256()
    with store.open(name) as file:
        for at in range(0, size, _CHUNK):
            digest.update(file.pread(at, min(_CHUNK, size - at)))
    return digest.digest()


def _segment(disk: str, header: Header, name: Named, parts: tuple[tuple[Fragment, ...], int, bytes]) -> Segment:
    fragments, init_bytes, tracks = parts
    last = fragments[-1]
    return Segment(
        camera=name.camera,
        stream=name.stream,
        start_90k=header.start_90k,
        end_90k=min(max(header.start_90k, last.start_90k + last.duration_90k), header.start_90k + LONGEST_90K),
        run=header.run,
        kid=name.kid,
        disk=disk,
        size_bytes=last.offset + last.size,
        init_bytes=init_bytes,
        sha256=None,
        tracks=tracks,
        fragments=fragments,
    )


def _header(text: bytes, name: Named) -> Header:
    try:
        header = msgspec.json.decode(text, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MediaError(f"The file's header cannot be read ({error}).") from error
    if (header.camera, header.stream) != (name.camera, name.stream) or header.start_90k // 90 != name.start_90k // 90:
        raise MediaError(
            f"The file says that it is of {header.camera}/{header.stream}, but lies under {name.camera}/{name.stream}.",
            remedy="Somebody moved it: put it back where it says that it belongs.",
        )
    return header


def _gap(camera: str, said: tuple[int, int, str, str]) -> Gap:
    start, end, cause, detail = said
    try:
        known = Cause(cause)
    except ValueError:
        known = Cause.UNKNOWN  # a word of a later version; unknown is what it is to us
    return Gap(camera, start, end, known, detail)


class _Seekable(io.RawIOBase):
    """As much of a file object as `iter_fragments` asks for."""

    def __init__(self, file: OpenSegment, size: int) -> None:
        self._file, self._size, self._at = file, size, 0

    def seek(self, at: int, whence: int = 0) -> int:
        """Go to a place; `whence` 0 or 2."""
        self._at = at if whence == 0 else self._size + at
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes from there."""
        data = self._file.pread(self._at, self._size - self._at if size < 0 else size)
        self._at += len(data)
        return data
