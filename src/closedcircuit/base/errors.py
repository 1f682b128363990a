# SPDX-License-Identifier: Apache-2.0
"""Every error that Closed Circuit raises on purpose.

    CircuitError                      code, remedy, kind
    |-- ConfigError                   config.*       refuse   the configuration cannot be used
    |-- CameraError                   camera.*       retry    a camera cannot be reached, refuses, or sends nonsense
    |   |-- CameraUnreachable         camera.unreachable
    |   |-- CameraRefused             camera.refused          wrong password, forbidden, no such path
    |   `-- StreamBroken              camera.broken           what came is not a stream that we can record
    |-- MediaError                    media.*        broken   bytes that are not what they should be
    |   `-- Unsupported               media.unsupported       valid, but nothing that we can do
    |-- StorageError                  storage.*      retry    a disk is full, missing, or not the one it was
    |   |-- DiskFull                  storage.full
    |   `-- WrongDisk                 storage.wrong-disk
    |-- CatalogueError                catalogue.*    broken   the index cannot answer
    |   `-- Busy                      catalogue.busy retry    locked by somebody for too long
    |-- KeyError_                     key.*          refuse   a key is missing, wrong or damaged
    |   |-- NoRecipients              key.no-recipients       nobody could open what would be recorded
    |   `-- CannotOpen                key.cannot-open         this identity does not open it
    |-- NetError                      net.*          retry    a connection cannot be made, or broke
    |   `-- CertificateRefused        net.certificate refuse  the peer is not who it should be; `.sha256` says who
    |-- AccessError                   access.*       refuse   not signed in, or not allowed
    |   |-- Forbidden                 access.forbidden        signed in or not: this is not allowed
    |   `-- TooManyTries              access.too-many retry   wait `.retry_after_s` seconds
    |-- RequestError                  request.*      refuse   what was asked makes no sense
    `-- NotFound                      not-found      refuse   there is no such thing

`api` maps them once to RFC 9457 problem+json, `cli` once to exit codes, logs once to events.
"""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """What whoever catches an error should do with it."""

    RETRY = "retry"  # may work later without anybody doing anything
    REFUSE = "refuse"  # asking again changes nothing; somebody has to change the request or the settings
    BROKEN = "broken"  # stored or received bytes are damaged
    BUG = "bug"  # ours


class CircuitError(Exception):
    """Root of the tree. `str()` is one sentence for a person; `remedy` says what to do next."""

    code = "bug"
    kind = Kind.BUG
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class ConfigError(CircuitError):
    """The configuration cannot be used."""

    code, kind, exit_code, http_status = "config.invalid", Kind.REFUSE, 2, 422


class CameraError(CircuitError):
    """Something is wrong between us and a camera."""

    code, kind, exit_code, http_status = "camera.error", Kind.RETRY, 3, 502


class CameraUnreachable(CameraError):
    """No connection: no route, refused, timed out, closed at once."""

    code = "camera.unreachable"


class CameraRefused(CameraError):
    """The camera answered, and said no: password, path, transport."""

    code = "camera.refused"


class StreamBroken(CameraError):
    """The camera sends what no recorder could store."""

    code = "camera.broken"


class MediaError(CircuitError):
    """Bytes that are not what they should be."""

    code, kind, exit_code, http_status = "media.damaged", Kind.BROKEN, 4, 422


class Unsupported(MediaError):
    """Valid, but nothing that we can do."""

    code = "media.unsupported"


class StorageError(CircuitError):
    """A disk cannot be used."""

    code, kind, exit_code, http_status = "storage.error", Kind.RETRY, 5, 507


class DiskFull(StorageError):
    """No space, and nothing that may be deleted."""

    code = "storage.full"


class WrongDisk(StorageError):
    """The folder is not the disk that it was when it was set up (not mounted, or another one is)."""

    code = "storage.wrong-disk"


class CatalogueError(CircuitError):
    """The index cannot answer."""

    code, kind, exit_code, http_status = "catalogue.error", Kind.BROKEN, 6, 500


class Busy(CatalogueError):
    """Locked by somebody else for too long."""

    code, kind, http_status = "catalogue.busy", Kind.RETRY, 503


class KeyError_(CircuitError):  # noqa: N801 - `KeyError` is taken, and the tree's names follow the glossary
    """A key is missing, wrong or damaged."""

    code, kind, exit_code, http_status = "key.error", Kind.REFUSE, 7, 409


class NoRecipients(KeyError_):
    """Nobody could open what would be recorded, so nothing is recorded."""

    code = "key.no-recipients"


class CannotOpen(KeyError_):
    """This identity does not open it."""

    code = "key.cannot-open"


class NetError(CircuitError):
    """A connection cannot be made, or it broke."""

    code, kind, exit_code, http_status = "net.error", Kind.RETRY, 10, 502


class CertificateRefused(NetError):
    """The peer showed a certificate that the policy does not allow. `sha256` is that of its DER, hex; may be empty."""

    code, kind = "net.certificate", Kind.REFUSE

    def __init__(self, message: str, *, remedy: str = "", sha256: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.sha256 = sha256


class AccessError(CircuitError):
    """Not signed in, or not allowed."""

    code, kind, exit_code, http_status = "access.denied", Kind.REFUSE, 8, 401


class Forbidden(AccessError):
    """Not allowed, whoever asks."""

    code, http_status = "access.forbidden", 403


class TooManyTries(AccessError):
    """Too many wrong answers in a short time."""

    code, kind, http_status = "access.too-many", Kind.RETRY, 429

    def __init__(self, message: str, *, retry_after_s: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


class RequestError(CircuitError):
    """What was asked makes no sense: a range that ends before it begins, a name with a line break."""

    code, kind, exit_code, http_status = "request.invalid", Kind.REFUSE, 2, 422


class NotFound(CircuitError):
    """There is no such thing."""

    code, kind, exit_code, http_status = "not-found", Kind.REFUSE, 9, 404
