import random

import pytest

from streamcam.retry import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 30.0, random=lambda: 1.0)
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_goes_on_for_ever() -> None:
    backoff = Backoff(random=lambda: 1.0)
    assert max(backoff.next() for _ in range(10_000)) == 30.0


@pytest.mark.parametrize(("luck", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_takes_up_to_half_of_a_pause(luck: float, share: float) -> None:
    backoff = Backoff(2.0, 8.0, random=lambda: luck)
    assert [backoff.next() for _ in range(4)] == [2 * share, 4 * share, 8 * share, 8 * share]


def test_those_that_failed_together_do_not_come_back_together() -> None:
    lots = random.Random(0)
    pauses = sorted(Backoff(1.0, random=lots.random).next() for _ in range(1000))
    assert 0.5 <= pauses[0] < 0.51
    assert 0.99 < pauses[-1] <= 1.0
    assert 0.7 < pauses[500] < 0.8


def test_what_worked_begins_anew() -> None:
    backoff = Backoff(0.5, random=lambda: 1.0)
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]
