import time
from itertools import pairwise
from pathlib import Path

import pytest

from streamcam.clock import Clock
from streamcam.errors import UsageError, WeightsMismatchError, WeightsUnavailableError
from streamcam.jobs.resources import DiskGuard, EngineLoader, OngoingConditions
from streamcam.pipeline.engine_provider import LazyEngineProvider
from streamcam.retry import Backoff
from tests.clocks import ManualClock
from tests.jobs.conftest import eventually


def test_a_disk_that_was_too_small_is_tried_again_with_more_space_or_later(tmp_path: Path) -> None:
    log: list[str] = []
    clock = ManualClock(0.0)
    guard = DiskGuard(tmp_path / "not" / "there", 0, OngoingConditions(log.append), clock)
    assert guard.has_space()
    guard.report_full(guard.free_space() + (1 << 40))
    assert not guard.has_space()
    assert not guard.has_space()
    clock.now += 61
    assert guard.has_space()
    assert [line.rpartition(": ")[2].partition(" ")[0] for line in log] == ["too", "there"]


class _FailingProvider(LazyEngineProvider):
    def __init__(self, fault: Exception) -> None:
        self._raised = fault

    def pipeline(self) -> None:  # type: ignore[override]
        raise self._raised

    def close(self) -> None:
        pass


def test_loading_is_tried_again_and_the_fault_logged_once() -> None:
    log: list[str] = []
    clock = ManualClock(0.0)
    asked: list[float] = []

    def make() -> LazyEngineProvider:
        asked.append(clock.now)
        return _FailingProvider(WeightsUnavailableError("no network"))

    loader = EngineLoader(
        make,
        OngoingConditions(log.append),
        wake=lambda: None,
        clock=clock,
        patient=True,
        backoff=Backoff(5.0, 300.0, random=lambda: 1.0),
    )
    end = time.monotonic() + 20
    while clock.now < 60 and time.monotonic() < end:
        assert loader.provider() is None
        assert loader._thread is None or loader._thread.join(5) is None
        clock.now += 0.5
    assert [b - a for a, b in pairwise(asked)] == [5.5, 10.5, 20.5]
    assert len(log) == 1
    assert loader.close(1)


@pytest.mark.parametrize(
    ("fault", "patient"),
    [
        (WeightsMismatchError("others"), True),
        (UsageError("no such model"), True),
        (WeightsUnavailableError("no network"), False),
    ],
)
def test_an_engine_that_can_never_be_loaded_is_an_error(fault: Exception, *, patient: bool) -> None:
    loader = EngineLoader(
        lambda: _FailingProvider(fault),
        OngoingConditions(lambda _: None),
        wake=lambda: None,
        clock=Clock(),
        patient=patient,
    )
    loader.provider()
    assert loader._thread is not None
    thread = loader._thread
    eventually(lambda: not thread.is_alive(), "loaded")
    with pytest.raises(type(fault)):
        loader.provider()
