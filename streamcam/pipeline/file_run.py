"""The jobs of `streamcam run`: several files at a time, as many as there are, in bounded memory."""

import heapq
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeAlias

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.observer import Observer
from streamcam.pipeline.engine_pool import make_engine_provider
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.report_tally import MOST_KEPT
from streamcam.pipeline.split_job import SplitJob
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport

# How often a wait for the jobs lets signal handlers run: soon enough for a person.
_POLL_SECONDS = 0.2

# How long aborted jobs get to remove their unfinished files: one forward of a slow model.
_GRACE_SECONDS = 5.0

# Jobs that are begun or wait in the pool, for each worker: none waits for the caller.
_AHEAD = 2

_Running: TypeAlias = dict[Future[JobReport], tuple[int, Job]]


class Run:
    """Explains files, several at a time, with an engine for each device, built when needed."""

    def __init__(
        self, settings: Settings, observer: Observer, *, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock or Clock()
        self._running: _Running = {}
        self._stopped = False

    def explain(self, entries: Iterable[Entry]) -> Iterator[JobReport]:
        """Explain every entry; yield a report of each, to the end, in their order.

        At most `MOST_KEPT` reports are held back for an entry before them that takes longer;
        then those after it come first. An iterator that is closed early aborts what runs.

        Raises:
            StreamcamError: The engine cannot be built.
        """
        with (
            make_engine_provider(self._settings, self._observer.download_progressed) as provider,
            closing(self._work_off(enumerate(entries), provider)) as ended,
        ):
            yield from in_order(ended)

    def stop(self) -> None:
        """End early: what is done is kept and valid. From any thread."""
        self._stopped = True
        for _, job in list(self._running.values()):
            job.stop()

    def abort(self) -> None:
        """End at once: unfinished results leave no trace. From any thread."""
        self._stopped = True
        for _, job in list(self._running.values()):
            job.abort()

    def _work_off(
        self, entries: Iterator[tuple[int, Entry]], provider: EngineProvider
    ) -> Generator[tuple[int, JobReport]]:
        pool = ThreadPoolExecutor(self._workers(provider), "streamcam job")
        error: BaseException | None = None
        try:
            while self._fill(pool, entries if error is None else iter(()), provider):
                for future in wait(self._running, _POLL_SECONDS, FIRST_COMPLETED).done:
                    number, _ = self._running.pop(future)
                    if (raised := future.exception()) is None:
                        yield number, future.result()
                    else:
                        error = error or raised
                        self.stop()
        except BaseException:
            self.abort()
            wait(self._running, _GRACE_SECONDS)
            raise
        finally:
            pool.shutdown(wait=False)
        if error is not None:
            raise error

    def _workers(self, provider: EngineProvider) -> int:
        return max(provider.engines, self._settings.output.workers)

    def _fill(
        self,
        pool: ThreadPoolExecutor,
        entries: Iterator[tuple[int, Entry]],
        provider: EngineProvider,
    ) -> bool:
        """Start jobs up to the limit; return whether any is there."""
        while len(self._running) < _AHEAD * self._workers(provider):
            number, entry = next(entries, (0, None))
            if entry is None:
                break
            job = SplitJob(entry, self._settings, provider, self._observer, self._clock, pool)
            if self._stopped:
                job.stop()
            self._running[pool.submit(job.run)] = number, job
            if self._stopped:  # perhaps since it was looked at
                job.stop()
        return bool(self._running)


def in_order(reports: Iterator[tuple[int, JobReport]]) -> Iterator[JobReport]:
    """Yield reports in the order of their numbers, but hold no more than `MOST_KEPT` back."""
    held: list[tuple[int, JobReport]] = []
    expected = 0
    for numbered in reports:
        heapq.heappush(held, numbered)
        while held and (held[0][0] <= expected or len(held) > MOST_KEPT):
            number, report = heapq.heappop(held)
            expected = max(expected, number + 1)
            yield report
    while held:
        yield heapq.heappop(held)[1]
