import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.errors import SinkError
from streamcam.sinks.pictures import LONGEST_SIDE, Preview, PreviewSink, StillSink
from streamcam.types import FrameResult, Picture
from tests.clocks import ManualClock
from tests.media import flat
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


COLOURS = ([200, 40, 40], [40, 200, 40], [40, 40, 200])


def bare(result: FrameResult) -> Picture:
    return result.frame.picture


def of_colour(index: int, size: tuple[int, int] = (64, 48)) -> FrameResult:
    return explained(frame(index, shown=flat(*size, COLOURS[index % 3])))


def mean(preview: Preview | None) -> list[float]:
    assert preview is not None
    decoded = cv2.imdecode(np.frombuffer(preview.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    return list(decoded.mean((0, 1)))


def test_nothing_is_drawn_or_encoded_unless_somebody_looks() -> None:
    drawn: list[int] = []
    sink = PreviewSink(lambda result: (drawn.append(result.frame.index), bare(result))[1])
    for index in range(20):
        sink.write(of_colour(index))
    assert (drawn, sink.encodings) == ([], 0)
    sink.preview()
    assert (drawn, sink.encodings) == ([19], 1)


def test_who_looks_sees_the_newest_picture_and_none_of_those_before() -> None:
    sink = PreviewSink(bare)
    assert sink.preview() is None
    for index in range(3):
        sink.write(of_colour(index))
    first = sink.preview()
    np.testing.assert_allclose(mean(first), COLOURS[2], atol=4)
    sink.write(of_colour(1))
    second = sink.preview()
    np.testing.assert_allclose(mean(second), COLOURS[1], atol=4)
    assert first is not None
    assert second is not None
    assert (first.number, second.number, sink.encodings) == (3, 4, 2)


def test_many_who_look_share_one_encoding() -> None:
    sink = PreviewSink(bare)
    sink.write(of_colour(0, (640, 480)))
    seen: list[Preview | None] = []
    threads = [threading.Thread(target=lambda: seen.append(sink.preview())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len({id(preview) for preview in seen}) == 1
    assert sink.encodings == 1


def test_a_picture_that_was_drawn_anyway_is_shown_as_it_is() -> None:
    def never(_: FrameResult) -> Picture:
        raise AssertionError("drawn twice")

    sink = PreviewSink(never)
    sink.write(of_colour(0), flat(64, 48, [250, 250, 10]))
    np.testing.assert_allclose(mean(sink.preview()), [250, 250, 10], atol=4)


def test_frames_that_only_passed_show_nothing() -> None:
    sink = PreviewSink(bare)
    sink.write(frame(0), flat(64, 48, [1, 2, 3]))
    assert sink.latest is None


def test_large_pictures_are_made_smaller_in_their_shape() -> None:
    sink = PreviewSink(bare)
    sink.write(of_colour(0, (2560, 640)))
    preview = sink.preview()
    assert preview is not None
    decoded = cv2.imdecode(np.frombuffer(preview.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (320, LONGEST_SIDE, 3)
    np.testing.assert_allclose(mean(preview), COLOURS[0], atol=4)


def test_it_tells_when_a_picture_came() -> None:
    clock = ManualClock(100.0)
    sink = PreviewSink(bare, clock)
    sink.write(of_colour(0))
    clock.now += 7
    preview = sink.preview()
    assert preview is not None
    assert preview.since == 100.0
