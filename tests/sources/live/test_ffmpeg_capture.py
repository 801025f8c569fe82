"""A live source's time is even, grows always, and stays near the clock on the wall."""

from fractions import Fraction
from itertools import pairwise

import pytest

from streamcam.sources.live.ffmpeg_capture import CaptureClock

RTP = Fraction(1, 90000)
STEP = 3600
"""Ticks of a frame at 25 a second."""


def times(pts: list[int | None], arrivals: list[float], origin: float | None = None) -> list[float]:
    clock = CaptureClock(RTP, origin)
    placed = [clock.time_of(*each) for each in zip(pts, arrivals, strict=True)]
    assert all(after > before for before, after in pairwise(placed))
    return placed


def test_the_first_frame_begins_at_zero_however_its_timestamps_count() -> None:
    assert times([7_000_000], [123.0]) == [0.0]


def test_a_later_connection_goes_on_by_the_clock() -> None:
    assert times([0], [123.0], origin=100.0) == [23.0]


def test_late_packets_do_not_shake_the_time() -> None:
    """The network holds every fifth frame back by up to 30 ms."""
    pts: list[int | None] = [STEP * i for i in range(200)]
    placed = times(pts, [50 + i / 25 + 0.03 * (i % 5 == 0) for i in range(200)])
    for before, after in pairwise(placed):
        assert after - before == pytest.approx(0.04, abs=1e-4)


@pytest.mark.parametrize("speed", [1 - 3e-4, 1 + 3e-4])
def test_a_camera_whose_clock_is_off_is_followed_for_days(speed: float) -> None:
    """At 300 ppm it would be 26 s off after a day."""
    day = 86400
    clock = CaptureClock(Fraction(1), None)
    for second in range(2 * day):
        placed = clock.time_of(second, second * speed)
    assert placed == pytest.approx(second * speed, abs=0.1)


def test_a_burst_at_the_start_keeps_its_steps() -> None:
    """A server that sends the last second at once, then goes on in real time."""
    pts: list[int | None] = [STEP * i for i in range(50)]
    placed = times(pts, [10.0] * 25 + [10 + (i - 24) / 25 for i in range(25, 50)])
    for before, after in pairwise(placed):
        assert after - before == pytest.approx(0.04, rel=0.01)


@pytest.mark.parametrize("jump", [90_000_000, -90_000_000, -(2**32), 2**33])
def test_a_jump_of_the_timestamps_is_no_jump_in_time(jump: int) -> None:
    """A camera that set its clock, or whose counter began anew."""
    pts: list[int | None] = [STEP * i + jump * (i >= 10) for i in range(20)]
    placed = times(pts, [i / 25 for i in range(20)])
    assert placed == pytest.approx([i / 25 for i in range(20)])


def test_a_pause_of_the_camera_is_a_pause_in_time() -> None:
    pts: list[int | None] = [0, STEP, STEP + 90000 * 60, 2 * STEP + 90000 * 60]
    assert times(pts, [0, 0.04, 60.04, 60.08]) == pytest.approx([0, 0.04, 60.04, 60.08])


@pytest.mark.parametrize("missing", [None, 0])
def test_frames_without_meaningful_timestamps_go_by_their_arrival(missing: int | None) -> None:
    arrivals = [5.0, 5.11, 5.2, 5.33]
    assert times([missing] * 4, arrivals) == pytest.approx([0.0, 0.11, 0.2, 0.33])


def test_one_missing_timestamp_does_not_derail_the_others() -> None:
    pts: list[int | None] = [0, STEP, None, 3 * STEP, 4 * STEP]
    assert times(pts, [i / 25 for i in range(5)]) == pytest.approx([i / 25 for i in range(5)])


def test_arrivals_that_go_backwards_still_give_a_growing_time() -> None:
    times([None] * 5, [10.0, 10.04, 9.0, 3.0, 10.08])


def test_what_is_due_is_a_step_after_the_last() -> None:
    clock = CaptureClock(RTP, None)
    assert clock.due(0) is None
    clock.time_of(0, 100.0)
    assert clock.due(STEP) == pytest.approx(100.04)
    assert clock.due(None) is None
    assert clock.due(-STEP) is None
