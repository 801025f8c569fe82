"""Original pictures: exactly the frames that were explained, and errors where they are gone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.export.original_pictures import originals
from streamcam.report.results import read_records
from tests.export.explained import explain_picture, explain_video, frame_at, only_source
from tests.media import number_of, numbered, write_video
from tests.report.records import detection, record, write_segment


def test_frames_are_exactly_those_that_were_explained(tmp_path: Path) -> None:
    video = explain_video(tmp_path / "in", tmp_path / "out", count=12)
    source = only_source(tmp_path / "out")
    records = list(read_records(source.clips[0]))
    wanted = [records[9], records[2], records[11]]
    found = list(originals(source, wanted))
    assert [one["frame"] for one, _ in found] == [10, 45, 55]
    for one, original in found:
        assert number_of(original.picture) == one["frame"]
        np.testing.assert_array_equal(original.picture, frame_at(video, one["frame"]))
        assert original.file is None


def test_a_missing_source_and_one_with_other_content_are_errors(tmp_path: Path) -> None:
    video = explain_video(tmp_path / "in", tmp_path / "out")
    source = only_source(tmp_path / "out")
    records = list(read_records(source.clips[0]))
    write_video(video, numbered(8, 160, 96))
    with pytest.raises(SourceError, match=r"clip\.mp4: has other content than when"):
        list(originals(source, records))
    video.unlink()
    with pytest.raises(SourceUnavailableError, match=r"clip\.mp4: is missing"):
        list(originals(source, records))


def test_a_frame_with_another_timestamp_is_another_frame(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out")
    source = only_source(tmp_path / "out")
    records = list(read_records(source.clips[0]))
    records[1]["pts"] += 1
    assert [one["frame"] for one, _ in originals(source, records)] == [0, 10, 15, 20, 25]


def test_pictures_are_their_file_unless_they_are_turned(tmp_path: Path) -> None:
    gradient = np.zeros((40, 60, 3), np.uint8)
    gradient[..., 0] = np.arange(60) * 4
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.jpg"
    Image.fromarray(gradient).save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held at a right angle
    Image.fromarray(gradient).save(turned, exif=exif, quality=95)
    shapes = {}
    for path in (upright, turned):
        explain_picture(path, tmp_path / path.stem, detection())
        source = only_source(tmp_path / path.stem)
        ((_, original),) = originals(source, list(read_records(source.clips[0])))
        shapes[path.stem] = original.picture.shape
        assert original.file == (path if path is upright else None)
    assert shapes == {"upright": (40, 60, 3), "turned": (60, 40, 3)}


def test_recordings_of_cameras_have_no_originals(tmp_path: Path) -> None:
    write_segment(tmp_path / "yard", [record(n, detection(), live=True) for n in range(3)])
    source = only_source(tmp_path)
    with pytest.raises(SourceUnavailableError, match="yard: no picture of this camera"):
        list(originals(source, list(read_records(source.clips[0]))))
