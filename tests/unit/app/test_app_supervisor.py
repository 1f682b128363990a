# SPDX-License-Identifier: Apache-2.0
"""The supervisor: restarts what dies, with growing patience; stops all; refuses a second one on the same folder."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from closedcircuit.app import DataFolder
from closedcircuit.app.supervisor import Supervisor
from closedcircuit.base.errors import ConfigError

SLEEPER = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint(flush=True)\ntime.sleep(60)"
)


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path)
    made.create()
    return made


def sleeper(_name, _folder):
    return [sys.executable, "-c", SLEEPER]


def test_a_second_supervisor_on_the_same_folder_is_refused_with_the_first_ones_number(folder, clock):
    first = Supervisor(folder, clock, ["web"], sleeper)
    with pytest.raises(ConfigError, match=str(os.getpid())):
        Supervisor(folder, clock, ["web"], sleeper)
    first.stop()
    Supervisor(folder, clock, ["web"], sleeper).stop()


def test_a_role_that_dies_comes_back_and_the_others_do_not_notice(folder, clock):
    said: list[str] = []
    supervisor = Supervisor(folder, clock, ["recorder", "web"], sleeper)
    supervisor.start()
    recorder, web = supervisor.children
    first, web_pid = recorder.pid, web.pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    recorder.tend(clock.monotonic_s(), said.append)
    assert recorder.pid is None
    recorder.tend(clock.monotonic_s() + 0.5, said.append)
    assert recorder.pid is None, "it waits a second"
    recorder.tend(clock.monotonic_s() + 1.1, said.append)
    assert recorder.pid not in {None, first}
    assert web.pid == web_pid
    assert recorder.restarts == 1
    assert "recorder ended with code -9" in said[0]
    supervisor.stop()
    assert recorder.pid is None
    assert web.pid is None


def test_patience_doubles_up_to_half_a_minute(folder, clock):
    said: list[str] = []
    supervisor = Supervisor(folder, clock, ["web"], lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])
    supervisor.start()
    child = supervisor.children[0]
    for _ in range(7):
        child.wait(20)
        child.tend(clock.monotonic_s(), said.append)
        clock.advance(31)
        child.tend(clock.monotonic_s(), said.append)
    child.wait(20)
    supervisor.stop()
    assert [text.split(" in ")[1] for text in said] == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]


def test_run_ends_when_told_and_leaves_nothing_running(folder, clock):
    stop = threading.Event()
    supervisor = Supervisor(folder, clock, ["recorder"], sleeper)
    supervisor.start()
    pid = supervisor.children[0].pid
    stop.set()
    supervisor.run(stop, lambda _text: None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert folder.read_status("supervisor")["roles"]["recorder"]["pid"] is None


def test_ready_believes_only_the_present_process(folder, clock):
    supervisor = Supervisor(folder, clock, ["web"], sleeper)
    folder.write_status("web", {"pid": os.getpid()})
    supervisor.start()
    assert not supervisor.ready("web")
    folder.write_status("web", {"pid": supervisor.children[0].pid})
    assert supervisor.ready("web")
    supervisor.stop()
