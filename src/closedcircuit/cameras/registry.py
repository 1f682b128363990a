# SPDX-License-Identifier: Apache-2.0
"""The cameras of a site as files: `cameras/<id>.toml` and `secrets/camera-<id>` (docs/design/processes.md).

Several processes use them; each file is replaced whole, so a reader sees the old one or the new one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from closedcircuit.base.durable import checkpoint, fsync_dir, write_durably
from closedcircuit.base.errors import ConfigError, NotFound
from closedcircuit.base.ids import is_slug
from closedcircuit.base.secret import Secret
from closedcircuit.cameras.toml import to_toml
from closedcircuit.model import Camera

FILE_MAX = 64 << 10
_HEAD = "# One camera. Every key: docs/reference/camera.toml. Changes are noticed within two seconds.\n"


Cameras = list[Camera]
Paths = list[Path]
Errors = list[ConfigError]


class Registry:
    """Reads and writes camera files below a data folder. Keeps nothing in memory; safe from any thread."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "cameras"
        self._secrets = data_dir / "secrets"

    def list(self) -> Cameras:
        """All cameras, by id. Raises ConfigError with file and key for a file that cannot be used."""
        return [self._read(path) for path in self._files()]

    def list_usable(self) -> tuple[Cameras, Errors]:
        """Those that can be used, and what is wrong with the others: one bad file stops one camera, not the site."""
        usable: Cameras = []
        wrong: Errors = []
        for path in self._files():
            try:
                usable.append(self._read(path))
            except ConfigError as error:
                wrong.append(error)
            except NotFound:
                continue  # removed while we looked
        return usable, wrong

    def _files(self) -> Paths:
        return sorted(path for path in self._folder.glob("*.toml") if path.is_file())

    def get(self, ident: str) -> Camera:
        """One camera. Raises NotFound, ConfigError."""
        if not is_slug(ident):
            raise NotFound(f"there is no camera {ident!r}", remedy="See `closedcircuit camera list`.")
        return self._read(self._folder / f"{ident}.toml")

    def _read(self, path: Path) -> Camera:
        try:
            with path.open("rb") as file:
                data = file.read(FILE_MAX + 1)
        except FileNotFoundError:
            raise NotFound(f"there is no camera {path.stem!r}", remedy="See `closedcircuit camera list`.") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
        return parse_camera(data, path)

    def save(self, camera: Camera, password: Secret | None = None) -> None:
        """Write a camera; None leaves its password as it is. Raises ConfigError for an id that is no id.

        The password is written first. crash between the two: a password for a camera as it was before, or for none,
        which the next save replaces.
        """
        if not is_slug(camera.id):
            raise ConfigError(
                f"{camera.id!r} cannot be a camera's id", remedy="Use lower-case letters, digits, hyphens."
            )
        for folder in (self._folder, self._secrets):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                fsync_dir(folder.parent)
        if password is not None:
            checkpoint("cameras.password")
            write_durably(self._secrets / f"camera-{camera.id}", password.reveal().encode())
        checkpoint("cameras.file")
        write_durably(self._folder / f"{camera.id}.toml", (_HEAD + to_toml(camera)).encode())

    def remove(self, ident: str) -> None:
        """Remove a camera and its password; its footage is somebody else's business. Raises NotFound.

        The camera's file goes first. crash between: a password file without a camera, which the next `save` of that id
        replaces and which opens nothing.
        """
        camera = self._folder / f"{ident}.toml"
        if not is_slug(ident) or not camera.exists():
            raise NotFound(f"there is no camera {ident!r}", remedy="See `closedcircuit camera list`.")
        checkpoint("cameras.remove-file")
        camera.unlink(missing_ok=True)
        fsync_dir(self._folder)
        checkpoint("cameras.remove-password")
        (self._secrets / f"camera-{ident}").unlink(missing_ok=True)
        if self._secrets.is_dir():
            fsync_dir(self._secrets)

    def password(self, ident: str) -> Secret:
        """The camera's password; empty where it has none. One line end at the end of the file is not part of it."""
        if not is_slug(ident):
            return Secret("")
        try:
            text = (self._secrets / f"camera-{ident}").read_bytes()[:4096].decode("utf-8", "replace")
        except FileNotFoundError:
            return Secret("")
        except OSError as error:
            raise ConfigError(f"the password of {ident} cannot be read ({error.strerror})") from error
        return Secret(text.removesuffix("\n").removesuffix("\r"))

    def stamp(self) -> str:
        """A text that changes when any camera's file or password changed (name, size, mtime)."""
        rows = []
        for folder, pattern in ((self._folder, "*.toml"), (self._secrets, "camera-*")):
            for path in sorted(folder.glob(pattern)):
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                rows.append(f"{path.name}:{found.st_size}:{found.st_mtime_ns}:{found.st_ino}")
        return "\n".join(rows)


def parse_camera(data: bytes, path: Path) -> Camera:
    """One camera's file. Raises ConfigError that names the file and the key; unknown keys refuse."""
    if len(data) > FILE_MAX:
        raise ConfigError(f"{path}: larger than {FILE_MAX >> 10} KiB", remedy="This is no camera's file.")
    try:
        raw = tomllib.loads(data.decode())
        camera = msgspec.convert({"id": path.stem, **raw}, Camera)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML ({error})", remedy="Correct the file, or remove it.") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}", remedy="Keys are explained in docs/reference/camera.toml.") from error
    if camera.id != path.stem or not is_slug(camera.id):
        raise ConfigError(f"{path}: its id is {camera.id!r}, its name {path.name!r}", remedy="Give both the same name.")
    return camera
