from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.errors import SinkError
from streamcam.sinks.stills import StillSink
from streamcam.types import Picture
from tests.sinks.items import PERSON, explained, frame, picture


def read(path: Path) -> Picture:
    return cv2.imread(str(path))[:, :, ::-1]  # type: ignore[index,return-value]


def test_the_picture_keeps_its_size_and_colours(tmp_path: Path) -> None:
    shown = np.zeros((75, 101, 3), np.uint8)
    shown[:, 50:] = (200, 30, 40)
    sink = StillSink(tmp_path / "x.heatmap.jpg")
    sink.write(explained(frame(0)), shown)
    written = read(sink.finish())
    assert written.shape == shown.shape
    # Full colour resolution: also beside the edge the colours are right.
    assert np.abs(written.astype(int) - shown).max() < 25
    assert np.abs(written.astype(int) - shown).mean() < 1


def test_of_many_frames_the_one_that_shows_most_is_kept(tmp_path: Path) -> None:
    sink = StillSink(tmp_path / "x.heatmap.jpg")
    sure, unsure = replace(PERSON, confidence=0.9), replace(PERSON, confidence=0.5)
    for index, found in enumerate([[], [unsure], [sure, unsure], [unsure, sure], [sure]]):
        sink.write(explained(frame(index), found), picture(index))
    sink.write(frame(9, sampled=False), picture(9))
    np.testing.assert_allclose(read(sink.finish())[5, 5], picture(2)[5, 5], atol=3)


def test_a_picture_beyond_what_jpeg_can_hold_is_a_clear_error(tmp_path: Path) -> None:
    sink = StillSink(tmp_path / "x.heatmap.jpg")
    sink.write(explained(frame(0)), np.zeros((1, 70_000, 3), np.uint8))
    with pytest.raises(SinkError, match=r"x\.heatmap\.jpg"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []
