# SPDX-License-Identifier: Apache-2.0
"""Timelines, sealed bytes, wrapped keys, holds (`playback`, `catalogue`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from closedcircuit.api import bodies, shapes
from closedcircuit.api.answers import json, nothing, raw, said
from closedcircuit.api.parts import Parts, PartsOf
from closedcircuit.api.problems import of_error, problem
from closedcircuit.api.ranges import UnsatisfiableError, parse_range
from closedcircuit.base import is_slug
from closedcircuit.base.errors import NotFound, RequestError
from closedcircuit.blobs import OpenSegment
from closedcircuit.model import Hold
from closedcircuit.playback import Direction, Footage, NothingThere

router = APIRouter(prefix="/api", tags=["footage"])

CHUNK_BYTES = 256 << 10
IMMUTABLE = {"cache-control": "private, max-age=86400, immutable"}

Camera = Annotated[str, Query(max_length=40)]
Stream = Annotated[str, Query(max_length=10)]
From = Annotated[int, Query(alias="from", ge=0, lt=1 << 53, description="1/90000 s since 1970 UTC")]
To = Annotated[int, Query(alias="to", ge=0, lt=1 << 53)]


@router.get("/timeline", responses=said(shapes.Timeline))
async def timeline(
    parts: PartsOf,
    camera: Annotated[list[str], Query(max_length=256)],
    from_: From,
    to: To,
    px: Annotated[int, Query(ge=1, le=16_384)] = 1000,
) -> Response:
    """Return what became of some cameras' time, merged for drawing on `px` pixels."""
    names = list(dict.fromkeys(name for name in camera if is_slug(name)))
    return json(await parts.desk.run(parts.archive.timeline, names, from_, to, px))


@router.get("/ledger", responses=said(shapes.Ledger))
async def ledger(parts: PartsOf, camera: Camera, from_: From, to: To) -> Response:
    """Return one camera's exact account: what is recorded, deliberately not, or lost because of what."""
    return json(await parts.desk.run(parts.archive.account, camera, from_, to))


@router.get("/segments", responses=said(shapes.SegmentList))
async def segments(parts: PartsOf, camera: Camera, stream: Stream, from_: From, to: To) -> Response:
    """List the sealed files of a range, and where their fragments are; at most 240."""

    def answer() -> Response:
        return json(parts.archive.segments(camera, stream, from_, to))

    return await parts.desk.run(answer)


@router.get("/at", responses=raw("application/octet-stream", "Length, header, init bytes, fragment."))
async def picture_at(
    parts: PartsOf,
    camera: Camera,
    stream: Stream,
    at: Annotated[int, Query(ge=0, lt=1 << 53)],
    want: Annotated[str, Query(pattern="^(fragment|key)$")] = "fragment",
    direction: Annotated[Direction, Query(alias="dir")] = Direction.BEFORE,
) -> Response:
    """Return all that is needed for a picture of a moment in one round trip."""
    try:
        body = await parts.desk.run(parts.archive.picture, camera, stream, at, direction, key=want == "key")
    except NothingThere as error:
        return of_error(error, next_90k=error.next_90k, prev_90k=error.prev_90k)
    return Response(body, media_type="application/octet-stream")


@router.get("/footage/{camera}/{stream}/{kid}", responses=raw("video/mp4", "The sealed file."))
async def sealed_file(request: Request, parts: PartsOf, camera: str, stream: str, kid: str) -> Response:
    """Return a sealed file, or a range of it. One that still grows ends where the index says that it ends now."""
    footage = await parts.desk.run(parts.archive.open, camera, stream, kid)
    try:
        return _bytes_of(footage, parts, request)
    except UnsatisfiableError:
        footage.file.close()
        size = {"content-range": f"bytes */{footage.segment.size_bytes}"}
        return problem(416, "request.range", "That range lies outside the file.", "Ask for less.", headers=size)


@router.get("/keys/{camera}/{key_id}", responses=raw("application/octet-stream", "An age file."))
async def key_file(parts: PartsOf, camera: str, key_id: str) -> Response:
    """Return an hour key, wrapped to its recipients."""
    body = await parts.desk.run(parts.archive.key_file, camera, key_id)
    return Response(body, 200, IMMUTABLE, "application/octet-stream")


@router.get("/holds", responses=said(shapes.HoldList))
async def holds(parts: PartsOf) -> Response:
    """List what may not be deleted."""
    return json({"holds": await parts.desk.run(parts.catalogue.holds)})


@router.post("/holds", status_code=201, responses=said(shapes.Hold, 201))
async def hold(body: bodies.NewHold, parts: PartsOf) -> Response:
    """Keep footage from deletion, whatever retention or a full disk say. Durable when this answers."""
    if body.end_90k <= body.start_90k:
        raise RequestError("`end_90k` must be after `start_90k`.", remedy="Choose a range.")
    made = Hold(
        id=parts.ids.random(8).hex(),
        camera=body.camera,
        start_90k=body.start_90k,
        end_90k=body.end_90k,
        reason=body.reason.strip(),
        made_90k=parts.clock.now_90k(),
    )
    await parts.desk.run(_check_known, parts, body.camera)
    await parts.desk.run(parts.catalogue.add_hold, made)
    return json(made, 201)


@router.delete("/holds/{hold_id}", status_code=204, responses=nothing())
async def release(hold_id: str, parts: PartsOf) -> Response:
    """Let go of a hold."""
    await parts.desk.run(parts.catalogue.remove_hold, hold_id)
    return Response(status_code=204)


def _check_known(parts: Parts, camera: str) -> None:
    if not is_slug(camera):
        raise NotFound("There is no such camera.", remedy="Ask /api/cameras what there is.")
    if parts.catalogue.oldest(camera) is None:
        parts.registry.get(camera)


def _bytes_of(footage: Footage, parts: Parts, request: Request) -> Response:
    segment = footage.segment
    wanted = parse_range(request.headers.get("range"), segment.size_bytes)
    start, end = wanted or (0, segment.size_bytes)
    headers = {"accept-ranges": "bytes", "content-length": str(end - start)}
    if segment.sha256 is not None:
        headers |= IMMUTABLE
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{segment.size_bytes}"
    return StreamingResponse(_stream(footage.file, parts, start, end), 206 if wanted else 200, headers, "video/mp4")


async def _stream(file: OpenSegment, parts: Parts, start: int, end: int) -> AsyncIterator[bytes]:
    """Read a range in pieces. A disk that fails in the middle ends the answer early, which its length gives away."""
    try:
        while start < end:
            data = await parts.desk.run(file.pread, start, min(CHUNK_BYTES, end - start))
            if not data:
                return
            start += len(data)
            yield data
    finally:
        file.close()
