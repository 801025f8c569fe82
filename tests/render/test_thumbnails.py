from dataclasses import replace

import numpy as np

from streamcam.render import Annotator, Style, annotate
from streamcam.render.palette import colour_of
from streamcam.types import BoxMap, Detection, Focus, FrameResult
from tests.render.scene import cold, detection, explained, frame, plain, spot

BARE = Style(legend=False, timestamp=False)
LEFT, RIGHT = (40.0, 150.0, 140.0, 250.0), (400.0, 150.0, 500.0, 250.0)


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
    """The strip's two small pictures of 72 pixels, without their borders and labels."""
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


def test_without_explained_boxes_there_is_no_strip() -> None:
    shown = annotate(explained(plain(), cold(), [detection(LEFT)]), BARE)
    assert np.all(shown[:100] == 100)


def test_the_strip_stays_with_its_age_until_the_shot_ends_or_it_is_old() -> None:
    annotator = Annotator(BARE)
    first = annotator.annotate(result())
    held = annotator.annotate(result(7.6, age=0.4))
    assert np.array_equal(cells(first)[0], cells(held)[0])
    note = np.s_[74:92, 2:400]
    assert (held[note] != first[note]).any(), "the age is told"
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


def test_a_tiny_frame_is_drawn_all_the_same() -> None:
    one = explained(plain(32, 24), cold(), [why(detection((2, 2, 20, 20)), row=2, column=2)])
    assert annotate(one).shape == (24, 32, 3)
