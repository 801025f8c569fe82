"""Which boxes are the same object."""

import pytest

from streamcam.compare.box_matching import FoundBy, match_boxes
from tests.compare.made_results import detection


def test_each_object_is_both_other_class_or_of_one_only() -> None:
    a = [
        detection("person", 0.9, (0, 0, 10, 20)),
        detection("dog", 0.8, (20, 0, 40, 20)),
        detection("car", 0.7, (50, 0, 60, 10)),
    ]
    b = [
        detection("Person", 0.6, (1, 0, 11, 20)),
        detection("cat", 0.9, (20, 0, 40, 20)),
        detection("car", 0.5, (56, 0, 66, 10)),
    ]
    matched = match_boxes(a, b)
    assert matched.both == [(a[0], b[0])]
    assert matched.other_class == [(a[1], b[1])]
    assert matched.only_a == [a[2]]
    assert matched.only_b == [b[2]]
    assert matched.agreement == pytest.approx(2 / 6)
    assert matched.disagreement == pytest.approx(0.9 + 0.7 + 0.5)
    assert (b[1], FoundBy.OTHER_CLASS) in matched.of_b()
    assert len(matched.of_a()) == len(a)


def test_the_assignment_is_the_best_as_a_whole() -> None:
    """The first box overlaps both others; taking the better one would leave the second alone."""
    a = [detection("car", 0.9, (0, 0, 100, 100)), detection("car", 0.8, (0, 0, 100, 60))]
    b = [detection("car", 0.9, (0, 0, 100, 80)), detection("car", 0.8, (0, 0, 100, 130))]
    matched = match_boxes(a, b)
    assert matched.both == [(a[0], b[1]), (a[1], b[0])]


def test_a_box_of_the_same_class_is_preferred_to_one_that_overlaps_more() -> None:
    a = [detection("dog", 0.9, (0, 0, 10, 10))]
    b = [detection("cat", 0.9, (0, 0, 10, 10)), detection("dog", 0.6, (0, 0, 10, 8))]
    matched = match_boxes(a, b)
    assert matched.both == [(a[0], b[1])]
    assert matched.only_b == [b[0]]
    assert not matched.other_class


def test_nothing_found_is_agreement() -> None:
    assert match_boxes([], []).agreement == 1
    assert match_boxes([], [detection("dog", 0.5, (0, 0, 1, 1))]).agreement == 0
