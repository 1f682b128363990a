# SPDX-License-Identifier: Apache-2.0
"""Ordinary MP4 files, read back by FFmpeg (PyAV)."""

from __future__ import annotations

import io
import tracemalloc

import av
import msgspec
import pytest

from closedcircuit.base.errors import Unsupported
from closedcircuit.media.mp4 import ClearSample, FragmentWriter, InitInfo, Mp4File, open_fragment
from material.boxes import AUDIO, VIDEO
from material.clips import clip


def segments(material, cuts):
    """A clip as the opened samples of segments that begin at the key frames `cuts` (indices of video samples)."""
    keys = [sample for sample in material.video if sample.key]
    init = InitInfo(tracks=material.tracks, kid=None, header=b"", size=0)
    groups, current = [], []
    for sample in material.samples:
        if any(sample is keys[cut] for cut in cuts) and current:
            groups.append(current)
            current = []
        current.append(sample)
    groups.append(current)
    zero = min(sample.pts for sample in material.video)
    for group in groups:
        writer = FragmentWriter(material.tracks, (None,) * len(material.tracks))
        begins = min(sample.pts for sample in group if sample.track == 1)
        buffers, _ = writer.write(group, 0)
        yield begins - zero, open_fragment(b"".join(buffers), init, None)


def read_back(data):
    packets = {}
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux():
            if packet.size:
                packets.setdefault(packet.stream.type, []).append((packet.pts, bytes(packet)))
        return packets, dict(container.metadata), [stream.duration for stream in container.streams]


def written(material, cuts=(), comment=""):
    file = io.BytesIO()
    with Mp4File(file, comment=comment) as out:
        for at, samples in segments(material, cuts):
            out.write(material.tracks, samples, at)
    return file.getvalue()


@pytest.mark.parametrize(
    ("video", "audio", "b_frames"), [("h264", "aac", 0), ("h265", "opus", 3), ("h264", "flac", 2), ("h264", None, 0)]
)
def test_several_segments_become_one_file(video, audio, b_frames):
    material = clip(video, audio, b_frames=b_frames)
    packets, tags, lengths = read_back(written(material, cuts=(1, 3), comment="Front door, 21 November"))
    zero = min(sample.pts for sample in material.video)
    assert packets["video"] == [(s.pts - zero, b"".join(s.parts)) for s in material.video]
    assert tags["comment"] == "Front door, 21 November"
    assert lengths[0] == 100 * 3600
    if audio:
        assert [data for _, data in packets["audio"]] == [b"".join(s.parts) for s in material.audio]
        begins = zero * 48_000 // 90_000
        starts = [at * 48_000 // 90_000 for at, _ in segments(material, (1, 3))]
        for sample, (pts, _) in zip(material.audio, packets["audio"], strict=True):
            # Sound that is older than its segment's first picture is moved to that picture; all else is exact.
            time = sample.pts - begins
            assert pts == time or any(time <= start <= pts < start + 10 for start in starts)
    with av.open(io.BytesIO(written(material, cuts=(1,)))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 100


def tiny(track, dts, size=10, *, key=True, duration=3600):
    return ClearSample(track, dts, dts, duration, key, memoryview(bytes(size)))


def test_sound_that_begins_later_is_delayed():
    material = clip("h264", "flac")
    file = io.BytesIO()
    with Mp4File(file) as out:
        for at, samples in segments(material, ()):
            late = [s for s in samples if s.track == 1 or s.dts >= 48_000]
            out.write(material.tracks, late, at + 5 * 90_000)
    packets, _, _ = read_back(file.getvalue())
    first = next(s.pts for s in material.audio if s.pts - 7 * 48_000 >= 48_000) - 7 * 48_000
    assert packets["video"][0][0] == 0  # a file begins at its beginning, whatever the clock said
    assert packets["audio"][0][0] == first


def test_a_gap_is_a_long_picture():
    file = io.BytesIO()
    with Mp4File(file) as out:
        out.write((VIDEO,), [tiny(1, 0), tiny(1, 3600)], 0)
        out.write((VIDEO,), [tiny(1, 0)], 90_000)
    packets, _, lengths = read_back(file.getvalue())
    assert [pts for pts, _ in packets["video"]] == [0, 3600, 90_000]
    assert lengths == [93_600]


def test_segments_that_overlap_by_a_little_stay_in_order():
    file = io.BytesIO()
    with Mp4File(file) as out:
        out.write((VIDEO,), [tiny(1, 0), tiny(1, 3600)], 0)
        out.write((VIDEO,), [tiny(1, 0), tiny(1, 3600)], 3000)
    packets, _, _ = read_back(file.getvalue())
    assert [pts for pts, _ in packets["video"]] == [0, 3600, 3601, 6600]


def test_a_new_size_is_a_second_sample_entry():
    small, large = clip("h264", None, frames=25), clip("h264", None, frames=25, size=(640, 360))
    file = io.BytesIO()
    with Mp4File(file) as out:
        for number, material in enumerate((small, large, small)):
            for at, samples in segments(material, ()):
                out.write(material.tracks, samples, number * 90_000 + at)
    assert file.getvalue().count(b"avcC") == 2
    with av.open(io.BytesIO(file.getvalue())) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(320, 180)] * 25 + [(640, 360)] * 25 + [(320, 180)] * 25


def test_another_codec_needs_another_file_and_nothing_is_written():
    file = io.BytesIO()
    out = Mp4File(file)
    out.write((VIDEO, AUDIO), [tiny(1, 0), tiny(2, 0)], 0)
    size = len(file.getvalue())
    for tracks, samples in (
        ((msgspec.structs.replace(VIDEO, codec="h265"),), [tiny(1, 0)]),
        ((VIDEO, msgspec.structs.replace(AUDIO, timescale=8000)), [tiny(1, 0), tiny(2, 0)]),
        ((VIDEO,), [tiny(1, 13 * 3600 * 90_000)]),
    ):
        with pytest.raises(Unsupported) as caught:
            out.write(tracks, samples, 3600)
        assert "new file" in caught.value.remedy
        assert len(file.getvalue()) == size
    out.close()
    assert len(read_back(file.getvalue())[0]["video"]) == 1


def test_an_empty_file_is_refused():
    with pytest.raises(Unsupported):
        Mp4File(io.BytesIO()).close()


def test_large_files_have_64_bit_places():
    file = io.BytesIO()
    out = Mp4File(file)
    out.write((VIDEO,), [tiny(1, 0)], 0)
    out._at += 1 << 33  # as if eight gigabytes had been written
    out.write((VIDEO,), [tiny(1, 3600)], 0)
    out.close()
    data = file.getvalue()
    place = data.index(b"co64") + 8
    assert int.from_bytes(data[place : place + 4], "big") == 2
    assert int.from_bytes(data[place + 12 : place + 20], "big") > 1 << 33
    assert b"stco" not in data


def test_memory_stays_flat(tmp_path):
    track, big = (VIDEO,), bytes(200_000)
    with (tmp_path / "long.mp4").open("wb") as file, Mp4File(file) as out:
        tracemalloc.start()
        for number in range(150):
            samples = [ClearSample(1, n * 3600, n * 3600, 3600, n == 0, memoryview(big)) for n in range(2)]
            out.write(track, samples, number * 7200)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (tmp_path / "long.mp4").stat().st_size > 60_000_000
    assert peak < 3_000_000
