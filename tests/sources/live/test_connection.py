"""When a connection counts as stalled, and when it is given up; on a clock of the test's own."""

import pytest

from streamcam.errors import SourceUnavailableError
from streamcam.sources.live.connection import StallDetector, Timeouts

PATIENCE = Timeouts(opening=5.0, reading=10.0, picture=30.0, stall=3.0)


def opened(at: float = 100.0) -> StallDetector:
    watch = StallDetector("yard", PATIENCE, at)
    watch.opened(at)
    return watch


def seen(rate: float, until: float) -> StallDetector:
    """Return the watch over a camera that began at 100 and sent pictures at a steady rate."""
    watch = opened()
    for index in range(round((until - 100) * rate)):
        watch.received(index + 1, 100 + (index + 1) / rate)
    return watch


def test_one_that_does_not_answer_is_given_up() -> None:
    watch = StallDetector("yard", PATIENCE, 100.0)
    assert watch.seconds_left(101.0) == 4.0
    watch.check(104.9)
    with pytest.raises(SourceUnavailableError, match="yard: did not answer for 5 s"):
        watch.check(105.0)
    assert watch.seconds_left(106.0) == 0.0


def test_one_that_answers_has_all_its_patience_again() -> None:
    watch = StallDetector("yard", PATIENCE, 100.0)
    watch.opened(104.0)
    assert watch.seconds_left(104.0) == 10.0
    watch.check(113.9)
    with pytest.raises(SourceUnavailableError, match="sent nothing for 10 s"):
        watch.check(114.0)


def test_data_without_a_picture_is_borne_for_longer() -> None:
    watch = opened()
    for second in range(101, 130):
        watch.received(0, second)
        watch.check(second)
        assert not watch.live
        assert not watch.stalled(second)
    assert watch.seconds_left(129.0) == pytest.approx(1.0)
    with pytest.raises(SourceUnavailableError, match="sent no picture for 30 s"):
        watch.check(130.0)


def test_a_picture_makes_it_live_and_silence_stalled_until_the_next() -> None:
    watch = seen(rate=25, until=104)
    assert watch.live
    assert watch.seconds_left(104.0) == pytest.approx(3.0)
    assert not watch.stalled(106.9)
    assert watch.stalled(107.0)
    assert watch.seconds_left(107.0) == pytest.approx(7.0), "then it is given up"
    watch.received(500, 108.0)
    assert not watch.stalled(108.0)


def test_a_slow_camera_does_not_stall_between_its_pictures() -> None:
    watch = opened()
    for index in range(20):
        now = 100 + 5.0 * (index + 1)
        assert not watch.stalled(now)
        watch.received(index + 1, now)
    assert not watch.stalled(200 + 14.0)
    assert watch.stalled(200 + 15.0)


def test_a_camera_that_becomes_quicker_is_soon_measured_by_it() -> None:
    watch = seen(rate=0.2, until=140)
    for index in range(100):
        watch.received(8 + 5 * (index + 1), 140 + 0.2 * (index + 1))
    assert watch.stalled(160 + 3.0)


def test_what_is_heard_without_a_new_picture_is_no_picture() -> None:
    watch = seen(rate=25, until=104)
    for tenth in range(40):
        watch.received(100, 104 + tenth / 10)
    assert watch.stalled(107.9)
    watch.check(113.0)
