"""Intervals hold the truth as often as they say."""

import numpy as np
import pytest

from streamcam.audit.bootstrap import Bootstrap, Interval, interval


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    draw = np.random.default_rng(2)
    held = 0
    for _ in range(60):
        values = draw.normal(1.0, 0.5, (40, 1))
        found = interval(float(values.mean()), Bootstrap(40).sums(values)[:, 0] / 40)
        held += found.low <= 1.0 <= found.high
    assert held >= 52


def test_sums_are_of_as_many_units_as_there_are_and_the_same_every_time() -> None:
    ones = np.ones((7, 2))
    sums = Bootstrap(7, seed=3).sums(ones)
    assert sums.shape == (2000, 2)
    assert (sums == 7).all()
    values = np.arange(7.0)[:, None]
    assert np.array_equal(Bootstrap(7, 3).sums(values), Bootstrap(7, 3).sums(values))
    assert not np.array_equal(Bootstrap(7, 3).sums(values), Bootstrap(7, 4).sums(values))


def test_what_has_no_value_in_a_resample_is_left_out() -> None:
    found = interval(2.0, np.array([1.0, np.nan, 3.0]))
    assert (found.low, found.high) == pytest.approx((1.05, 2.95))
    unknown = interval(2.0, np.array([np.nan]))
    assert (unknown.low, unknown.high, unknown.side) == (-np.inf, np.inf, 0)


@pytest.mark.parametrize(("low", "high", "side"), [(0.1, 1, 1), (-1, -0.1, -1), (-1, 1, 0)])
def test_the_side_of_zero(low: float, high: float, side: int) -> None:
    assert Interval((low + high) / 2, low, high).side == side
