"""The queue of a distributed run: order, tries, suspects, and memory."""

from collections.abc import Iterator

import pytest

from streamcam.distributed.source_queue import SourceQueue, SourceTask
from streamcam.errors import ExitCode
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport, Outcome
from tests.clocks import ManualClock

DELAY = 10.0


class Listing:
    """Lists sources, and counts how many it was asked for."""

    def __init__(self, count: int) -> None:
        self.given = 0
        self._count = count

    def __iter__(self) -> Iterator[Entry]:
        for index in range(self._count):
            self.given += 1
            yield Entry(f"{index}.mp4", str(index))


def queue_of(count: int, clock: ManualClock | None = None) -> SourceQueue:
    return SourceQueue(iter(Listing(count)), 3, DELAY, clock or ManualClock())


def taken(queue: SourceQueue, *, alone: bool = False) -> SourceTask:
    task = queue.take(alone=alone)
    assert task is not None
    return task


def unavailable(task: SourceTask) -> JobReport:
    return JobReport(task.entry.id, Outcome.FAILED, error="no answer", exit_code=69, retryable=True)


def test_sources_come_in_their_order_and_are_counted_once_all_are_listed() -> None:
    queue = queue_of(3)
    assert queue.look_ahead(2) == 2
    assert queue.total is None
    assert [taken(queue).entry.stem for _ in range(3)] == ["0", "1", "2"]
    assert queue.take(alone=True) is None
    assert queue.empty
    assert queue.total == 3


def test_no_more_is_read_than_is_asked_for() -> None:
    listing = Listing(100_000)
    queue = SourceQueue(iter(listing), 3, DELAY, ManualClock())
    for _ in range(500):
        queue.look_ahead(16)
        taken(queue)
    assert listing.given <= 500 + 16


def test_an_error_that_may_pass_is_tried_again_after_pauses_and_then_reported() -> None:
    clock = ManualClock()
    queue = queue_of(1, clock)
    for pause in (DELAY, 2 * DELAY):
        task = taken(queue)
        assert queue.failed(task, unavailable(task)) is None
        assert not queue.empty
        clock.now += pause - 0.1
        assert queue.take(alone=True) is None
        clock.now += 0.2
    task = taken(queue)
    report = queue.failed(task, unavailable(task))
    assert report is not None
    assert report.error == "no answer (3 attempts)"
    assert report.exit_code == 69
    assert task.tries == 3
    assert queue.empty


def test_an_error_that_stays_is_reported_at_once() -> None:
    queue = queue_of(1)
    task = taken(queue)
    report = JobReport("0.mp4", Outcome.FAILED, error="not media", exit_code=1)
    assert queue.failed(task, report) is report
    assert task.tries == 1


def test_a_source_that_may_have_crashed_its_worker_runs_alone_and_after_the_others() -> None:
    queue = queue_of(2)
    first = taken(queue)
    assert queue.lost(first, "Segmentation fault") is None
    assert taken(queue).entry.stem == "1"
    assert queue.take(alone=False) is None
    assert taken(queue, alone=True) is first


@pytest.mark.parametrize(
    ("crash", "deaths", "words"),
    [
        ("Segmentation fault", 3, "its worker crashed 3 times while it worked on this file"),
        ("killed by the kernel because memory ran out", 2, "its worker crashed 2 times"),
        (None, 60, "its worker was killed 60 times"),
    ],
)
def test_a_source_is_set_aside_after_so_many_deaths(
    crash: str | None, deaths: int, words: str
) -> None:
    queue = queue_of(1)
    for _ in range(deaths - 1):
        assert queue.lost(taken(queue, alone=True), crash) is None
    task = taken(queue, alone=True)
    report = queue.lost(task, crash)
    assert report is not None
    assert report.outcome is Outcome.FAILED
    assert report.exit_code == ExitCode.SOME_FAILED
    assert words in (report.error or "")
    assert task.tries == deaths
    assert queue.empty


def test_one_crash_among_losses_of_nodes_is_not_enough() -> None:
    queue = queue_of(1)
    for crash in (None, "Aborted", None, None, "Aborted"):
        assert queue.lost(taken(queue, alone=True), crash) is None
