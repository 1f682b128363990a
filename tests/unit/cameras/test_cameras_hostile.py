# SPDX-License-Identifier: Apache-2.0
"""Cameras that are broken, hostile or gone: each ends its own attempt, in bounded time and memory; then the next."""

import gc
import struct
import tracemalloc
from itertools import pairwise

import pytest

from closedcircuit.base import ManualClock, Secret, SeededIds
from closedcircuit.base.errors import NetError
from closedcircuit.cameras import Receiver
from closedcircuit.cameras.fakes import CollectingSink, made_up_frames, payload_of
from closedcircuit.media.codecs import join_lengths
from closedcircuit.model import Cause, Source


def rtp(sequence: int, payload: bytes, *, ts: int = 9, mark: bool = False) -> bytes:
    head = 0x80 << 24 | (96 | (0x80 if mark else 0)) << 16 | sequence & 0xFFFF
    return struct.pack(">BBHIII", 0x24, 0, 12 + len(payload), head, ts, 7) + payload


def test_a_byte_a_sweep_is_too_slow(stage):
    sink = stage.watch(stage.camera(trickle=True).address)
    stage.run(31)
    assert sink.ends
    assert "no answer within 10 s" in sink.ends[0][2]
    assert sink.ends[0][1] is Cause.BROKEN
    assert sink.runs == []


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_an_answer_that_never_comes(stage, method):
    sink = stage.watch(stage.camera(answers={method: ""}).address)
    stage.run(11.5)
    assert "no answer within 10 s" in sink.ends[0][2]


@pytest.mark.parametrize("method", ["accept", "OPTIONS", "DESCRIBE", "PLAY"])
def test_closing_at_once(stage, method):
    camera = stage.camera(close_at=method)
    sink = stage.watch(camera.address)
    stage.run(60)
    assert 3 <= camera.connections <= 7  # at about 0, 1, 3, 7, 15, 31 s
    assert {cause for _, cause, _ in sink.ends} == {Cause.UNREACHABLE}


def test_nothing_comes_after_play(stage):
    sink = stage.watch(stage.camera(silent_from=0).address)
    stage.run(12)
    assert sink.ends[0][1] is Cause.UNREACHABLE
    assert "no picture for" in sink.ends[0][2]


def test_a_stream_that_stops_is_frozen_then_gone_then_back(stage):
    camera = stage.camera(made_up_frames(2000), silent_from=100)
    sink = stage.watch(camera.address)
    stage.run(4)
    assert stage.health()["state"] == "live"
    stage.run(5)
    assert stage.health()["state"] == "frozen"
    assert "no picture" in stage.health()["why"]
    stage.until(lambda: stage.health()["state"] == "gone", 10)
    assert [cause for _, cause, _ in sink.ends] == [Cause.UNREACHABLE]
    camera.manners.silent_from = -1
    stage.until(lambda: stage.health()["state"] == "live", 40)
    assert stage.health()["why"] == ""
    assert stage.health()["reconnects"] >= 1


def test_a_late_stream_is_called_late(stage):
    camera = stage.camera(made_up_frames(2000))
    stage.watch(camera.address)
    stage.run(5)
    camera._visitors[0]._playing_s += 2.6  # everything comes 2.6 s later than it should
    stage.run(6)
    assert stage.health()["state"] == "late"
    assert "late" in stage.health()["why"]


def test_a_stream_that_stays_far_behind_is_begun_anew(stage):
    camera = stage.camera(made_up_frames(5000))
    sink = stage.watch(camera.address)
    stage.run(5)
    camera._visitors[0]._playing_s += 8
    stage.run(9)
    camera._visitors[0]._playing_s += 8
    stage.run(20)
    assert stage.health()["state"] == "late"
    stage.run(60)
    assert [("s late" in words, cause) for _, cause, words in sink.ends] == [(True, Cause.BROKEN)]
    assert len(sink.runs) == 2
    assert stage.health()["state"] == "live"


def test_floods_are_cut_off(stage, monkeypatch):
    monkeypatch.setattr("closedcircuit.cameras.rtspline.FLOOD_S", 1.0)
    # A gigabyte a second would be read at the rate of our cap; what comes is valid, and far too much.
    packet = b"".join(rtp(n, b"\x41\x1a" + bytes(1390)) for n in range(700))
    sink = stage.watch(stage.camera(flood=packet).address)
    stage.run(2)
    tracemalloc.start()
    stage.until(lambda: sink.ends, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sink.ends[0][1] is Cause.BROKEN
    assert "128 Mbit/s" in sink.ends[0][2] or "picture of more than 16 MiB" in sink.ends[0][2]
    assert peak < 60 << 20


def test_a_nal_unit_without_an_end(stage):
    sequence = 0

    def before(_number: int) -> bytes:
        nonlocal sequence
        pieces = []
        for _ in range(400):
            pieces.append(rtp(sequence, bytes((0x7C, (0x80 if sequence == 0 else 0) | 5)) + b"\x88" * 1400))
            sequence += 1
        return b"".join(pieces)

    camera = stage.camera(made_up_frames(1000), before=before)
    camera.frames = [type(camera.frames[0])([], frame.at) for frame in camera.frames]
    sink = stage.watch(camera.address)
    stage.until(lambda: sink.ends, 20)
    assert "16 MiB" in sink.ends[0][2]
    assert sink.ends[0][1] is Cause.BROKEN


@pytest.mark.parametrize(
    "answer",
    [
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n" + "X: y\r\n" * 2000,  # header flood
        "RTSP/1.0 200 OK\r\nX: " + "y" * 40_000,
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: 99999999",
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: -5",
        "HTTP/1.1 400 Bad Request\r\n\r\n<html>",
        "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        "\x00\x01\x02\x03\x04" * 100,
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: 4\r\n\r\n\xff\xfe",
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}",  # no description
    ],
)
def test_answers_that_are_none(stage, answer):
    sink = stage.watch(stage.camera(answers={"DESCRIBE": answer}).address)
    stage.run(1)
    assert sink.ends[0][1] is Cause.BROKEN
    assert sink.runs == []


def test_bytes_between_packets_are_skipped(stage):
    camera = stage.camera(before=lambda number: b"\x00\xff$$garbage$\x00\x00" if number % 10 == 3 else b"")
    sink = stage.watch(camera.address)
    stage.run(11)
    whole = {join_lengths(frame.nals) for frame in camera.frames}
    assert {payload_of(sample) for sample in sink.video} <= whole
    assert len(sink.video) > 150
    assert sink.losses


def test_nothing_but_garbage_ends_it(stage):
    camera = stage.camera(before=lambda _number: b"\xee" * 20_000)
    sink = stage.watch(camera.address)
    stage.run(3)
    assert "no RTSP any more" in sink.ends[0][2]


def test_requests_of_the_server_are_answered(stage):
    ask = b"OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\nSTRANGE x RTSP/1.0\r\nCSeq: 6\r\n\r\n"
    camera = stage.camera(before=lambda number: ask if number == 30 else b"")
    heard = []
    sink = stage.watch(camera.address)
    stage.run(1)
    visitor = camera._visitors[0]
    visitor._answer = heard.append
    stage.run(2)
    assert heard == ["RTSP/1.0 200 OK\r\nCSeq: 5", "RTSP/1.0 501 Not Implemented\r\nCSeq: 6"]
    assert len(sink.video) > 70


def test_keep_alive_at_half_the_timeout(stage):
    camera = stage.camera(made_up_frames(2000), timeout_s=20)
    stage.watch(camera.address)
    stage.run(45)
    assert camera.requests.count("GET_PARAMETER") == 4
    plain = stage.camera(made_up_frames(2000), timeout_s=20, public="DESCRIBE, SETUP, PLAY")
    stage.watch(plain.address, name="b")
    stage.run(45)
    assert plain.requests.count("OPTIONS") == 1 + 4


def test_a_camera_that_announces_get_parameter_and_has_none(stage):
    answers = {"GET_PARAMETER": "RTSP/1.0 501 Not Implemented\r\nCSeq: {cseq}"}
    camera = stage.camera(made_up_frames(2000), timeout_s=20, answers=answers)
    stage.watch(camera.address)
    stage.run(45)
    assert camera.requests.count("GET_PARAMETER") == 1
    assert camera.requests.count("OPTIONS") == 1 + 3


def test_a_forgotten_session_is_begun_anew(stage):
    answers = {"GET_PARAMETER": "RTSP/1.0 454 Session Not Found\r\nCSeq: {cseq}"}
    camera = stage.camera(made_up_frames(2000), timeout_s=10, answers=answers)
    sink = stage.watch(camera.address)
    stage.run(9)
    assert "forgotten our session" in sink.ends[0][2]
    assert len(sink.runs) == 2


def test_receiver_reports_are_sent(stage):
    camera = stage.camera(made_up_frames(3000), needs_reports=True)
    sink = stage.watch(camera.address)
    stage.run(70)
    assert sink.ends == []


# ---------------------------------------------------------------------------------------------------- coming back


def test_back_off_doubles_to_thirty_seconds_and_never_ends(stage):
    camera = stage.camera(close_at="accept")
    sink = stage.watch(camera.address)
    stage.run(600)
    times = [at_90k / 90_000 for at_90k, _, _ in sink.ends]
    waits = [after - before for before, after in pairwise(times)]
    assert all(0.7 * 2**n < wait < 1.35 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(22 < wait < 38.5 for wait in waits[5:])
    assert len(set(waits[5:])) > 3  # jitter
    assert len(waits) > 15


def test_a_minute_of_good_running_forgets_the_failures(stage):
    camera = stage.camera(made_up_frames(10_000), close_at="accept")
    sink = stage.watch(camera.address)
    stage.run(60)
    camera.manners.close_at = ""
    stage.until(lambda: sink.runs, 60)
    stage.run(65)
    sink.ends.clear()
    camera.hang_up()
    stage.until(lambda: len(sink.runs) == 2, 3)
    assert len(sink.ends) == 1


def test_many_cameras_do_not_storm(stage):
    camera = stage.camera(made_up_frames(100))
    for number in range(100):
        stage.watch(camera.address, name=f"c{number}")
    stage.receiver.sweep()
    camera.sweep()
    assert camera.connections <= 10
    stage.run(2)
    assert camera.connections == 100
    camera.hang_up()
    before = camera.connections
    stage.run(0.7)
    assert camera.connections == before  # jittered: the first comes back after three quarters of a second
    stage.run(2)
    assert camera.connections >= before + 100


def test_one_cameras_fault_is_not_the_others(stage):
    good = stage.camera()

    class Broken(CollectingSink):
        def sample(self, sample):
            raise RuntimeError("a bug")

    first = stage.watch(good.address)
    second = Broken()
    stage.receiver.add(("bad", "main"), Source(address=good.address), "", Secret(""), second)
    stage.run(4)
    assert len(first.video) > 80
    assert "a fault of ours" in second.ends[0][2]


class DeadConnection:
    """A connection that opens, says nothing useful and breaks."""

    is_open, is_tls, unsent = True, False, 0

    def progress(self):
        return True

    def send(self, data):
        return True

    def flush(self):
        return True

    def recv_into(self, view):
        raise NetError("fake: it broke the connection off")

    def close(self):
        pass


def test_memory_after_thousands_of_outages_is_where_it_began(monkeypatch):
    monkeypatch.setattr("closedcircuit.cameras.rtspline.dial", lambda *_args, **_more: DeadConnection())

    class Counting:
        ends = 0

        def ended(self, at_90k, cause, detail):
            Counting.ends += 1

    clock, ids = ManualClock(), SeededIds()
    receiver = Receiver(clock, ids)
    for number in range(50):
        receiver.add((f"c{number}", "main"), Source(address="rtsp://10.0.0.1/x"), "u", Secret("p"), Counting())

    def outage(seconds: float) -> None:
        end = clock.monotonic_s() + seconds
        while clock.monotonic_s() < end:
            receiver.sweep()
            clock.advance(0.5)

    outage(600)
    gc.collect()
    tracemalloc.start()
    outage(60)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    count = Counting.ends
    outage(3600)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert Counting.ends - count > 5000
    assert after - before < 20_000  # bytes, for fifty cameras


def test_memory_after_many_real_reconnects_is_flat(stage):
    camera = stage.camera(made_up_frames(60, size=500))
    sink = stage.watch(camera.address)

    def again(times: int) -> None:
        for _ in range(times):
            stage.until(lambda: stage.health()["state"] == "live" and sink.video, 40)
            camera.hang_up()
            stage.run(0.2)
            for kept in (sink.samples, sink.runs, sink.ends, sink.losses, sink.calls, camera.requests):
                kept.clear()

    again(10)
    gc.collect()
    tracemalloc.start()
    again(5)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    again(20)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 50_000
