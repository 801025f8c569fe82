"""Figures of frames whose right answers are known."""

import numpy as np
import pytest

from streamcam.compare.box_matching import match_boxes
from streamcam.compare.figures import Figures, figures_of
from streamcam.compare.tally import Tally, correlation, same_grid
from streamcam.types import Detection
from tests.compare.made_results import detection, result

PERSON = detection("person", 0.9, (0, 0, 20, 20), lift=4.0)
FAR = detection("person", 0.6, (60, 0, 80, 30), lift=1.0)


def tallied(
    a: list[list[Detection]], b: list[list[Detection]], flicker: tuple[float, float] = (0.1, 0.1)
) -> Tally:
    """A tally of frames five a second; every one has the same map, B's at half the heat."""
    heat = np.random.default_rng(0).random((8, 12), dtype=np.float32)
    tally = Tally()
    for number, (one, other) in enumerate(zip(a, b, strict=True)):
        first, second = flicker if number else (None, None)
        of_a = result(number / 5, one, heat, flicker=first)
        of_b = result(number / 5, other, heat / 2, flicker=second)
        tally.add(of_a, of_b, match_boxes(one, other))
    return tally


def compared(
    a: list[list[Detection]], b: list[list[Detection]], flicker: tuple[float, float] = (0.1, 0.1)
) -> Figures:
    return figures_of(tallied(a, b, flicker))


def test_counts_and_shares_are_exact() -> None:
    figures = compared([[PERSON]] * 40, [[PERSON, FAR]] * 40)
    assert (figures.frames, figures.units) == (40, 8)
    assert (figures.boxes.a, figures.boxes.b, figures.boxes.only_b) == (40, 80, 40)
    assert figures.boxes.more is not None
    assert figures.boxes.more.mean == pytest.approx(1.0)
    assert figures.agreement.mean == pytest.approx(2 / 3)
    (person,) = figures.classes
    assert (person.name, person.a, person.b, person.both) == ("person", 40, 80, 40)
    assert {one.name: (one.a, one.b) for one in figures.sizes} == {
        "small": (40, 80),
        "medium": (0, 0),
        "large": (0, 0),
    }


def test_lift_confidence_and_offset_are_of_the_objects_that_both_find() -> None:
    moved = detection("person", 0.7, (2, 0, 22, 20), lift=1.0)
    figures = compared([[PERSON]] * 40, [[moved, FAR]] * 40, flicker=(0.1, 0.3))
    assert figures.lift is not None
    assert (figures.lift.a, figures.lift.b) == pytest.approx((4.0, 1.0))
    assert figures.lift.difference.mean == pytest.approx(-2)  # two binary powers
    assert figures.confidence is not None
    assert figures.confidence.difference.mean == pytest.approx(-0.2, abs=1e-6)
    assert figures.offset is not None
    assert [one.mean for one in figures.offset] == pytest.approx([0.1, 0, 0, 0])
    assert figures.flicker is not None
    assert (figures.flicker.a, figures.flicker.b) == pytest.approx((0.1, 0.3))
    assert figures.correlation is not None
    assert figures.correlation.mean == pytest.approx(1)
    assert figures.map_difference == pytest.approx(0.25, abs=0.03)


def test_what_is_renamed_is_told_by_pair_and_share() -> None:
    dog, cat = (detection(label, 0.8, (30, 30, 60, 60)) for label in ("dog", "cat"))
    figures = compared([[PERSON, dog]] * 30, [[PERSON, cat]] * 20 + [[PERSON, dog]] * 10)
    (renamed,) = figures.renamed
    assert (renamed.label_a, renamed.label_b, renamed.count) == ("dog", "cat", 20)
    assert renamed.share == pytest.approx(2 / 3)
    by_name = {one.name: one for one in figures.classes}
    assert by_name["dog"].renamed == (20, 0)
    assert by_name["cat"].renamed == (0, 20)


def test_the_interval_holds_the_true_share_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(40):
        found = random.random(60) < 0.5  # by B, one object a second
        a = [[PERSON]] * 300
        b = [[PERSON] if found[number // 5] else [] for number in range(300)]
        more = compared(a, b).boxes.more
        assert more is not None
        held += more.low <= -0.5 <= more.high
    assert held >= 34


def test_nothing_found_has_figures_too() -> None:
    figures = compared([[]] * 3, [[]] * 3)
    assert figures.agreement.mean == 1
    assert figures.boxes.more is None
    assert figures.lift is None
    assert figures.offset is None
    assert figures.classes == []


def test_maps_of_other_grids_are_compared() -> None:
    fine = np.kron(np.eye(4, dtype=np.float32), np.ones((2, 2), np.float32))
    coarse = np.eye(4, dtype=np.float32)
    assert correlation(same_grid(fine, coarse), coarse) == pytest.approx(1)
    assert correlation(coarse, 1 - coarse) == pytest.approx(-1)
    assert correlation(coarse, np.zeros_like(coarse)) is None
