"""`streamcam run --ray`: sources in, results out, by workers all over a Ray cluster."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import ceil

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.distributed.cluster import WorkerShape, node_resources, places, shape_of
from streamcam.distributed.cluster_progress import ClusterProgress, NodeRates, WindowedRate
from streamcam.distributed.fleet import Fleet, FleetEvent, FleetWorker, SourceEnded
from streamcam.distributed.source_queue import SourceQueue
from streamcam.distributed.worker_observer import WorkerEvents
from streamcam.errors import ClusterError, StreamcamError
from streamcam.observer import Observer
from streamcam.pipeline.file_job import failed
from streamcam.sinks.base import result_path
from streamcam.sinks.claim import ResultClaim
from streamcam.sinks.manifest import MANIFEST, SourceIdentity
from streamcam.sinks.registry import remove_unfinished
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport, Outcome
from streamcam.urls import StorageUrl

_POLL_SECONDS = 0.2
"""How often a wait lets signal handlers run."""

_LOOK_SECONDS = 10.0
"""How often the cluster is looked at for nodes that have joined or left."""

_GRACE_SECONDS = 5.0
"""How long aborted workers get to remove unfinished files, as in `pipeline.file_job`."""


class RayRun:
    """Explains sources by workers on the nodes of the cluster that this process is connected to.

    Only names of sources and reports travel: workers read and write the files themselves. A source
    whose worker ends is given to another one, see `SourceQueue`; its results are written once,
    since a job asks for complete results first, and its manifest is written last.

    Args:
        observer: Told of every source; `file_ended` once it is over for good.
        on_progress: Called about once a second.
        total: How many sources there are; None: known once the last one was listed.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        on_progress: Callable[[ClusterProgress], None] = lambda _: None,
        *,
        total: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._on_progress = on_progress
        self._total = total
        self._clock = clock or Clock()
        self._stopped = False
        self._outcomes: Counter[Outcome] = Counter()
        self._ended_rate = WindowedRate()
        self._rates: defaultdict[str, NodeRates] = defaultdict(NodeRates)

    def stop(self) -> None:
        """Give no further source out; those at work end as usual. From any thread."""
        self._stopped = True

    def explain(self, entries: Iterable[Entry]) -> Iterator[tuple[JobReport, int]]:
        """Explain every entry; yield each one's report, and its tries, when it is over for good.

        Raises:
            ClusterError: The cluster has no room for a worker, or none can start.
            StreamcamError: The engine cannot be built.
        """
        options = self._settings.ray
        queue = SourceQueue(iter(entries), options.max_attempts, options.retry_delay, self._clock)
        shape = shape_of(options, self._settings.model.device, node_resources())
        fleet = Fleet(self._settings, shape, self._on_events, self._clock)
        try:
            yield from self._work_off(queue, fleet, shape)
        except BaseException:
            fleet.abort(_GRACE_SECONDS)
            raise
        finally:
            fleet.close()

    def _work_off(
        self, queue: SourceQueue, fleet: Fleet, shape: WorkerShape
    ) -> Iterator[tuple[JobReport, int]]:
        capacity, next_look, next_progress = 0, 0.0, 0.0
        while fleet.at_work or not (self._stopped or queue.empty):
            now = self._clock.monotonic()
            if now >= next_look:
                capacity, next_look = self._capacity(shape), now + _LOOK_SECONDS
            self._hand_out(queue, fleet, capacity)
            for event in fleet.wait(_POLL_SECONDS):
                report = self._judge(queue, event)
                if report is not None:
                    self._outcomes[report.outcome] += 1
                    self._observer.file_ended(report)
                    yield report, event.task.tries
            if now >= next_progress:
                self._report_progress(queue, fleet)
                next_progress = now + 1.0
        self._report_progress(queue, fleet)

    def _capacity(self, shape: WorkerShape) -> int:
        """Return how many workers to have at most.

        Raises:
            ClusterError: No node has room for one, and the cluster was not asked to grow.
        """
        if self._settings.ray.workers is not None:
            return self._settings.ray.workers
        found = places(node_resources(), shape)
        if not found:
            raise ClusterError(
                f"no node of the cluster has room for a worker of {shape}",
                hint="Ask for less with --cpus-per-worker and --gpus-per-worker, or with "
                "--ray-workers for nodes that are still to come.",
            )
        return found

    def _hand_out(self, queue: SourceQueue, fleet: Fleet, capacity: int) -> None:
        """Have as many workers as there is work for, and give them sources."""
        if self._stopped:
            return
        lanes = self._settings.output.workers
        waiting = queue.look_ahead(capacity * lanes)
        fleet.resize(min(capacity, fleet.at_work + waiting))
        while (worker := fleet.next_free()) is not None:
            task = queue.take(alone=not worker.tasks)
            if task is None:
                break
            fleet.submit(worker, task)

    def _judge(self, queue: SourceQueue, event: FleetEvent) -> JobReport | None:
        """Return a source's report; None where it is tried again."""
        task = event.task
        if not isinstance(event, SourceEnded):
            report = queue.lost(task, event.crash)
            if report is None:
                self._observer.file_remarked(task.entry.id, _loss(event.crash))
            else:
                self._remove_unfinished(task.entry)
            return report
        report, fault = event.explained.report, event.explained.fault
        if report is None:
            assert fault is not None
            if not fault.retryable:
                raise fault
            report = failed(JobReport(task.entry.id, Outcome.FAILED), fault)
        final = queue.failed(task, report) if report.outcome is Outcome.FAILED else report
        if final is None:
            self._observer.file_remarked(task.entry.id, f"{report.error}; trying again later")
        return final

    def _remove_unfinished(self, entry: Entry) -> None:
        """Remove what workers that ended left of a source's results; nobody begins them again."""
        folder = self._settings.output.folder
        if isinstance(folder, StorageUrl):
            return  # it was in the worker's own folder
        manifest = result_path(folder, entry.stem, MANIFEST.ending)
        claim = ResultClaim(manifest, SourceIdentity(entry.location, None))
        with suppress(StreamcamError):
            if claim.acquire():
                remove_unfinished(folder, entry.stem)
                claim.release()

    def _on_events(self, worker: FleetWorker, events: WorkerEvents) -> None:
        for info in events.started:
            self._observer.file_started(info)
        for source, remark in events.remarks:
            self._observer.file_remarked(source, remark)
        for name, (done, total) in events.downloads.items():
            self._observer.download_progressed(name, done, total)
        assert worker.identity is not None
        for line in events.lines:
            self._observer.notice(f"{worker.identity.host}: {line}")
        now = self._clock.monotonic()
        self._rates[_node(worker)].add(now, events.frames, events.media_seconds)

    def _report_progress(self, queue: SourceQueue, fleet: Fleet) -> None:
        now, ended = self._clock.monotonic(), self._outcomes.total()
        self._ended_rate.add(now, ended)
        ready = [worker for worker in fleet.workers if worker.identity is not None]
        workers = Counter(map(_node, ready))
        sources: Counter[str] = Counter()
        for worker in ready:
            sources[_node(worker)] += len(worker.tasks)
        nodes = (self._rates[name].progress(name, workers[name], sources[name]) for name in workers)
        rate, total = self._ended_rate.per_second, self._total or queue.total
        progress = ClusterProgress(
            dict(self._outcomes),
            total,
            len(fleet.workers) - len(ready),
            tuple(sorted(nodes, key=lambda node: node.name)),
            None if total is None or not rate else ceil((total - ended) / rate),
        )
        self._on_progress(progress)


def _node(worker: FleetWorker) -> str:
    assert worker.identity is not None
    return worker.identity.host


def _loss(crash: str | None) -> str:
    if crash is None:
        return "its worker was lost; another one begins it anew"
    return f"its worker crashed ({crash}); it is tried again alone"
