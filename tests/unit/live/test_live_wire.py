# SPDX-License-Identifier: Apache-2.0
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import MediaError
from closedcircuit.live.wire import (
    FRAME_BYTES_MAX,
    MESSAGE_BYTES_MIN,
    FrameKind,
    FrameReader,
    message_frame,
    pack_frame,
    pack_sample,
    split_sample,
    web_frame,
)

frames = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=300)), max_size=12)


@given(frames, st.lists(st.integers(1, 80), min_size=1, max_size=30))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent, cuts):
    data = b"".join(pack_frame(kind, payload) for kind, payload in sent)
    reader, got, at, step = FrameReader(), [], 0, 0
    while at < len(data):
        size = cuts[step % len(cuts)]
        got += reader.feed(data[at : at + size])
        at, step = at + size, step + 1
    assert got == sent
    assert reader.held_bytes == 0


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_refused_and_never_kept_beyond_the_bound(data):
    reader = FrameReader()
    try:
        taken = sum(5 + len(payload) for _, payload in reader.feed(data))
    except MediaError:
        return
    assert taken + reader.held_bytes == len(data)


@given(st.binary(max_size=200))
def test_any_sample_payload_is_split_or_refused(payload):
    try:
        name, message = split_sample(payload)
    except MediaError:
        return
    assert len(message) >= MESSAGE_BYTES_MIN
    assert payload == struct.pack(">H", len(name)) + name.encode() + bytes(message)


def test_sample_survives():
    message = b"\x01\x01" + bytes(range(60))
    (kind, payload), *_ = FrameReader().feed(pack_sample("yard/main", message))
    assert kind == FrameKind.SAMPLE
    name, back = split_sample(payload)
    assert (name, bytes(back)) == ("yard/main", message)


def test_length_of_zero_and_one_too_long_are_refused_before_anything_is_kept():
    for length in (0, FRAME_BYTES_MAX + 1):
        reader = FrameReader()
        with pytest.raises(MediaError):
            list(reader.feed(struct.pack(">IB", length, 4)))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_web_frames_are_what_another_implementation_reads(size):
    from websockets.frames import Frame, Opcode
    from websockets.streams import StreamReader

    stream = StreamReader()
    frame = web_frame(2, b"", bytes(size))
    stream.feed_data(frame)
    with pytest.raises(StopIteration) as done:  # all of it is there, so the parser ends without asking for more
        next(Frame.parse(stream.read_exact, mask=False))
    assert done.value.value == Frame(Opcode.BINARY, bytes(size), True)
    assert stream.buffer == b""


def test_only_the_channel_of_a_message_changes():
    message = bytes(range(64))
    frame = message_frame(memoryview(message), 0xABCD)
    assert frame[2:] == message[:2] + b"\xab\xcd" + message[4:]
