"""Deviations, medians, bounds and change points with known answers."""

import math

import numpy as np
import pytest
from scipy import stats

from streamcam.drift.readings import Window
from streamcam.drift.scoring import Bound, Deviations, Quantiles, change_point, scores


def test_deviations_of_normal_values_are_in_standard_deviations() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 20_000)
    spread = Quantiles.of(values)
    assert spread.deviation("anything", 9.0) == pytest.approx(2.0, abs=0.1)
    assert spread.deviation("anything", 5.0) == pytest.approx(0.0, abs=0.1)


def test_a_measure_without_any_spread_has_the_least_scale() -> None:
    spread = Quantiles.of(np.zeros(50))
    assert spread.deviation("count:person", 0.05) == pytest.approx(1.0)
    assert spread.deviation("count:person", 50.0) == 20.0


def test_the_threshold_is_exceeded_as_often_as_is_asked_for() -> None:
    """A prediction bound holds on average over baselines, however few blocks they have."""
    rng = np.random.default_rng(2)
    for blocks in (4, 14):
        exceeded = 0
        for _ in range(4000):
            known, new = np.exp(rng.normal(1.0, 0.3, blocks)), math.exp(rng.normal(1.0, 0.3))
            exceeded += new > Bound.of(known.tolist()).threshold(0.05)
        assert exceeded / 4000 == pytest.approx(0.05, abs=0.015)


def test_the_threshold_is_students() -> None:
    bound = Bound(5, 0.5, 0.2)
    t = stats.t.ppf(0.99, 4)
    assert bound.threshold(0.01) == pytest.approx(math.exp(0.5 + t * 0.2 * math.sqrt(1.2)))


def _successive(values: list[float], *, gap: float = 0.0) -> Deviations:
    found = Deviations(["flicker", "lift"], 600.0)
    for place, value in enumerate(values):
        begin = place * 600.0 + (gap if place == len(values) - 1 else 0.0)
        found.add(Window(begin, 10, {}, None), {"flicker": value})
    return found


def test_one_odd_window_of_three_does_not_count() -> None:
    assert _successive([0.0, 0.0, 9.0]).medians(3, 3) == {"flicker": 0.0}
    assert _successive([0.0, 8.0, 9.0]).medians(3, 3) == {"flicker": 8.0}
    assert _successive([-9.0, 0.0, 9.0]).medians(3, 3) == {"flicker": 0.0}


def test_medians_need_enough_windows_without_a_gap() -> None:
    assert _successive([5.0, 5.0]).medians(3, 3) == {}
    assert _successive([5.0, 5.0, 5.0], gap=86400.0).medians(3, 3) == {}
    assert _successive([1.0, 2.0, 3.0, 4.0]).medians(6, 3) == {"flicker": 2.5}


def test_scores_are_in_units_of_what_is_usual() -> None:
    assert scores({"a": -3.0, "b": 1.0}, {"a": 1.5}) == {"a": -2.0}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_change_point_is_found(sign: int) -> None:
    values = np.random.default_rng(3).normal(size=200)
    values[150:] += 3.0 * sign
    assert abs(change_point(sign * np.abs(sign) * values) - 150) <= 2


def test_a_change_that_has_just_begun_is_found() -> None:
    values = np.zeros(40)
    values[38:] = 5.0
    assert change_point(values) == 38
    assert change_point(np.zeros(0)) == 0
