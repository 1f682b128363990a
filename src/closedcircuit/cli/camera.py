# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit camera ...`: add, list, test, pause, resume, remove. The recorder notices within two seconds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from closedcircuit.base import Secret, SystemClock, SystemIds, slug
from closedcircuit.base.errors import ConfigError
from closedcircuit.cli.place import DataOption, JsonOption, data_folder, print_json, print_table
from closedcircuit.model import Camera, Mode, Recording, Source

app = typer.Typer(help="Add, test, list and remove cameras.", no_args_is_help=True, rich_markup_mode=None)

CLOSES_WITHIN_S = 8.0
"""A recorder that runs notices a removed camera within two seconds and closes its file."""

PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="A file with the camera's password.")]
Username = Annotated[str, typer.Option("--username", help="The camera's user, where it wants one.")]
PinOption = Annotated[str, typer.Option("--pin-sha256", help="rtsps: SHA-256 of the camera's certificate (hex).")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What people call it: 'Front door'.")],
    address: Annotated[str, typer.Argument(help="rtsp://..., rtsps://..., http://..., a file, ...")],
    sub: Annotated[str, typer.Option("--sub", help="The address of its smaller stream, for walls and previews.")] = "",
    username: Username = "",
    password_file: PasswordFile = None,
    pin_sha256: PinOption = "",
    audio: Annotated[bool, typer.Option(help="Record its sound too.")] = True,
    check: Annotated[
        bool, typer.Option("--test/--no-test", help="Try it first; add it only if a picture comes.")
    ] = True,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a camera.

    Example: closedcircuit camera add 'Front door' rtsp://192.168.1.20/stream1 --username viewer --password-file pw.txt
    """
    from closedcircuit.cameras import Registry

    folder = data_folder(data)
    registry = Registry(folder.root)
    made, password = _describe(name, address, username, password_file)
    made = msgspec.structs.replace(
        made,
        id=_free_id(registry, name),
        main=msgspec.structs.replace(made.main, pin_sha256=pin_sha256, audio=audio),
        sub=Source(address=_bare(sub)[0], pin_sha256=pin_sha256, audio=False) if sub else None,
        added_90k=SystemClock().now_90k(),
    )
    if check:
        result = _probe(made, password)
        if not result["ok"]:
            _explain(result)
            sys.stderr.write("Nothing was added. --no-test adds it all the same.\n")
            raise typer.Exit(3)
    registry.save(made, password)
    if as_json:
        print_json({"id": made.id, "name": made.name, "address": made.main.address})
    else:
        print(f"Added {made.name} as {made.id}. A running site begins with it within two seconds.")


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the cameras and how they are.

    Example: closedcircuit camera list --json
    """
    from closedcircuit.cameras import Registry

    folder = data_folder(data)
    status = folder.read_status("recorder") or {}
    states: dict[str, Any] = status.get("cameras", {}) if status.get("alive") else {}
    cameras = Registry(folder.root).list()
    if as_json:
        print_json([{**msgspec.to_builtins(camera), "streams": states.get(camera.id, {})} for camera in cameras])
        return
    if not cameras:
        print("No cameras yet. Add one: closedcircuit camera add 'Front door' rtsp://...")
        return
    rows = []
    for camera in cameras:
        main = states.get(camera.id, {}).get("main", {})
        picture = f"{main.get('codec', '')} {main.get('width', 0)}x{main.get('height', 0)}" if main.get("width") else ""
        state = main.get("state", "recorder not running" if not states else "starting")
        rows.append([camera.id, camera.name, state, picture, camera.recording.mode.value, camera.main.address])
    print_table(["ID", "NAME", "STATE", "PICTURE", "MODE", "ADDRESS"], rows)


@app.command("test")
def test(
    address: Annotated[str, typer.Argument(help="The id of a camera, or an address to try.")],
    username: Username = "",
    password_file: PasswordFile = None,
    pin_sha256: PinOption = "",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Connect to a camera, wait for a picture, say what it sends. Changes nothing.

    Example: closedcircuit camera test rtsp://192.168.1.20/stream1 --username viewer --password-file pw.txt
    """
    from closedcircuit.cameras import Registry

    if "://" in address or Path(address).is_file():
        camera, password = _describe("test", address, username, password_file)
        camera = msgspec.structs.replace(camera, main=msgspec.structs.replace(camera.main, pin_sha256=pin_sha256))
    else:
        registry = Registry(data_folder(data).root)
        camera, password = registry.get(address), registry.password(address)
    result = _probe(camera, password)
    if as_json:
        print_json(result)
    else:
        _explain(result)
    if not result["ok"]:
        raise typer.Exit(3)


@app.command("pause")
def pause(camera: Annotated[str, typer.Argument(help="The camera's id.")], data: DataOption = None) -> None:
    """Stop recording a camera on purpose; the ledger says so.

    Example: closedcircuit camera pause front-door
    """
    _set_mode(data, camera, Mode.PAUSED)
    print(f"{camera} is paused. closedcircuit camera resume {camera} goes on.")


@app.command("resume")
def resume(camera: Annotated[str, typer.Argument(help="The camera's id.")], data: DataOption = None) -> None:
    """Go on recording a paused camera.

    Example: closedcircuit camera resume front-door
    """
    _set_mode(data, camera, None)
    print(f"{camera} records again.")


@app.command("remove")
def remove(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    footage: Annotated[str, typer.Option("--footage", help="keep: until retention takes it; delete: now.")],
    data: DataOption = None,
) -> None:
    """Remove a camera, and say what becomes of its footage.

    Example: closedcircuit camera remove front-door --footage keep
    """
    from closedcircuit.cameras import Registry
    from closedcircuit.catalogue import Catalogue
    from closedcircuit.db import Database

    if footage not in {"keep", "delete"}:
        raise ConfigError(f"--footage is keep or delete, not {footage}.", remedy="keep leaves it to retention.")
    folder = data_folder(data)
    registry = Registry(folder.root)
    registry.get(camera)
    clock = SystemClock()
    catalogue = Catalogue(Database(folder.facts), clock)
    catalogue.dismiss(camera, clock.now_90k())
    # crash here: the camera is still there; removing it again goes on.
    registry.remove(camera)
    if footage == "delete":
        deadline_s = clock.monotonic_s() + CLOSES_WITHIN_S
        while catalogue.is_growing(camera) and clock.monotonic_s() < deadline_s:
            clock.sleep(0.2)
        catalogue.doom_camera(camera)
        print(f"{camera} is removed; its footage is being deleted by the keeper, except what is held.")
    else:
        print(f"{camera} is removed; its footage stays until retention takes it.")


def _set_mode(data: Path | None, camera_id: str, mode: Mode | None) -> None:
    from closedcircuit.cameras import Registry

    registry = Registry(data_folder(data).root)
    camera = registry.get(camera_id)
    before: Recording = camera.recording
    if mode is None:
        mode = Mode.SCHEDULE if before.schedule else Mode.CONTINUOUS
    registry.save(msgspec.structs.replace(camera, recording=msgspec.structs.replace(before, mode=mode)), None)


def _bare(address: str) -> tuple[str, str, Secret]:
    from closedcircuit.cameras import split_address

    bare, username, password = split_address(address)
    return bare, username, Secret(password)


def _describe(name: str, address: str, username: str, password_file: Path | None) -> tuple[Camera, Secret]:
    bare, user, password = _bare(address)
    if password_file:
        try:
            password = Secret(password_file.read_text("utf-8").rstrip("\r\n"))
        except OSError as error:
            raise ConfigError(
                f"{password_file}: {error.strerror}", remedy="Name a file with the password in it."
            ) from error
    return Camera(id="test", name=name, main=Source(address=bare), username=username or user), password


def _free_id(registry: Any, name: str) -> str:
    wanted = slug(name) or "camera"
    taken = {camera.id for camera in registry.list()}
    if wanted not in taken:
        return wanted
    return next(f"{wanted[:36]}-{number}" for number in range(2, 1000) if f"{wanted[:36]}-{number}" not in taken)


def _probe(camera: Camera, password: Secret) -> dict[str, Any]:
    from closedcircuit.cameras import probe

    return probe(camera, password, SystemClock(), SystemIds())


def _explain(result: dict[str, Any]) -> None:
    if error := result.get("error"):
        sys.stderr.write(f"No picture ({error['code']}): {error['message']}\n{error['remedy']}\n")
        return
    for track in result["tracks"]:
        size = f" {track['width']}x{track['height']}" if track.get("width") else f" {track.get('timescale')} Hz"
        print(f"{track['kind']}: {track['codec']}{size}")
    rates = f"{result['fps']:.1f} pictures/s, {result['kbps']:.0f} kbit/s"
    print(f"First picture after {result['first_picture_ms']} ms, {rates}.")
