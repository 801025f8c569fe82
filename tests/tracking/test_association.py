"""Numbers of objects: over misses, occlusions and turns, at any rate of frames."""

import numpy as np
import pytest

from streamcam.tracking.association import Associator
from tests.tracking.paths import at

PERSON, CAR, TRUCK = 1, 3, 8


def boxes(*given: tuple[float, float, float, float]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(given, np.float64).reshape(-1, 4)


def step(
    associator: Associator,
    time: float,
    *given: tuple[float, float, float, float],
    classes: tuple[int, ...] | None = None,
) -> list[int]:
    ids = np.array(classes or [PERSON] * len(given), np.int64)
    numbers: list[int] = associator.update(time, boxes(*given), ids).found.tolist()
    return numbers


@pytest.mark.parametrize("rate", [1, 2, 5, 15, 30])
def test_an_object_keeps_its_number_at_any_rate(rate: int) -> None:
    associator = Associator(3.0)
    random = np.random.default_rng(rate)
    found = set()
    for frame in range(8 * rate):
        time = frame / rate
        jitter = random.normal(0, 1.5, 4)
        box = np.array(at(100 + 60 * time)) + jitter
        found.update(step(associator, time, tuple(box)))
    assert found == {1}


def test_velocity_counts_in_seconds_where_intervals_vary() -> None:
    """Two people meet and walk through each other; frames come when they come."""
    associator = Associator(3.0)
    random = np.random.default_rng(4)
    times = np.cumsum(random.uniform(0.05, 0.6, 40))
    meeting = times[20]
    numbers = [
        step(
            associator,
            float(time),
            at(300 + 80 * (time - meeting), 200),
            at(300 - 80 * (time - meeting), 206),
        )
        for time in times
    ]
    assert all(each == [1, 2] for each in numbers)


@pytest.mark.parametrize("rate", [5, 15])
def test_an_object_comes_back_from_a_short_occlusion_where_it_is_expected(rate: int) -> None:
    associator = Associator(3.0)
    for frame in range(2 * rate):
        assert step(associator, frame / rate, at(100 + 60 * frame / rate)) == [1]
    for frame in range(2 * rate, 4 * rate):
        assert step(associator, frame / rate) == []
    assert step(associator, 4.0, at(100 + 60 * 4)) == [1]


def test_an_object_that_was_away_for_longer_is_a_new_one() -> None:
    associator = Associator(1.0)
    for frame in range(5):
        step(associator, frame / 5, at(100))
    ended = [
        update
        for frame in range(5, 11)
        for update in associator.update(frame / 5, boxes(), np.array([], np.int64)).ended
    ]
    assert ended == [(1, 0.8)], "with the time when it was last found"
    assert step(associator, 2.2, at(100)) == [2]


def test_what_was_found_once_is_soon_forgotten() -> None:
    associator = Associator(3.0)
    assert step(associator, 0.0, at(100)) == [1]
    for frame in range(1, 7):
        step(associator, frame / 5)
    assert step(associator, 1.4, at(100)) == [2]


@pytest.mark.parametrize("rate", [5, 15])
def test_an_object_may_turn_and_stop(rate: int) -> None:
    associator = Associator(3.0)
    found = set()
    for frame in range(8 * rate):
        time = frame / rate
        x = 100 + 80 * min(time, 3) - 80 * max(0.0, min(time, 6) - 4)
        found.update(step(associator, time, at(x)))
    assert found == {1}


def test_a_detector_may_waver_between_classes() -> None:
    associator = Associator(3.0)
    classes = [CAR, CAR, TRUCK, CAR, TRUCK, TRUCK]
    numbers = [
        step(associator, i / 5, at(100 + 20 * i, width=120, height=60), classes=(each,))
        for i, each in enumerate(classes)
    ]
    assert numbers == [[1]] * 6


def test_different_classes_in_one_place_are_different_objects() -> None:
    associator = Associator(3.0)
    for i in range(6):
        rider, bicycle = at(100 + 20 * i, 200), at(100 + 20 * i, 210, width=80, height=60)
        assert step(associator, i / 5, rider, bicycle, classes=(PERSON, 2)) == [1, 2]


def test_numbers_are_never_given_twice() -> None:
    associator = Associator(3.0)
    assert step(associator, 0.0, at(100), at(300)) == [1, 2]
    assert associator.forget() == ((1, 0.0), (2, 0.0))
    assert step(associator, 0.2, at(100), at(300)) == [3, 4]


def test_new_objects_do_not_take_the_numbers_of_others() -> None:
    associator = Associator(3.0)
    for i in range(5):
        step(associator, i / 5, at(100), at(400))
    assert step(associator, 1.0, at(100), at(250), at(400)) == [1, 3, 2]


def test_the_order_of_boxes_does_not_matter() -> None:
    associator = Associator(3.0)
    for i in range(5):
        step(associator, i / 5, at(100 + i), at(400 - i))
    assert step(associator, 1.0, at(395), at(105)) == [2, 1]


def test_a_long_run_holds_no_more_than_what_is_there() -> None:
    associator = Associator(0.5)
    random = np.random.default_rng(1)
    for i in range(2000):
        places = random.uniform(0, 600, 3)
        step(associator, i / 5, *(at(x, float(random.uniform(110, 350))) for x in places))
    assert len(associator._numbers) < 30
    assert len(associator._motion.place) == len(associator._numbers)
