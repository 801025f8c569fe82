"""The watcher's small parts: what it sweeps, moves, waits for and remembers of crashes."""

import faulthandler
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from streamcam.clock import Clock
from streamcam.errors import UsageError, WeightsMismatchError, WeightsUnavailableError
from streamcam.jobs.conditions import OngoingConditions
from streamcam.jobs.crash import CrashLog, crash_of, sweep_crashes
from streamcam.jobs.disk import DiskGuard
from streamcam.jobs.loader import Loader
from streamcam.jobs.owner import myself
from streamcam.jobs.sweeping import sweep_parts
from streamcam.pipeline.engine_provider import LazyEngineProvider
from tests.jobs.conftest import eventually

CRASH = """
import faulthandler, sys
from pathlib import Path
from streamcam.jobs.crash import CrashLog
from streamcam.jobs.owner import myself
with CrashLog(Path(sys.argv[1]), myself()):
    print(myself(), flush=True)
    {}
"""


class Hands(Clock):
    """A clock that is moved by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("end", "trace"),
    [
        ("faulthandler._sigsegv()", "Segmentation fault"),
        ("faulthandler._sigabrt()", "Aborted"),
        ("import os; os.kill(os.getpid(), 9)", None),
        ("pass", None),
    ],
)
def test_a_crash_leaves_its_name_and_a_kill_leaves_none(
    tmp_path: Path, end: str, trace: str | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(end), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    owner = done.stdout.strip()
    assert crash_of(tmp_path, owner) == trace
    sweep_crashes(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_notes_of_the_living_are_kept(tmp_path: Path) -> None:
    was_enabled = faulthandler.is_enabled()
    with CrashLog(tmp_path, myself()):
        sweep_crashes(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    if was_enabled:
        faulthandler.enable()


def test_stray_parts_are_swept_and_those_in_work_and_of_others_are_not(tmp_path: Path) -> None:
    stray = tmp_path / "deep" / "a.heatmap.mp4.part"
    foreign = tmp_path / "movie.mp4.part"
    busy = tmp_path / "b.detections.jsonl.part"
    stray.parent.mkdir()
    for path in (stray, foreign):
        path.touch()
    with busy.open("w"):
        assert sweep_parts(tmp_path) == [stray]
    assert {path.name for path in tmp_path.rglob("*.part")} == {foreign.name, busy.name}


def test_a_disk_that_was_too_small_is_tried_again_with_more_room_or_later(tmp_path: Path) -> None:
    said: list[str] = []
    clock = Hands()
    guard = DiskGuard(tmp_path / "not" / "there", 0, OngoingConditions(said.append), clock)
    assert guard.has_room()
    guard.was_full(guard.free() + (1 << 40))
    assert not guard.has_room()
    assert not guard.has_room()
    clock.now += 61
    assert guard.has_room()
    assert [line.rpartition(": ")[2].partition(" ")[0] for line in said] == ["no", "there"]


class _NoEngine(LazyEngineProvider):
    def __init__(self, fault: Exception) -> None:
        self._raised = fault

    def pipeline(self) -> None:  # type: ignore[override]
        raise self._raised

    def close(self) -> None:
        pass


def test_an_engine_that_may_come_is_waited_for_and_said_once() -> None:
    said: list[str] = []
    clock = Hands()
    asked: list[float] = []

    def make() -> LazyEngineProvider:
        asked.append(clock.now)
        return _NoEngine(WeightsUnavailableError("no network"))

    loader = Loader(
        make, OngoingConditions(said.append), wake=lambda: None, clock=clock, patient=True
    )
    end = time.monotonic() + 20
    while clock.now < 60 and time.monotonic() < end:
        assert loader.provider() is None
        assert loader._thread is None or loader._thread.join(5) is None
        clock.now += 0.5
    assert [b - a for a, b in pairwise(asked)] == [5.5, 10.5, 20.5]
    assert len(said) == 1
    assert loader.close(1)


@pytest.mark.parametrize(
    ("fault", "patient"),
    [
        (WeightsMismatchError("others"), True),
        (UsageError("no such model"), True),
        (WeightsUnavailableError("no network"), False),
    ],
)
def test_an_engine_that_cannot_be_is_an_error(fault: Exception, *, patient: bool) -> None:
    loader = Loader(
        lambda: _NoEngine(fault),
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
