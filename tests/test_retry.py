import random

import pytest

from streamcam.retry import Backoff, RestartLimit, retry
from tests.clocks import ManualClock


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 30.0, random=lambda: 1.0)
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_continues_without_end() -> None:
    backoff = Backoff(random=lambda: 1.0)
    assert max(backoff.next() for _ in range(10_000)) == 30.0


@pytest.mark.parametrize(("luck", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_takes_up_to_half_of_a_pause(luck: float, share: float) -> None:
    backoff = Backoff(2.0, 8.0, random=lambda: luck)
    assert [backoff.next() for _ in range(4)] == [2 * share, 4 * share, 8 * share, 8 * share]


def test_simultaneous_failures_are_retried_at_different_times() -> None:
    lots = random.Random(0)
    pauses = sorted(Backoff(1.0, random=lots.random).next() for _ in range(1000))
    assert 0.5 <= pauses[0] < 0.51
    assert 0.99 < pauses[-1] <= 1.0
    assert 0.7 < pauses[500] < 0.8


def test_a_success_resets_the_pause() -> None:
    backoff = Backoff(0.5, random=lambda: 1.0)
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]


def test_restarts_in_a_window_are_limited() -> None:
    restarts = RestartLimit(ManualClock(), limit=3, window=60.0)
    assert [restarts.allow() for _ in range(5)] == [True, True, True, False, False]


def test_restarts_leave_the_window_one_by_one() -> None:
    clock = ManualClock()
    restarts = RestartLimit(clock, limit=2, window=60.0)
    assert restarts.allow()
    clock.now += 40
    assert restarts.allow()
    assert not restarts.allow()
    clock.now += 21
    assert restarts.allow(), "the first has left the window"
    assert not restarts.allow(), "the second has not"


def test_a_restart_a_day_is_always_allowed() -> None:
    clock = ManualClock()
    restarts = RestartLimit(clock)
    for _ in range(1000):
        assert restarts.allow()
        clock.now += 86400
    assert len(restarts._times) == 1


def test_transient_errors_are_retried_up_to_a_number_of_attempts() -> None:
    calls: list[int] = []

    def call() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        return 7

    pauses = Backoff(1e-6)
    assert retry(call, lambda error: isinstance(error, ConnectionError), 3, pauses) == 7
    calls.clear()
    with pytest.raises(ConnectionError):
        retry(call, lambda error: isinstance(error, ConnectionError), 2, pauses)


def test_other_errors_are_raised_at_once() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        retry(call, lambda error: isinstance(error, ConnectionError), 3, Backoff(1e-6))
    assert len(calls) == 1
