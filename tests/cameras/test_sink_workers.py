"""A sink that is slow, stuck or failing affects only itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from streamcam.cameras.sink_workers import SinkWorker
from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.observer import Observer
from streamcam.sinks.base import Provenance, Sink, SinkSettings, SinkTarget
from streamcam.sinks.records import JsonlSink
from streamcam.sinks.registry import SinkChoice
from streamcam.types import FrameResult, Item, Picture, SourceInfo
from tests.clocks import ManualClock
from tests.processes import eventually
from tests.sinks.items import explained, frame, picture


class StubSink(Sink[SinkSettings]):
    """A sink that records its calls, and blocks or fails where a test wants it to."""

    needs_picture = True

    def __init__(self, fault: Exception | None = None) -> None:
        self.written: list[tuple[int, Picture | None]] = []
        self.ended = ""
        self.gate = threading.Event()
        self.gate.set()
        self.fault = fault

    def write(self, item: Item, picture: Picture | None) -> None:
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        assert isinstance(item, FrameResult)
        self.written.append((item.frame.index, picture))

    def finish(self) -> Path:
        self.ended += "finished"
        if self.fault is not None:
            raise self.fault
        return Path("sink")

    def abort(self) -> None:
        self.ended += "aborted"
        if isinstance(self.fault, OSError):
            raise self.fault

    @property
    def indices(self) -> list[int]:
        return [index for index, _ in self.written]


@dataclass
class Choice:
    """Stands for a `SinkChoice` whose sinks a test makes."""

    make: Callable[[], Sink[Any]]
    prepare: Callable[[], object]
    name: str = "recording"
    uses_picture: bool = True

    def recover(self, _target: SinkTarget) -> None:
        self.prepare()

    def create(self, _target: SinkTarget) -> Sink[Any]:
        return self.make()


@contextmanager
def worker(
    make: Callable[[], Sink[Any]],
    clock: ManualClock | None = None,
    prepare: Callable[[], object] = lambda: None,
) -> Iterator[SinkWorker]:
    camera = SourceInfo("yard", 0, 0, Fraction(1, 1000), live=True)
    target = SinkTarget(camera, Path("yard"), "yard", never, clock or Clock())
    made = SinkWorker(cast("SinkChoice", Choice(make, prepare)), target, Observer())
    try:
        yield made
    finally:
        made.close()
        assert made.join(10)


def never() -> Provenance:
    raise AssertionError("the provenance is for the sink")


def submit(to: SinkWorker, *indices: int) -> None:
    for index in indices:
        to.submit(explained(frame(index)), picture(index))


def test_all_is_written_and_completed_at_the_end() -> None:
    sink = StubSink()
    with worker(lambda: sink) as made:
        submit(made, *range(5))
    assert sink.indices == list(range(5))
    assert all((shown == picture(index)).all() for index, shown in sink.written)
    assert sink.ended == "finished"
    assert (made.dropped, made.error) == (0, None)


def test_no_sink_is_created_without_results() -> None:
    made: list[StubSink] = []
    with worker(lambda: made.append(StubSink()) or made[-1]):  # type: ignore[func-returns-value]
        pass
    assert not made


def test_recovery_runs_once_even_without_results() -> None:
    prepared: list[str] = []
    with worker(StubSink, prepare=lambda: prepared.append(threading.current_thread().name)):
        pass
    assert prepared == ["streamcam recording yard"]


def test_a_failing_recovery_is_logged_and_delays_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise SinkError("no such folder")

    sink = StubSink()
    with worker(lambda: sink, prepare=fail) as made:
        submit(made, 0)
    assert sink.indices == [0]
    assert made.dropped == 0
    assert "yard: recording: no such folder" in caplog.text


def test_a_blocked_sink_blocks_nobody_else() -> None:
    sink = StubSink()
    sink.gate.clear()
    with worker(lambda: sink) as made:
        submit(made, *range(100))
        assert not made.join(0.05)
        assert made.dropped >= 100 - 11, "ten wait, and one may be with the sink"
        sink.gate.set()
    assert sink.indices[-1] == 99, "the newest is not lost"
    assert made.dropped + len(sink.indices) == 100
    assert sink.ended == "finished"


@pytest.mark.parametrize("error", [SinkError("no route"), OSError("I/O"), ValueError("odd")])
def test_a_failing_sink_is_aborted_and_created_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    sinks = [StubSink(error), StubSink(error), StubSink()]
    left = iter(sinks)
    with worker(lambda: next(left), clock) as made:
        submit(made, 0)
        assert eventually(lambda: sinks[0].ended)
        assert made.error is not None
        assert str(error) in made.error
        submit(made, 1, 2)
        assert eventually(lambda: made.dropped == 3), "while it pauses"
        clock.now += 2.1
        submit(made, 3)
        assert eventually(lambda: sinks[1].ended)
        clock.now += 2.0  # now it pauses for longer
        clock.now += 2.1
        submit(made, 4, 5)
        assert eventually(lambda: sinks[2].indices == [4, 5])
        assert made.error is None
    assert made.dropped == 4
    assert [sink.ended for sink in sinks] == ["aborted", "aborted", "finished"]
    messages = [record.getMessage() for record in caplog.records if "stopped" in record.message]
    assert len(messages) == 1, "the same error is logged once"
    assert "yard: recording goes on" in caplog.text


def test_a_sink_that_cannot_be_made_is_tried_again() -> None:
    clock, sink = ManualClock(), StubSink()
    tries: list[int] = []

    def make() -> Sink[Any]:
        tries.append(1)
        if len(tries) == 1:
            raise SinkError("no such folder")
        return sink

    with worker(make, clock) as made:
        submit(made, 0)
        assert eventually(lambda: made.error == "no such folder")
        clock.now += 10
        submit(made, 1)
        assert eventually(lambda: sink.indices == [1])


@pytest.mark.parametrize("error", [SinkError("torn"), OSError("I/O")])
def test_a_failing_finish_is_logged(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    sink = StubSink()
    with worker(lambda: sink) as made:
        submit(made, 0)
        assert eventually(lambda: sink.written)
        sink.fault = error
    assert sink.ended == "finishedaborted"
    assert "yard: recording could not be completed" in caplog.text
    assert str(error) in caplog.text


def test_a_full_disk_that_is_emptied(tmp_path: Path) -> None:
    """A real sink, and a device that is always full instead of its file."""
    clock, path = ManualClock(), tmp_path / "a.jsonl"
    (tmp_path / "a.jsonl.part").symlink_to("/dev/full")
    with worker(lambda: JsonlSink(path), clock) as made:
        for index in range(200):  # what is written is gathered before it goes to the disk
            submit(made, index)
            if eventually(lambda: made.error, within=0.02):
                break
        assert eventually(lambda: made.error)
        assert "no space left" in (made.error or "")
        clock.now += 10
        submit(made, 1000)
        assert eventually(lambda: made.error is None)
    assert path.read_text().count("\n") == 1
    assert '"frame":1000' in path.read_text()
