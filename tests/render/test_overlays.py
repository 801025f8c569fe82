"""The legend, the time and the thumbnails."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from streamcam.render import Annotator, Style, annotate
from streamcam.render.heat import palette
from streamcam.render.layer import Overlay
from streamcam.render.overlays import footer, media_time, utc_time
from streamcam.render.style import Scale, colour_of
from streamcam.types import BoxMap, Detection, Focus, FrameResult, Picture
from tests.render.scene import GREY, cold, detection, explained, frame, plain, spot

BARE = Style(legend=False, timestamp=False)
LEFT, RIGHT = (40.0, 150.0, 140.0, 250.0), (400.0, 150.0, 500.0, 250.0)


def footer_of(width: int, height: int, age: float | None = None) -> list[Overlay]:
    return footer(frame(plain(width, height)), "eigencam", age, Style(), Scale.of(width, height))


def changed(picture: Picture) -> float:
    return float((picture != GREY).any(2).mean())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.000"), (7.2, "0:07.200"), (59.9996, "1:00.000"), (3723.004, "1:02:03.004")],
)
def test_media_time(seconds: float, text: str) -> None:
    assert media_time(seconds) == text


def test_utc_time_is_in_utc() -> None:
    moment = datetime(2025, 3, 1, 14, 0, 0, 250_999, timezone(timedelta(hours=2)))
    assert utc_time(moment) == "2025-03-01 12:00:00.250 UTC"


@pytest.mark.parametrize("size", [(320, 240), (768, 432), (608, 1080), (1920, 1080), (3840, 2160)])
def test_overlays_lie_apart_inside_the_frame_and_hide_little(size: tuple[int, int]) -> None:
    width, height = size
    overlays = footer_of(width, height, age=0.12)
    assert len(overlays) == 3
    for number, note in enumerate(overlays):
        assert note.x >= 0
        assert note.y >= height * 0.85
        assert note.right <= width
        assert note.bottom <= height
        assert not any(note.intersects(other) for other in overlays[:number])
    assert sum(n.layer.width * n.layer.height for n in overlays) < 0.07 * width * height


def test_a_held_map_moves_neither_legend_nor_time() -> None:
    without, held = footer_of(768, 432), footer_of(768, 432, age=0.12)
    assert [(n.x, n.y) for n in without] == [(n.x, n.y) for n in held[:2]]


def test_the_legend_shows_the_colours_from_low_to_high() -> None:
    style = Style(colormap="turbo", timestamp=False)
    shown = annotate(explained(plain(768, 432)), style)
    strip = shown[shown.shape[0] - 12].astype(int)
    for colour in palette("turbo")[[5, 128, 250]]:
        assert np.abs(strip - colour).sum(axis=1).min() < 25


def test_each_part_can_be_left_out() -> None:
    result = explained(plain())
    assert changed(annotate(result, Style(legend=False, timestamp=False))) == 0
    legend = changed(annotate(result, Style(timestamp=False)))
    time = changed(annotate(result, Style(legend=False)))
    assert 0 < time < legend < changed(annotate(result)) < 0.07


def test_the_time_is_told_also_before_the_first_map() -> None:
    shown = Annotator().annotate(frame(plain(), sampled=False))
    assert 0 < changed(shown) < 0.02


def test_live_frames_tell_the_hour_of_the_day() -> None:
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    live = annotate(explained(plain(), time_utc=moment), Style(legend=False))
    media = annotate(explained(plain()), Style(legend=False))
    assert changed(live) > 1.5 * changed(media)


def test_labels_leave_the_notes_alone() -> None:
    width, height = 768, 432
    bare = annotate(explained(plain(width, height)))
    low = annotate(explained(plain(width, height), detections=[detection((5, 425, 60, 432))]))
    for note in footer_of(width, height):
        where = np.s_[note.y : note.bottom, note.x : note.right]
        assert np.abs(bare[where].astype(int) - low[where]).mean() < 25


def test_an_unknown_method_is_named_without_a_meaning() -> None:
    style, scale = Style(), Scale.of(768, 432)
    known = footer(frame(plain(768, 432)), "eigencam", None, style, scale)
    unknown = footer(frame(plain(768, 432)), "otherCAM", None, style, scale)
    assert unknown[1].layer.width < known[1].layer.width


def why(of: Detection, row: int, column: int, age: float = 0.0) -> Detection:
    heat = spot(row=row, column=column)
    return replace(of, why=BoxMap("layercam", heat, Focus(0.9, 9.0, True), age))


def result(time: float = 7.2, age: float = 0.0, flicker: float | None = 0.01) -> FrameResult:
    found = [
        why(detection(LEFT), row=9, column=4, age=age),
        why(detection(RIGHT, "dog", 18, 0.7), row=9, column=22, age=age),
        detection((200, 20, 260, 90)),
    ]
    one = explained(plain(), cold(), found, time=time)
    return replace(one, explanation=replace(one.explanation, flicker=flicker))


def cells(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two thumbnails of 72 pixels, without their borders and labels."""
    gap = 2
    return tuple(  # type: ignore[return-value]
        shown[gap + 3 : gap + 50, x + 3 : x + 69].astype(int) for x in (gap, gap + 72 + gap)
    )


def test_each_explained_box_has_a_small_picture_with_its_own_heat() -> None:
    shown = annotate(result(), BARE)
    for cell in cells(shown):
        heat = np.abs(cell - 100).max(axis=2) > 60
        assert 0.005 < heat.mean() < 0.5
    assert np.array_equal(shown[2, 10], colour_of(1))
    assert np.array_equal(shown[2, 84], colour_of(18))
    assert np.all(shown[:70, 160:190] == 100), "only two boxes were explained"


def test_without_explained_boxes_there_is_no_thumbnails() -> None:
    shown = annotate(explained(plain(), cold(), [detection(LEFT)]), BARE)
    assert np.all(shown[:100] == 100)


def test_the_thumbnails_stays_with_its_age_until_the_shot_ends_or_it_is_old() -> None:
    annotator = Annotator(BARE)
    first = annotator.annotate(result())
    held = annotator.annotate(result(7.6, age=0.4))
    assert np.array_equal(cells(first)[0], cells(held)[0])
    note = np.s_[74:92, 2:400]
    assert (held[note] != first[note]).any(), "the age is shown"
    passed = annotator.annotate(frame(plain(), time=7.7, sampled=False))
    assert np.array_equal(cells(first)[1], cells(passed)[1])
    old = annotator.annotate(frame(plain(), time=13, sampled=False))
    assert np.all(cells(old)[0] == 100)
    annotator.annotate(result())
    cut = annotator.annotate(result(7.4, age=0.2, flicker=None))
    assert np.all(cells(cut)[0] == 100)


def test_boxes_at_the_edge_and_larger_than_the_frame_are_shown() -> None:
    for box in ((0.0, 0.0, 640.0, 360.0), (630.0, 350.0, 640.0, 360.0), (5.0, 5.0, 5.0, 5.0)):
        one = explained(plain(), cold(), [why(detection(box), row=2, column=2)])
        shown = annotate(one, BARE)
        assert np.array_equal(shown[2, 10], colour_of(1))


@pytest.mark.parametrize(("width", "height"), [(32, 24), (1, 1), (1, 400), (400, 1)])
def test_a_tiny_frame_is_drawn_all_the_same(width: int, height: int) -> None:
    one = explained(plain(width, height), spot(), [why(detection((0, 0, 20, 20)), 2, 2)])
    assert annotate(one).shape == (height, width, 3)
