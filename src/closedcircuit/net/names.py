# SPDX-License-Identifier: Apache-2.0
"""Names to addresses, in a few threads, because getaddrinfo(3) blocks for as long as it likes.

At most `THREADS` look-ups run at a time and at most `WAITING` wait (overflow rule: refuse the new one). A look-up whose
asker has gone is skipped. Addresses in numbers never come here.
"""

from __future__ import annotations

import queue
import socket
import threading

from closedcircuit.base.errors import NetError

THREADS = 4
WAITING = 1024

Found = list[tuple[int, tuple[object, ...]]]


class Known:
    """A look-up that needed none: the address was given in numbers."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def poll(self) -> Found:
        """Return the address."""
        return self._found

    def cancel(self) -> None:
        """Nothing runs."""


class Asked:
    """A name that waits for, or is in, one of the resolver's threads.

    `_found` and `_failed` are written once, by that thread, and read by the asker: assigning a reference hands over.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.wanted = True
        self._found: Found | None = None
        self._failed = ""

    def poll(self) -> Found | None:
        """Return the addresses, or None while unknown."""
        if self._failed:
            raise NetError(
                f"{self.host}: no such name ({self._failed})",
                remedy="Check the spelling, or use the device's IP address.",
            )
        return self._found

    def cancel(self) -> None:
        """Skip it if it has not begun."""
        self.wanted = False

    def resolve(self) -> None:
        """Ask the operating system; runs in a resolver thread."""
        try:
            rows = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._failed = str(getattr(error, "strerror", None) or error) or "failed"
            return
        self._found = list(dict.fromkeys((int(row[0]), tuple(row[4])) for row in rows))


class Resolver:
    """The threads. Started by the first name, so that a process that only uses numbers has none."""

    def __init__(self) -> None:
        self._asked: queue.Queue[Asked] = queue.Queue(WAITING)
        self._lock = threading.Lock()  # guards the start of the threads
        self._started = False

    def ask(self, host: str, port: int) -> Asked | Known:
        """Begin to resolve. Raises NetError when too many wait."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, host)
            except (OSError, ValueError):
                continue
            return Known([(int(family), (host, port))])
        asked = Asked(host, port)
        with self._lock:
            if not self._started:
                self._started = True
                for number in range(THREADS):
                    threading.Thread(target=self._serve, name=f"names-{number}", daemon=True).start()
        try:
            self._asked.put_nowait(asked)
        except queue.Full:
            raise NetError(f"{host}: too many names are being looked up", remedy="Check this machine's DNS.") from None
        return asked

    def _serve(self) -> None:
        while True:
            asked = self._asked.get()
            if asked.wanted:
                asked.resolve()


RESOLVER = Resolver()
"""One for the process: look-ups share threads, not state."""
