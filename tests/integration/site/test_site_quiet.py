# SPDX-License-Identifier: Apache-2.0
"""Who the site's processes talk to: its own cameras and itself, on loopback. Who listens: the web process, there."""

from __future__ import annotations

import ipaddress
import os
import sys
import time
from pathlib import Path

import pytest

from material.site import Site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
LISTEN = "0A"


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as /proc/net/tcp writes it: 32-bit words in the machine's order."""
    raw = bytes.fromhex(text)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ipaddress.ip_address(words)
    return getattr(found, "ipv4_mapped", None) or found


def sockets(pid: int) -> list[tuple[str, ipaddress.IPv4Address, ipaddress.IPv4Address]]:
    """(state, local, remote) of every TCP and UDP socket of a process."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in inodes:
                local, remote = (address(word.split(":")[0]) for word in words[1:3])
                found.append((words[3], local, remote))
    return found


def test_no_process_talks_to_anybody_but_its_cameras(tmp_path):
    site = Site(tmp_path / "site")
    site.data.mkdir()
    site.start()
    try:
        (site.data / "pw").write_text("correct horse battery staple")
        keys = ["--identity", tmp_path / "id", "--recovery", tmp_path / "rec", "--passphrase-file", site.data / "pw"]
        site.command("key", "create", *keys)
        site.wait_recorded(3)
        seen = {}
        pids = {process["role"]: process["status"]["pid"] for process in site.status()["processes"]}
        for _ in range(20):
            for role, pid in pids.items():
                try:
                    seen.setdefault(role, []).extend(sockets(pid))
                except PermissionError:
                    pytest.skip("needs root: the processes do not let their own account look into them")
            time.sleep(0.05)
        assert set(seen) == {"pretend", "recorder", "keeper", "web"}
        for role, found in seen.items():
            for state, local, remote in found:
                assert local.is_loopback, (role, local)
                assert remote.is_loopback or (state == LISTEN and remote.is_unspecified), (role, remote)
        assert any(state != LISTEN for state, _, _ in seen["recorder"])
        assert not [found for found in seen["recorder"] + seen["keeper"] if found[0] == LISTEN]
        assert [found for found in seen["web"] if found[0] == LISTEN]
    finally:
        site.stop()
