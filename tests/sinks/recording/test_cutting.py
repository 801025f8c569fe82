"""Clips that are cut out of segments: their frames, times, bytes and records."""

import itertools
from datetime import datetime, timedelta
from pathlib import Path

import av
import pytest

from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.recording.cutting import EventClip, cut, is_recorded_until
from streamcam.sinks.recording.recorder import RecordingSettings, SegmentRecorder
from streamcam.types import FrameResult
from tests.media import number_of
from tests.sinks.live import NUMBERS, START, decoded, live, record, written

ENCODER = EncoderSettings(encoder="libx264", threads=1)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_recording(folder: Path, results: list[FrameResult], segment: float = 4.0) -> None:
    recorder = SegmentRecorder(folder, RecordingSettings(segment=segment, encoder=ENCODER))
    record(recorder, *results)
    recorder.finish()


def clip_of(folder: Path, begin: float, end: float) -> EventClip | None:
    path = folder.parent / "clip.mp4"
    return cut(folder, after(begin), after(end), path, path.with_suffix(".jsonl"))


def shown_in(folder: Path) -> tuple[list[int], list[float]]:
    """Return the numbers of the frames that a clip shows, and their times."""
    frames = decoded(folder.parent / "clip.mp4")
    numbers = [number_of(frame.to_ndarray(format="rgb24")) for frame in frames]
    return numbers, [frame.time or 0.0 for frame in frames]


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_clip_is_the_recordings_own_frames_from_the_key_frame_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    make_recording(folder, [live(n, n / 5) for n in range(50)], segment=60)
    made = clip_of(folder, 2.5, 6.1)
    numbers, times = shown_in(folder)
    assert numbers == [*range(10, 31)], "a key frame comes every second"
    assert times == pytest.approx([n / 5 for n in range(21)], abs=1e-3)
    assert made == EventClip(after(2.0), after(6.0), 21)
    (segment,) = folder.rglob("*.mp4")
    assert packets_of(tmp_path / "clip.mp4") == packets_of(segment)[10:31], "encoded once"


def test_its_records_are_those_of_its_frames(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    make_recording(folder, [live(n, n / 5) for n in range(50)])
    clip_of(folder, 3.0, 7.0)
    lines = (tmp_path / "clip.jsonl").read_bytes().splitlines(keepends=True)
    own = b"".join(p.read_bytes() for p in sorted(folder.rglob("*.jsonl"))).splitlines(True)
    assert lines == own[15:36]


def test_a_clip_goes_on_across_segments_and_hours(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    make_recording(folder, [live(n, n / 5) for n in range(60)], segment=2)
    assert len(written(folder)) == 6
    made = clip_of(folder, 1.0, 9.0)
    numbers, times = shown_in(folder)
    assert numbers == [*range(5, 46)]
    assert times == pytest.approx([n / 5 for n in range(41)], abs=2e-3)
    assert made is not None
    assert (made.begin, made.end) == (after(1.0), after(9.0))


def test_a_gap_in_the_recording_is_shortened(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    before = [live(n, n / 5) for n in range(10)]
    later = [live(n, 60 + n / 5, reconnected=n == 10) for n in range(10, 20)]
    make_recording(folder, before + later, segment=600)
    clip_of(folder, 0.0, 100.0)
    numbers, times = shown_in(folder)
    assert numbers == [*range(20)]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert steps == pytest.approx([0.2] * 9 + [1.0] + [0.2] * 9, abs=2e-3)


def test_nothing_recorded_is_no_clip(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    assert clip_of(folder, 0, 10) is None
    make_recording(folder, [live(n, n / 5) for n in range(10)])
    assert clip_of(folder, 60, 70) is None
    assert not list(tmp_path.glob("clip*"))


def test_frames_of_another_size_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    recorder = SegmentRecorder(folder, RecordingSettings(encoder=ENCODER))
    record(recorder, *(live(n, n / 5) for n in range(10)))
    record(recorder, *(live(n, n / 5) for n in range(10, 20)), size=(96, 64))
    recorder.finish()
    made = clip_of(folder, 0, 10)
    assert made is not None
    assert made.frames == 10
    assert shown_in(folder)[0] == [n % NUMBERS for n in range(10)]


@pytest.mark.parametrize(("seconds", "there"), [(1.0, True), (5.8, True), (6.0, False)])
def test_until_when_there_are_recordings(tmp_path: Path, seconds: float, there: bool) -> None:
    make_recording(tmp_path / "door", [live(n, n / 5) for n in range(30)])
    assert is_recorded_until(tmp_path / "door", after(seconds)) == there


def test_what_comes_after_a_gap_is_recorded_later(tmp_path: Path) -> None:
    """After a restart the recording up to the kill is all that there will be."""
    for first in (0, 300):
        make_recording(tmp_path / "door", [live(n, n / 5) for n in range(first, first + 10)])
    assert is_recorded_until(tmp_path / "door", after(30))
    assert not is_recorded_until(tmp_path / "door", after(90))


def test_without_recordings_nothing_is_recorded(tmp_path: Path) -> None:
    assert not is_recorded_until(tmp_path, after(0))
