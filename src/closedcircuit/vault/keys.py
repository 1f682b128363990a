# SPDX-License-Identifier: Apache-2.0
"""Hour keys and what is derived from them (docs/design/footage.md, "Keys").

The recorder's half is `KeyRing`: keys that exist only in this process, wrapped to the owner on disk before they are
used. The reader's half is the functions at the end. Python cannot promise that a key leaves no copy in memory; what
it can, it does: the key lives in one bytearray that is overwritten when it is forgotten, and copies are short-lived.
"""

from __future__ import annotations

import binascii
import errno
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from closedcircuit.base import TICKS, Clock, Ids, fsync_dir, is_slug, write_durably
from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import CannotOpen, DiskFull, KeyError_, NoRecipients, StorageError
from closedcircuit.vault.age import age_decrypt, age_encrypt
from closedcircuit.vault.ciphers import CtrCipher, derive
from closedcircuit.vault.live import LiveSealer
from closedcircuit.vault.recipients import Identity, Recipient

HOUR: Final = 3600 * TICKS
_ID_BYTES: Final = 8
_KEY_BYTES: Final = 32
_KEY_LINE: Final = re.compile(rb"[0-9a-f]{64}\n\Z")


class SegmentKey:
    """Key of one segment file. Give each track a cipher of its own. Frozen but for its memory of prefixes (locked)."""

    __slots__ = ("_ids", "_lock", "_prefixes", "key", "kid")

    def __init__(self, key: bytes, kid: bytes, ids: Ids) -> None:
        self.key = key  # 16 bytes
        self.kid = kid
        self._ids = ids
        self._lock = threading.Lock()
        self._prefixes: set[bytes] = set()

    def cipher(self, prefix: bytes | None = None, counter: int = 0) -> CtrCipher:
        """Cipher for one track. Without `prefix`: 8 random bytes that no other track has; with it: to open."""
        if prefix is None:
            with self._lock:
                prefix = self._ids.random(8)
                while prefix in self._prefixes:
                    prefix = self._ids.random(8)
                self._prefixes.add(prefix)
        elif len(prefix) != 8:
            raise ValueError("the first half of an IV has 8 bytes")
        return CtrCipher(self.key, self.kid, prefix, counter)


class HourKey:
    """One camera's key for (at most) one wall-clock hour. Safe from any thread; all state is under its lock.

    What was derived from it (ciphers, sealers) goes on working after it is forgotten: a segment that began before
    the turn of the hour is finished under its own key.
    """

    __slots__ = ("_ids", "_key", "_live_ids", "_lock", "camera", "hour_90k", "key_id", "used")

    def __init__(self, camera: str, hour_90k: int, ids: Ids) -> None:
        self.camera = camera
        self.hour_90k = hour_90k  # wall time at which its hour begins
        self.key_id = ids.random(_ID_BYTES)
        self.used = False  # written by KeyRing, under the ring's lock
        self._key = bytearray(ids.random(_KEY_BYTES))
        self._ids = ids
        self._live_ids: set[bytes] = set()
        self._lock = threading.Lock()

    def new_kid(self, ids: Ids) -> bytes:
        """Name for a new segment's key: 16 bytes, the first 8 are this key's id."""
        return self.key_id + ids.random(16 - _ID_BYTES)

    def segment_key(self, kid: bytes) -> SegmentKey:
        """Derive the key of the segment called `kid`. Raises `KeyError_` once forgotten."""
        if len(kid) != 16 or kid[:_ID_BYTES] != self.key_id:
            raise ValueError("this kid belongs to another hour key")
        return SegmentKey(self._derived(_segment_info(kid)), kid, self._ids)

    def live_sealer(self, live_id: bytes) -> LiveSealer:
        """Sealer for a new live id. Raises `KeyError_` if it was given out before: its nonces would come again."""
        with self._lock:
            if live_id in self._live_ids:
                raise KeyError_("This live id is in use already.", remedy="Draw a new one.")
            self._live_ids.add(live_id)
        return LiveSealer(self._derived(_live_info(live_id)), live_id)

    def wrapped(self, recipients: Iterable[Recipient]) -> bytes:
        """Contents of its key file. Raises NoRecipients."""
        with self._lock:
            line = bytearray(binascii.hexlify(self._alive()))
        line += b"\n"
        try:
            return age_encrypt(line, recipients, self._ids)
        finally:
            line[:] = bytes(len(line))

    def forget(self) -> None:
        """Overwrite it. Nothing can be derived from it any more."""
        with self._lock:
            self._key[:] = bytes(len(self._key))
            self._key.clear()

    def _derived(self, info: str) -> bytes:
        with self._lock:
            return derive(self._alive(), info)

    def _alive(self) -> bytearray:
        if not self._key:
            raise KeyError_("This hour key is forgotten.", remedy="Take the current one.")
        return self._key


class KeyRing:
    """The recorder's keys of this hour.

    Promise: a key that `hour_key` returns is on disk already, wrapped to every recipient and durable.
    Threads: any. `_lock` guards every field and is never held during a write; `_turns[camera]` is held while that
    camera's key is made, so that two callers get one key and no camera waits for another's disk write.
    """

    def __init__(self, keys_dir: Path, clock: Clock, ids: Ids) -> None:
        self._dir = keys_dir
        self._clock = clock
        self._ids = ids
        self._lock = threading.Lock()
        self._recipients: tuple[Recipient, ...] = ()
        self._keys: dict[tuple[str, int], HourKey] = {}  # by camera and hour
        self._turns: dict[str, threading.Lock] = {}

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """To whom new keys are wrapped."""
        with self._lock:
            return self._recipients

    def set_recipients(self, recipients: Iterable[Recipient]) -> None:
        """Wrap to these from now on. Where they differ from before, all current keys are forgotten."""
        wanted = tuple(dict.fromkeys(recipients))
        with self._lock:
            if frozenset(wanted) == frozenset(self._recipients):
                return
            self._recipients = wanted
            self._drop(lambda _: True)

    def hour_key(self, camera: str) -> HourKey:
        """This wall-clock hour's key of `camera`: the same one all the hour, a new one after a restart.

        May wait for the disk (two fsyncs) the first time in an hour; `prepare` does that ahead of time.
        Raises NoRecipients, DiskFull, StorageError. Where another thread changes the recipients at that moment, the key
        may be forgotten as soon as it is returned: deriving from it then raises `KeyError_`, and the caller asks again.
        """
        hour = self._clock.now_90k() // HOUR * HOUR
        key = self._get(camera, hour)
        with self._lock:
            key.used = True
            self._drop(lambda other: other.camera == camera and not _current(other, hour))
        return key

    def prepare(self, camera: str) -> None:
        """Make the next hour's key now, so that the turn of the hour waits for no disk. Call it from a helper thread.

        Raises as `hour_key` does.
        """
        self._get(camera, (self._clock.now_90k() // HOUR + 1) * HOUR)

    def forget_expired(self) -> None:
        """Forget the keys of all hours but this one and what is prepared for the next. Call it every minute."""
        hour = self._clock.now_90k() // HOUR * HOUR
        with self._lock:
            self._drop(lambda key: not _current(key, hour))

    def forget_all(self) -> None:
        """Forget every key. The next `hour_key` makes a new one."""
        with self._lock:
            self._drop(lambda _: True)

    def _get(self, camera: str, hour: int) -> HourKey:
        if not is_slug(camera):
            raise ValueError("not a camera's id")
        with self._lock:
            if key := self._keys.get((camera, hour)):
                return key
            turn = self._turns.setdefault(camera, threading.Lock())
        with turn:
            while True:
                with self._lock:
                    if key := self._keys.get((camera, hour)):
                        return key
                    recipients = self._recipients
                key = self._make(camera, hour, recipients)
                with self._lock:
                    if self._recipients is recipients:
                        self._keys[camera, hour] = key
                        return key
                key.forget()  # the recipients changed meanwhile; its file opens nothing, and retention removes it

    def _make(self, camera: str, hour: int, recipients: tuple[Recipient, ...]) -> HourKey:
        if not recipients:
            raise NoRecipients(
                "There is no owner's key, so nothing could be sealed.", remedy="Open the web page and set up the owner."
            )
        key = HourKey(camera, hour, self._ids)
        data = key.wrapped(recipients)
        folder = self._dir / camera
        # crash here -> a folder without keys, or a key file that opens nothing -> retention removes it
        checkpoint("vault.key-file")
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                fsync_dir(self._dir)
            write_durably(folder / f"{key.key_id.hex()}.age", data)
        except OSError as error:
            key.forget()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    "There is no space for a key file.", remedy="Free some space in the data folder."
                ) from error
            raise StorageError(
                f"A key file cannot be written: {error.strerror}.", remedy=f"Check the folder {folder}."
            ) from error
        return key

    def _drop(self, which: Callable[[HourKey], bool]) -> None:
        """Forget and remove; the caller holds the lock."""
        for place, key in list(self._keys.items()):
            if which(key):
                key.forget()
                del self._keys[place]


def _current(key: HourKey, hour: int) -> bool:
    """Whether a key may stay: it is this hour's, or was prepared for the next and not used before the clock stepped."""
    return key.hour_90k == hour or (key.hour_90k == hour + HOUR and not key.used)


def _segment_info(kid: bytes) -> str:
    return f"closedcircuit segment v1 {kid.hex()}"


def _live_info(live_id: bytes) -> str:
    if len(live_id) != 8:
        raise ValueError("a live id has 8 bytes")
    return f"closedcircuit live v1 {live_id.hex()}"


def unwrap_hour_key(age_file: bytes, identities: Iterable[Identity]) -> bytes:
    """Open a key file: 32 bytes. Raises CannotOpen."""
    line = age_decrypt(age_file, identities)
    if not _KEY_LINE.match(line):
        raise CannotOpen("This age file holds no hour key.", remedy="Check that it is from the folder keys/.")
    return binascii.unhexlify(line[:-1])


def segment_key(hour_key: bytes, kid: bytes) -> bytes:
    """Key of a segment, 16 bytes."""
    if len(kid) != 16:
        raise ValueError("a kid has 16 bytes")
    return derive(hour_key, _segment_info(kid))


def live_key(hour_key: bytes, live_id: bytes) -> bytes:
    """Key of a live id, 16 bytes."""
    return derive(hour_key, _live_info(live_id))
