# SPDX-License-Identifier: Apache-2.0
"""Cameras: list, add, try, change, remove (`cameras`, `live`). This process never reaches one: the recorder does."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from closedcircuit.api import bodies, shapes
from closedcircuit.api.answers import json, nothing, said
from closedcircuit.api.parts import Parts, PartsOf
from closedcircuit.base import Secret, slug
from closedcircuit.base.errors import RequestError
from closedcircuit.cameras import split_address
from closedcircuit.live import TestResult, failed
from closedcircuit.model import Camera, Mode, Recording, Source, StreamName
from closedcircuit.recording import check_hours

router = APIRouter(prefix="/api", tags=["cameras"])

ID_MAX = 36
SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp"})
CLOSES_WITHIN_S = 8.0
"""A recorder that runs hears of a removed camera at once and closes its file."""

BATCH = 2000
ROLL_S_MAX = 60
_VIDEO_DEVICE = re.compile(r"/dev/video\d{1,3}\Z")


class Described(msgspec.Struct, frozen=True):
    """A camera as somebody typed it, its password apart; None: it was not named."""

    camera: Camera
    password: Secret | None


@router.get("/cameras", responses=said(shapes.CameraList))
async def cameras(parts: PartsOf) -> Response:
    """List the cameras and how each of their streams is."""
    found = await parts.desk.run(_list, parts)
    return json({"cameras": [_facts(parts, camera, has_password=has) for camera, has in found]})


@router.post("/cameras", status_code=201, responses=said(shapes.Camera, 201))
async def add(body: bodies.NewCamera, parts: PartsOf) -> Response:
    """Add a camera. A password inside the address is taken out of it and kept apart."""

    def save() -> tuple[Camera, bool]:
        described = _describe(parts, body, _blank(parts.clock.now_90k()))
        camera = msgspec.structs.replace(described.camera, id=_free_id(parts, body.name))
        parts.registry.save(camera, described.password or Secret(""))
        return camera, bool(described.password)

    camera, has_password = await parts.desk.run(save)
    parts.hub.reload()
    return json(_facts(parts, camera, has_password=has_password), 201)


@router.post("/cameras/test", responses=said(shapes.TestResult))
async def try_out(
    body: bodies.NewCamera, parts: PartsOf, camera: Annotated[str | None, Query(max_length=40)] = None
) -> Response:
    """Have the recorder try a camera. With `camera`, that one's password is used where the body names none.

    That password goes nowhere but to where it already goes: a changed address needs it typed again.
    """

    def describe() -> Described:
        described = _describe(parts, body, _blank(0))
        if camera is None or described.password is not None:
            return described
        known = parts.registry.get(camera)
        if _host(known.main.address) != _host(described.camera.main.address):
            return described
        return Described(described.camera, parts.registry.password(camera))

    try:
        described = await parts.desk.run(describe)
    except RequestError as error:
        return json(failed(error.code, str(error), error.remedy))
    result: TestResult = await parts.hub.test(described.camera, described.password or Secret(""))
    return json(result)


@router.patch("/cameras/{camera_id}", responses=said(shapes.Camera))
async def change(camera_id: str, body: bodies.CameraChange, parts: PartsOf) -> Response:
    """Change a camera, or pause it; what is not named stays."""

    def save() -> tuple[Camera, bool]:
        before = parts.registry.get(camera_id)
        described = _describe(parts, body, before)
        camera = described.camera
        if body.paused is not None:
            camera = _paused(camera, paused=body.paused)
        password = described.password
        moved = _host(camera.main.address) != _host(before.main.address)
        if password is None and moved:
            password = Secret("")  # a password is not sent to a host that it was not given for
        parts.registry.save(camera, password)
        return camera, bool(parts.registry.password(camera_id))

    camera, has_password = await parts.desk.run(save)
    parts.hub.reload()
    return json(_facts(parts, camera, has_password=has_password))


@router.delete("/cameras/{camera_id}", status_code=204, responses=nothing())
async def remove(camera_id: str, parts: PartsOf, footage: Annotated[Literal["keep", "delete"], Query()]) -> Response:
    """Remove a camera; `footage=delete` also what it recorded and nobody holds, `keep` leaves that to retention."""

    def drop() -> None:
        parts.registry.get(camera_id)
        parts.catalogue.dismiss(camera_id, parts.clock.now_90k())
        # crash here: the camera is still there, and so is its footage; removing it again goes on.
        parts.registry.remove(camera_id)

    await parts.desk.run(drop)
    parts.hub.reload()
    # crash here: the camera is gone, its footage is left to retention.
    if footage == "delete":
        await parts.desk.run(_doom_all, parts, camera_id)
    return Response(status_code=204)


def _doom_all(parts: Parts, camera: str) -> None:
    """List all footage of a camera for deletion, once the recorder has closed what it was writing (or is not there)."""
    deadline_s = parts.clock.monotonic_s() + CLOSES_WITHIN_S
    while parts.catalogue.is_growing(camera) and parts.clock.monotonic_s() < deadline_s:
        parts.clock.sleep(0.2)
    parts.catalogue.doom_camera(camera)


def _list(parts: Parts) -> list[tuple[Camera, bool]]:
    return [(camera, bool(parts.registry.password(camera.id))) for camera in parts.registry.list_usable()[0]]


def _facts(parts: Parts, camera: Camera, *, has_password: bool) -> dict[str, Any]:
    names = [StreamName.MAIN, StreamName.SUB] if camera.sub else [StreamName.MAIN]
    return {
        "id": camera.id,
        "name": camera.name,
        "address": camera.main.address,
        "sub_address": camera.sub.address if camera.sub else None,
        "username": camera.username,
        "has_password": has_password,
        "pin_sha256": camera.main.pin_sha256,
        "audio": camera.main.audio,
        "pretend": camera.pretend,
        "recording": camera.recording,
        "disk": camera.disk,
        "added_90k": camera.added_90k,
        "streams": {name: parts.hub.state(camera.id, name) for name in names},
    }


def _blank(now_90k: int) -> Camera:
    return Camera(id="test", name="test", main=Source(address=""), added_90k=now_90k)


def _describe(parts: Parts, body: bodies.NewCamera | bodies.CameraChange, before: Camera) -> Described:
    """Return `before` with what a request names changed. Raises RequestError in words for a person."""
    main, username, password = _source(body, before, body.address, before.main)
    sub = before.sub
    if body.sub_address == "":
        sub = None
    elif body.sub_address is not None:
        sub, sub_user, sub_password = _source(body, before, body.sub_address, before.sub)
        username, password = username or sub_user, password or sub_password
        sub = msgspec.structs.replace(sub, audio=False)
    if body.password is not None:
        password = Secret(body.password)
    if body.username is not None:
        username = body.username
    disk = before.disk if body.disk is None else _disk(parts, body.disk)
    camera = msgspec.structs.replace(
        before,
        name=_name(body.name) if body.name is not None else before.name,
        main=main,
        sub=sub,
        username=username if username is not None else before.username,
        recording=_recording(body.recording, before.recording),
        disk=disk,
    )
    return Described(camera, password)


def _source(
    body: bodies.NewCamera | bodies.CameraChange, before: Camera, address: str | None, source: Source | None
) -> tuple[Source, str | None, Secret | None]:
    """Return a stream's source, and the user and password that its address carried."""
    username: str | None = None
    password: Secret | None = None
    source = source or msgspec.structs.replace(before.main, address="")
    if address is not None:
        bare, user, secret = split_address(address)
        source = msgspec.structs.replace(source, address=_allowed(bare))
        username, password = user or None, Secret(secret) if secret else None
    if body.pin_sha256 is not None:
        source = msgspec.structs.replace(source, pin_sha256=_pin(body.pin_sha256))
    if body.audio is not None:
        source = msgspec.structs.replace(source, audio=body.audio)
    return source, username, password


def _allowed(address: str) -> str:
    """Refuse what would have the recorder read files of its own machine: only who may run commands there may say so."""
    scheme, found, rest = address.partition("://")
    if _VIDEO_DEVICE.match(address) or (found and rest and scheme.lower() in SCHEMES):
        return address
    raise RequestError(
        "That is not the address of a camera.",
        remedy="Addresses look like rtsp://192.168.1.20/stream1. A file is added with `closedcircuit camera add`.",
    )


def _recording(changes: dict[str, Any] | None, before: Recording) -> Recording:
    if not changes:
        return before
    try:
        recording = msgspec.convert({**msgspec.to_builtins(before), **changes}, Recording)
    except msgspec.ValidationError as error:
        raise RequestError(f"`recording`: {error}.", remedy="docs/reference/api.md lists its fields.") from error
    for wrong, detail in (
        (not _is_limit(recording.keep_days), "`keep_days` is more than 0 and at most 36500, or null"),
        (not _is_limit(recording.keep_gb, 1e6), "`keep_gb` is more than 0 and at most 1000000, or null"),
        (not 0 <= recording.pre_roll_s <= ROLL_S_MAX, f"`pre_roll_s` is 0 to {ROLL_S_MAX}"),
        (not 0 <= recording.post_roll_s <= ROLL_S_MAX, f"`post_roll_s` is 0 to {ROLL_S_MAX}"),
        (recording.mode is Mode.SCHEDULE and not recording.schedule, "by `schedule` it needs at least one line of it"),
    ):
        if wrong:
            raise RequestError(f"`recording`: {detail}.", remedy="Correct it and send it again.")
    check_hours(recording.schedule)
    return recording


def _is_limit(value: float | None, most: float = 36_500) -> bool:
    return value is None or 0 < value <= most


def _paused(camera: Camera, *, paused: bool) -> Camera:
    recording = camera.recording
    if paused == (recording.mode is Mode.PAUSED):
        return camera
    mode = Mode.PAUSED if paused else Mode.SCHEDULE if recording.schedule else Mode.CONTINUOUS
    return msgspec.structs.replace(camera, recording=msgspec.structs.replace(recording, mode=mode))


def _name(name: str) -> str:
    name = name.strip()
    if not name or not name.isprintable():
        raise RequestError("A camera's name has letters and no line break.", remedy="Choose another name.")
    return name


def _pin(text: str) -> str:
    pin = text.replace(":", "").replace(" ", "").lower()
    if pin and (len(pin) != 64 or not set(pin) <= set("0123456789abcdef")):
        raise RequestError(
            "`pin_sha256` is 64 hex digits.", remedy="Take it from the camera's test, or leave it empty."
        )
    return pin


def _disk(parts: Parts, disk: str) -> str:
    known = [one.id for one in parts.settings.disks(parts.folder.root)]
    if disk and disk not in known:
        raise RequestError(f"There is no disk {disk!r}.", remedy=f"Choose one of {', '.join(known)}, or none.")
    return disk


def _free_id(parts: Parts, name: str) -> str:
    """Return an id made of the name that no camera has and under which nothing was ever recorded.

    A new camera must not take over the footage of one that was removed.
    """
    wanted = slug(name)[:ID_MAX].strip("-") or "camera"
    taken = {camera.id for camera in parts.registry.list_usable()[0]}
    for number in range(1, 1000):
        candidate = wanted if number == 1 else f"{wanted}-{number}"
        if candidate not in taken and parts.catalogue.oldest(candidate) is None:
            return candidate
    raise RequestError("There are too many cameras of that name.", remedy="Choose another name.")


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
