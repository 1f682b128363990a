# SPDX-License-Identifier: Apache-2.0
"""The site's settings: one typed tree, read from `config.toml` in the data folder.

`docs/reference/config.toml` is the commented example and the reference; a test holds it against these types. Unknown
keys refuse, because a misspelt `keep_days` that silently means "the default" deletes footage.
Secrets are never here: they are files (`secrets/`).
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from closedcircuit.base import CircuitError, is_slug
from closedcircuit.base.errors import ConfigError

DEFAULT_KEEP_DAYS = 14.0


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people see."""

    name: str = "Closed Circuit"


class WebSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may connect, and how."""

    host: str = "127.0.0.1"  # loopback until told otherwise
    port: int = 8470
    names: tuple[str, ...] = ()  # further host names that browsers may use; others are refused (DNS rebinding)
    tls_cert_file: str = ""
    tls_key_file: str = ""


class DiskSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One folder for footage, on a disk of its own as a rule."""

    id: str
    path: str
    reserve_gb: float = 2.0  # never used for footage: the index, keys and the rest of the machine need room


class FootageSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How footage is cut and how long it stays."""

    keep_days: float | None = None  # None: DEFAULT_KEEP_DAYS, or what the Storage page says
    fragment_s: float = 2.0
    segment_s: float = 60.0


class RecorderSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The recorder's limits."""

    queue_mb_per_disk: int = 64
    nice: int = -5  # CPU priority asked for; refused politely where the system does not allow it


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `config.toml`."""

    site: Site = Site()
    web: WebSetting = WebSetting()
    footage: FootageSetting = FootageSetting()
    recorder: RecorderSetting = RecorderSetting()
    disk: tuple[DiskSetting, ...] = ()  # empty: one disk, the data folder itself

    def disks(self, data_dir: Path) -> tuple[DiskSetting, ...]:
        """Return the disks with absolute paths; relative ones start at the data folder."""
        chosen = self.disk or (DiskSetting(id="data", path="."),)
        return tuple(msgspec.structs.replace(d, path=str((data_dir / d.path).resolve())) for d in chosen)


def load_settings(data_dir: Path) -> Settings:
    """Read `config.toml`; an absent file means all defaults. Raises ConfigError that names file and key."""
    path = data_dir / "config.toml"
    if not path.is_file():
        return Settings()
    try:
        settings = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"{path}: {error}", remedy="docs/reference/config.toml lists every key with its meaning."
        ) from error
    _check(settings, path)
    return settings


def _check(settings: Settings, path: Path) -> None:
    ids = [disk.id for disk in settings.disk]
    wrong: CircuitError | None = None
    if len(set(ids)) != len(ids) or not all(map(is_slug, ids)):
        wrong = ConfigError(f"{path}: disk ids must differ and be lower-case words, not {ids}", remedy="Rename them.")
    if not 0 < settings.web.port < 65536:
        wrong = ConfigError(
            f"{path}: web.port {settings.web.port} is no port", remedy="Use 1 to 65535, 8470 as a rule."
        )
    if bool(settings.web.tls_cert_file) != bool(settings.web.tls_key_file):
        wrong = ConfigError(f"{path}: TLS needs both files", remedy="Set web.tls_cert_file and web.tls_key_file.")
    keep = settings.footage.keep_days
    if keep is not None and keep <= 0:
        wrong = ConfigError(f"{path}: footage.keep_days must be more than 0", remedy="Remove the line for the default.")
    if not 0.5 <= settings.footage.fragment_s <= 10:
        wrong = ConfigError(f"{path}: footage.fragment_s must be 0.5 to 10", remedy="2 is the default.")
    if not 10 <= settings.footage.segment_s <= 600:
        wrong = ConfigError(f"{path}: footage.segment_s must be 10 to 600", remedy="60 is the default.")
    if wrong:
        raise wrong
