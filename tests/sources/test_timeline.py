from fractions import Fraction

import pytest

from streamcam.sources.timeline import Timeline

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([5000, 5040], [5000, 5040]),
        ([-40, 0, 40], [-40, 0, 40]),
        ([None, None, None], [0, 40, 80]),
        ([0, 40, None, 120], [0, 40, 80, 120]),
        ([0, 40, 40, 80], [0, 40, 41, 80]),
        ([0, 40, 30, 80], [0, 40, 41, 80]),
        ([9000, 9040, 0, 40], [9000, 9040, 9080, 9120]),
        ([0, 40, 60_000, 60_040], [0, 40, 60_000, 60_040]),
    ],
)
def test_times_only_grow(given: list[int | None], expected: list[int]) -> None:
    timeline = Timeline(MS, Fraction(25))
    assert [timeline.placed(pts) for pts in given] == expected


def test_only_a_jump_back_shifts_for_good() -> None:
    timeline = Timeline(MS, None)
    for pts in (9000, 9000, 9040):
        timeline.placed(pts)
    assert not timeline.shifted
    timeline.placed(0)
    assert timeline.shifted
