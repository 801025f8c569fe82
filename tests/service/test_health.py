import pytest

from streamcam.clock import Clock
from streamcam.service.health import EngineGauge, ProgressMonitor

PATIENCE = 60.0
LOOK = 15.0
"""Seconds between two looks."""


class FakeClock(Clock):
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Service:
    """Engines and a loop whose state the test sets."""

    def __init__(self, devices: tuple[str, ...] = ("cuda:0",)) -> None:
        self.clock = FakeClock()
        self.turned = self.clock.now
        self.loop_hangs = False
        self.busy = dict.fromkeys(devices, False)
        self.finished = dict.fromkeys(devices, 0)
        self.pulse = ProgressMonitor(
            [
                EngineGauge(
                    device,
                    lambda device=device: self.busy[device],  # type: ignore[misc]
                    lambda device=device: self.finished[device],  # type: ignore[misc]
                )
                for device in devices
            ],
            lambda: self.turned,
            patience=PATIENCE,
            clock=self.clock,
        )

    def look(self, *, done: int = 0) -> str | None:
        """Let time pass to the next look."""
        self.clock.now += LOOK
        if not self.loop_hangs:
            self.turned = self.clock.now
        for device in self.finished:
            self.finished[device] += done
        return self.pulse.fault()

    def looks(self, count: int, *, done: int = 0) -> list[str | None]:
        return [self.look(done=done) for _ in range(count)]


def test_idle_folders_and_dead_cameras_are_healthy_for_ever() -> None:
    assert set(Service().looks(1000)) == {None}


def test_an_engine_that_finishes_batches_is_healthy_however_much_waits() -> None:
    service = Service()
    service.busy["cuda:0"] = True
    assert set(service.looks(1000, done=1)) == {None}


def test_an_engine_stuck_with_work_is_not() -> None:
    service = Service()
    service.looks(10)
    service.busy["cuda:0"] = True
    assert service.looks(5) == [
        *[None] * 4,
        "the engine on cuda:0 has work but finished none for 75 s",
    ]


def test_a_long_idleness_does_not_count_against_new_work() -> None:
    service = Service()
    service.looks(100)
    service.busy["cuda:0"] = True
    assert service.look() is None


def test_slow_batches_within_patience_are_healthy() -> None:
    service = Service()
    service.busy["cuda:0"] = True
    assert set(service.looks(3) + service.looks(1, done=1) + service.looks(3)) == {None}


def test_a_stuck_engine_that_comes_back_is_healthy_again() -> None:
    service = Service()
    service.busy["cuda:0"] = True
    assert service.looks(10)[-1] is not None
    assert service.look(done=1) is None


def test_one_stuck_engine_beside_a_busy_one_is_found() -> None:
    service = Service(("cuda:0", "cuda:1"))
    service.busy.update({"cuda:0": True, "cuda:1": True})
    faults = []
    for _ in range(6):
        service.finished["cuda:0"] += 1
        faults.append(service.look())
    assert faults[3] is None
    assert faults[-1] == "the engine on cuda:1 has work but finished none for 90 s"


@pytest.mark.parametrize("busy", [False, True])
def test_a_stuck_loop_is_not_healthy_even_while_the_engine_works(busy: bool) -> None:
    service = Service()
    service.busy["cuda:0"] = busy
    service.looks(10, done=1)
    service.loop_hangs = True
    assert service.looks(4, done=1) == [None] * 4
    assert service.look(done=1) == "the supervisor has stood still for 75 s"


def test_an_engine_is_watched_while_the_loop_is_stuck() -> None:
    service = Service()
    service.loop_hangs = True
    service.looks(20)
    service.loop_hangs = False
    service.busy["cuda:0"] = True
    assert service.look() is None
