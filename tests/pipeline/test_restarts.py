from streamcam.pipeline.restarts import RestartLimit
from tests.clocks import ManualClock


def test_so_many_in_a_window_and_no_more() -> None:
    clock = ManualClock()
    restarts = RestartLimit(clock, most=3, window=60.0)
    assert [restarts.allow() for _ in range(5)] == [True, True, True, False, False]


def test_what_is_long_ago_is_forgiven_one_by_one() -> None:
    clock = ManualClock()
    restarts = RestartLimit(clock, most=2, window=60.0)
    assert restarts.allow()
    clock.now += 40
    assert restarts.allow()
    assert not restarts.allow()
    clock.now += 21
    assert restarts.allow(), "the first has left the window"
    assert not restarts.allow(), "the second has not"


def test_one_a_day_may_go_on_for_ever() -> None:
    clock = ManualClock()
    restarts = RestartLimit(clock)
    for _ in range(1000):
        assert restarts.allow()
        clock.now += 86400
    assert len(restarts._moments) == 1
