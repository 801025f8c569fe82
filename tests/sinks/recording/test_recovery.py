import logging
from pathlib import Path

import pytest

from streamcam.sinks.recording.fragmented_mp4 import read_layout
from streamcam.sinks.recording.recorder import RecordingSettings, SegmentRecorder
from streamcam.sinks.recording.segments import recover
from tests.sinks.live import decoded, live, record, written
from tests.sinks.recording.test_recorder import ONE_THREAD, files, steady

HOUR = "2025-03-01/11"


def left_behind(folder: Path, count: int = 8, *, video: bool = True) -> tuple[bytes, bytes]:
    """Leave a running segment as a killed process does; return its video and its records."""
    sink = SegmentRecorder(folder, RecordingSettings(video=video, encoder=ONE_THREAD))
    for result in steady(count):
        record(sink, result)
    parts = [folder / HOUR / f"59-58.{ending}.part" for ending in ("mp4", "jsonl")]
    moving, lines = (part.read_bytes() if part.exists() else b"" for part in parts)
    sink.abort()
    for path in (folder / HOUR).iterdir():
        path.unlink()
    for part, content in zip(parts, (moving, lines), strict=True):
        if content:
            part.write_bytes(content)
    return moving, lines


def test_what_was_left_behind_becomes_a_segment(tmp_path: Path) -> None:
    left_behind(tmp_path)
    hour = tmp_path / HOUR
    assert recover(tmp_path) == [hour / "59-58.jsonl", hour / "59-58.mp4"]
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(7)]
    assert recover(tmp_path) == []
    assert len(files(tmp_path)) == 2


def test_at_whatever_byte_it_was_torn(tmp_path: Path) -> None:
    moving, lines = left_behind(tmp_path)
    counts = set()
    for cut in range(len(moving), 0, -37):
        part = tmp_path / HOUR / "59-58.mp4.part"
        part.write_bytes(moving[:cut])
        part.with_name("59-58.jsonl.part").write_bytes(lines)
        recovered = recover(tmp_path)
        if recovered:
            (segment,) = written(tmp_path)
            counts.add(len(segment.frames))
        else:
            assert files(tmp_path) == []
            counts.add(0)
        for path in recovered:
            path.unlink()
    assert counts == {*range(8)}


@pytest.mark.parametrize("torn", [1, 100, 700])
def test_a_torn_line_goes_and_its_frame_with_it(tmp_path: Path, torn: int) -> None:
    _, lines = left_behind(tmp_path)
    (tmp_path / HOUR / "59-58.jsonl.part").write_bytes(lines[:-torn])
    recover(tmp_path)
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(lines[:-torn].count(b"\n"))][:7]


def test_a_tail_of_zeros_as_a_power_cut_leaves_it(tmp_path: Path) -> None:
    moving, lines = left_behind(tmp_path)
    part = tmp_path / HOUR / "59-58.mp4.part"
    part.write_bytes(moving + bytes(5000))
    part.with_name("59-58.jsonl.part").write_bytes(lines + bytes(500))
    recover(tmp_path)
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(7)]


def test_killed_between_completing_and_renaming(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, RecordingSettings(encoder=ONE_THREAD))
    record(sink, *steady(5))
    sink.finish()
    for ending in ("jsonl", "mp4"):
        path = tmp_path / HOUR / f"59-58.{ending}"
        path.rename(path.with_name(path.name + ".part"))
    recover(tmp_path)
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(5)]
    assert read_layout(tmp_path / HOUR / "59-58.mp4").complete


def test_killed_between_the_two_renames(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, RecordingSettings(encoder=ONE_THREAD))
    record(sink, *steady(5))
    sink.finish()
    video = tmp_path / HOUR / "59-58.mp4"
    video.rename(video.with_name("59-58.mp4.part"))
    assert recover(tmp_path) == [video]
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(5)]


def test_records_without_a_video_are_recovered_alone(tmp_path: Path) -> None:
    _, lines = left_behind(tmp_path, video=False)
    part = tmp_path / HOUR / "59-58.jsonl.part"
    part.write_bytes(lines + b'{"source": "do')
    assert recover(tmp_path) == [tmp_path / HOUR / "59-58.jsonl"]
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(8)]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    moving, _ = left_behind(tmp_path / "elsewhere")
    others = [
        "2025-03-01/11/59-58.mkv.part",
        "2025-03-01/11/59-61.mp4.part",
        "2025-03-01/11/59-58-1.mp4.part",
        "2025-03-01/11/59-58-02.mp4.part",
        "2025-03-01/11/59-58.mp4",
        "2025-03-01/11/ 59-58.mp4.part",
        "2025-03-01/11/deep/59-58.mp4.part",
        "2025-03-01/24/59-58.mp4.part",
        "2025-02-30/11/59-58.mp4.part",
        "2025-03-01/59-58.mp4.part",
        "59-58.mp4.part",
        "clip.heatmap.mp4.part",
    ]
    camera = tmp_path / "door"
    for name in others:
        path = camera / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(moving)
    (camera / "2025-03-02").symlink_to(tmp_path / "elsewhere/2025-03-01")
    (camera / HOUR / "00-00.mp4.part").symlink_to(tmp_path / "elsewhere" / HOUR / "59-58.mp4.part")
    before = files(tmp_path)
    assert recover(camera) == []
    assert files(tmp_path) == before
    assert all((camera / name).read_bytes() == moving for name in others)


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left_behind(tmp_path)
    taken = tmp_path / HOUR / "59-58.jsonl"
    taken.write_bytes(b"not ours")
    with caplog.at_level(logging.WARNING):
        assert recover(tmp_path) == []
    assert "another file of this name; it is left" in caplog.text
    assert taken.read_bytes() == b"not ours"
    assert (tmp_path / HOUR / "59-58.mp4.part").exists()


def test_a_folder_that_is_not_there_needs_no_recovery(tmp_path: Path) -> None:
    assert recover(tmp_path / "door") == []
    assert not (tmp_path / "door").exists()


def test_recording_goes_on_beside_what_was_left_behind(tmp_path: Path) -> None:
    left_behind(tmp_path)
    sink = SegmentRecorder(tmp_path, RecordingSettings(encoder=ONE_THREAD))
    record(sink, live(0, 0.0))
    sink.finish()
    recover(tmp_path)
    assert {segment.stem: len(segment.frames) for segment in written(tmp_path)} == {
        f"{HOUR}/59-58": 7,
        f"{HOUR}/59-58-2": 1,
    }
    assert len(decoded(tmp_path / HOUR / "59-58-2.mp4")) == 1
