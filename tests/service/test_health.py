from dataclasses import dataclass

import pytest

from streamcam.service.health import ProgressMonitor
from tests.clocks import ManualClock

TIMEOUT = 60.0
CHECK = 15.0
"""Seconds between two checks."""


@dataclass
class FakeEngine:
    busy: bool = False
    finished: int = 0


class FakeService:
    """An engine and a loop whose state the test sets."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.last_iteration = self.clock.now
        self.loop_hangs = False
        self.engine = FakeEngine()
        self.monitor = ProgressMonitor(
            self.engine, lambda: self.last_iteration, timeout=TIMEOUT, clock=self.clock
        )

    def check(self, *, done: int = 0) -> str | None:
        """Let time pass to the next check."""
        self.clock.now += CHECK
        if not self.loop_hangs:
            self.last_iteration = self.clock.now
        self.engine.finished += done
        return self.monitor.fault()

    def checks(self, count: int, *, done: int = 0) -> list[str | None]:
        return [self.check(done=done) for _ in range(count)]


def test_idle_folders_and_dead_cameras_are_healthy_for_ever() -> None:
    assert set(FakeService().checks(1000)) == {None}


def test_an_engine_that_finishes_batches_is_healthy_however_much_waits() -> None:
    service = FakeService()
    service.engine.busy = True
    assert set(service.checks(1000, done=1)) == {None}


def test_an_engine_stuck_with_work_is_not() -> None:
    service = FakeService()
    service.checks(10)
    service.engine.busy = True
    assert service.checks(5) == [
        *[None] * 4,
        "the engine has work but finished none for 75 s",
    ]


def test_a_long_idleness_does_not_count_against_new_work() -> None:
    service = FakeService()
    service.checks(100)
    service.engine.busy = True
    assert service.check() is None


def test_slow_batches_within_the_timeout_are_healthy() -> None:
    service = FakeService()
    service.engine.busy = True
    assert set(service.checks(3) + service.checks(1, done=1) + service.checks(3)) == {None}


def test_a_stuck_engine_that_recovers_is_healthy_again() -> None:
    service = FakeService()
    service.engine.busy = True
    assert service.checks(10)[-1] is not None
    assert service.check(done=1) is None


@pytest.mark.parametrize("busy", [False, True])
def test_a_stuck_loop_is_not_healthy_even_while_the_engine_works(busy: bool) -> None:
    service = FakeService()
    service.engine.busy = busy
    service.checks(10, done=1)
    service.loop_hangs = True
    assert service.checks(4, done=1) == [None] * 4
    assert service.check(done=1) == "the supervisor has stood still for 75 s"


def test_an_engine_is_checked_while_the_loop_is_stuck() -> None:
    service = FakeService()
    service.loop_hangs = True
    service.checks(20)
    service.loop_hangs = False
    service.engine.busy = True
    assert service.check() is None
