"""Seek points: decoding from one gives the frames that decoding from the beginning gives."""

from pathlib import Path

import pytest

from streamcam.errors import CorruptMediaError, SourceError
from streamcam.pipeline.stream import Sampler
from streamcam.sources.file import FileSource
from streamcam.sources.seek_points import SeekPoint
from tests.media import X264, number_of, numbered, write_video

CLOSED = {**X264, "preset": "veryfast", "g": "10", "bf": "2"}
OPEN = {**CLOSED, "x264-params": "open-gop=1:keyint=8:bframes=2:scenecut=0:b-adapt=0"}


def frames(path: Path, point: SeekPoint | None = None) -> list[tuple[int, int, float, int]]:
    source = FileSource(path)
    try:
        if point is not None:
            source.begin_at(point)
        return [
            (frame.index, frame.pts, frame.time, number_of(frame.picture))
            for frame in source.frames(Sampler(every=1))
        ]
    finally:
        source.close()


def seek_points(path: Path, *times: float) -> list[SeekPoint | None]:
    source = FileSource(path)
    try:
        return source.seek_points(times)
    finally:
        source.close()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.avi"])
def test_frames_from_a_seek_point_are_those_of_the_whole(tmp_path: Path, name: str) -> None:
    # FFmpeg does not know the order of B-frames in AVI.
    options = CLOSED if not name.endswith("avi") else {**CLOSED, "bf": "0"}
    path = write_video(tmp_path / name, numbered(60), options=options)
    whole = frames(path)
    points = seek_points(path, 0.2, 0.8, 1.19, 1.2, 9.0)
    assert points[0] is None
    assert [point.index for point in points if point] == [20, 20, 30, 50]
    for point in points:
        assert point is None or frames(path, point) == whole[point.index :]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("clip.mkv", CLOSED, r"\(matroska\) has no index of all frames"),
        ("clip.ts", CLOSED, r"\(mpegts\) has no index of all frames"),
        ("clip.mp4", {**CLOSED, "g": "600"}, "cannot be counted without decoding"),
        # Frames shown before a key frame of an open group need those of the group before it.
        ("clip.mp4", OPEN, "cannot be counted without decoding"),
    ],
)
def test_files_without_seek_points_say_why(
    tmp_path: Path, name: str, options: dict[str, str], reason: str
) -> None:
    path = write_video(tmp_path / name, numbered(60), options=options)
    with pytest.raises(SourceError, match=reason):
        seek_points(path, 1.0)


def test_gaps_in_the_timestamps_are_refused(tmp_path: Path) -> None:
    pts = [*range(30), *range(30_000, 30_030)]
    path = write_video(tmp_path / "gap.mp4", numbered(60), pts=pts, options=CLOSED)
    with pytest.raises(SourceError, match="timestamps have gaps"):
        seek_points(path, 1.0)


def test_a_file_that_changed_since_its_points_were_found_is_noticed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(60), options=CLOSED)
    (point,) = seek_points(path, 1.2)
    assert point is not None
    wrong = SeekPoint(point.index, point.pts + 1, point.dts)
    with pytest.raises(CorruptMediaError, match="leads to other frames"):
        frames(path, wrong)
