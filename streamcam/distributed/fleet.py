"""The workers of a distributed run: started, given sources, watched, and replaced when they end."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.distributed.cluster import WorkerShape
from streamcam.distributed.explain_worker import (
    ExplainWorker,
    WorkerIdentity,
    WorkResult,
    absolute,
    crash,
)
from streamcam.distributed.source_queue import SourceTask
from streamcam.distributed.worker_observer import WorkerEvents
from streamcam.errors import ClusterError
from streamcam.jobs.owner import OUT_OF_MEMORY
from streamcam.version import __version__

_EVENTS_SECONDS = 1.0
"""How often a worker is asked for its events: 64 workers cost the driver under 2 % of a core."""

_FAILED_STARTS = 5
"""Workers that may end before they are ready, one after another, until that counts as a fault of
the cluster; a lost node or two are none."""

_CLOSE_SECONDS = 5.0

_OTHER_CALLS = 2
"""Threads of a worker beside those of its sources: for events, and for `abort`."""

Ref: TypeAlias = Any
"""A reference to the result of a call, which Ray does not type for actors' methods."""


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A worker has returned what became of a source."""

    task: SourceTask
    explained: WorkResult


@dataclass(frozen=True, slots=True)
class SourceLost:
    """The worker of a source has ended before the source; `crash` tells of what, where known."""

    task: SourceTask
    crash: str | None


FleetEvent: TypeAlias = SourceEnded | SourceLost


@dataclass(eq=False, slots=True)
class FleetWorker:
    """A worker as the driver sees it.

    Attributes:
        identity: None before it has started.
        tasks: The sources that it works on, by the reference to their result.
        exclusive: Whether its only source may have crashed a worker before.
        closing: Whether it gets no further source.
        events: What it told last; None before it did.
    """

    handle: Any
    identity: WorkerIdentity | None = None
    tasks: dict[Ref, SourceTask] = field(default_factory=dict)
    exclusive: bool = False
    closing: bool = False
    events: WorkerEvents | None = None
    asked: float = 0.0
    asking: bool = False
    advanced: dict[int, tuple[int, float]] = field(default_factory=dict)

    def free(self, lanes: int) -> int:
        """Return how many more of `lanes` sources it can take."""
        if self.identity is None or self.exclusive or self.closing:
            return 0
        return lanes - len(self.tasks)


class Fleet:
    """Workers of one shape, each an actor with `lanes` sources at a time.

    Plain actors, not Ray Data's `map_batches`: that hands over blocks of rows, so that a lost actor
    repeats the whole block, and tells nothing of a source before its block has ended.

    Args:
        lanes: Sources at once in a worker; they share the batches of its engine.
        on_events: Called with a worker and what it newly told.
    """

    def __init__(
        self,
        settings: Settings,
        shape: WorkerShape,
        on_events: Callable[[FleetWorker, WorkerEvents], None],
        clock: Clock,
    ) -> None:
        self._settings = ray.put(absolute(settings))
        self._lanes = settings.output.workers
        self._stall = settings.ray.stall_timeout
        self._on_events = on_events
        self._clock = clock
        self._actor = ray.remote(ExplainWorker).options(
            num_cpus=shape.cpus,
            num_gpus=shape.gpus,
            max_concurrency=self._lanes + _OTHER_CALLS,
            max_restarts=0,
            max_task_retries=0,
        )
        self._workers: list[FleetWorker] = []
        self._pending: dict[Ref, Callable[[Ref], Iterator[FleetEvent]]] = {}
        self._failed_starts = 0
        self._in_doubt = 0

    @property
    def workers(self) -> tuple[FleetWorker, ...]:
        return tuple(self._workers)

    @property
    def at_work(self) -> int:
        """How many sources are in workers, or were in one whose end is still looked into."""
        return self._in_doubt + sum(len(worker.tasks) for worker in self._workers)

    def resize(self, wanted: int) -> None:
        """Start workers, or let idle ones end, until there are `wanted`."""
        while len(self._workers) < wanted:
            worker = FleetWorker(self._actor.remote(self._settings, str(Path.cwd())))
            self._workers.append(worker)
            self._await(worker.handle.identity.remote(), worker, self._started)
        for worker in [each for each in self._workers if not each.tasks]:
            if len(self._workers) > wanted or worker.closing:
                self._workers.remove(worker)
                worker.handle.close.remote()  # it ends with its handle, once it has closed

    def next_free(self) -> FleetWorker | None:
        """Return the worker with the fewest sources that can take one more; None: all are busy."""
        free = [worker for worker in self._workers if worker.free(self._lanes) > 0]
        return min(free, key=lambda worker: len(worker.tasks), default=None)

    def submit(self, worker: FleetWorker, task: SourceTask) -> None:
        ref = worker.handle.explain.remote(task.number, task.entry)
        worker.tasks[ref] = task
        worker.exclusive = task.suspect
        worker.advanced[task.number] = (0, self._clock.monotonic())
        self._await(ref, worker, self._ended)

    def wait(self, seconds: float) -> list[FleetEvent]:
        """Wait at most `seconds` for something to happen; return what became of sources.

        Raises:
            ClusterError: Workers cannot start.
        """
        self._ask()
        if not self._pending:
            return []
        ray.wait(list(self._pending), timeout=seconds, fetch_local=False)
        ready, _ = ray.wait(
            list(self._pending), num_returns=len(self._pending), timeout=0, fetch_local=False
        )
        happened: list[FleetEvent] = []
        for ref in ready:
            handle = self._pending.pop(ref, None)
            if handle is not None:
                happened += handle(ref)
        return [*happened, *self._stalled()]

    def abort(self, grace: float) -> None:
        """End all work at once; unfinished results are removed where that takes no longer."""
        calls = [worker.handle.abort.remote() for worker in self._workers if worker.identity]
        refs = [*calls, *(ref for worker in self._workers for ref in worker.tasks)]
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=grace)

    def close(self) -> None:
        """End all workers; those that do nothing are given the time to leave nothing behind."""
        idle = [worker for worker in self._workers if worker.identity and not worker.tasks]
        closing = [worker.handle.close.remote() for worker in idle]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_SECONDS)
        for worker in self._workers:
            ray.kill(worker.handle)
        self._workers.clear()
        self._pending.clear()

    # What calls have returned

    def _await(
        self,
        ref: Ref,
        worker: FleetWorker,
        then: Callable[[FleetWorker, Ref, Any], Iterator[FleetEvent]],
    ) -> None:
        """Have `then` called with the result of a worker's call."""

        def handle(ready: Ref) -> Iterator[FleetEvent]:
            try:
                result = ray.get(ready)
            except RayTaskError:
                raise  # a fault of ours
            except RayError as error:
                yield from self._lost(worker, error)
            else:
                yield from then(worker, ready, result)

        self._pending[ref] = handle

    def _started(
        self, worker: FleetWorker, _: Ref, identity: WorkerIdentity
    ) -> Iterator[FleetEvent]:
        if identity.version != __version__:
            raise ClusterError(
                f"{identity.host} has streamcam {identity.version}, this machine {__version__}",
                hint="Install the same version on every node.",
            )
        worker.identity = identity
        self._failed_starts = 0
        yield from ()

    def _ended(self, worker: FleetWorker, ref: Ref, explained: WorkResult) -> Iterator[FleetEvent]:
        task = worker.tasks.pop(ref)
        worker.exclusive = False
        worker.closing |= explained.fault is not None
        worker.advanced.pop(task.number, None)
        self._note(worker, explained.events)
        yield SourceEnded(task, explained)

    def _told(self, worker: FleetWorker, _: Ref, events: WorkerEvents) -> Iterator[FleetEvent]:
        worker.asking = False
        self._note(worker, events)
        yield from ()

    def _note(self, worker: FleetWorker, events: WorkerEvents) -> None:
        worker.events = events
        for number, written in events.written.items():
            before = worker.advanced.get(number)
            if before is not None and written > before[0]:
                worker.advanced[number] = (written, self._clock.monotonic())
        self._on_events(worker, events)

    def _ask(self) -> None:
        now = self._clock.monotonic()
        for worker in self._workers:
            due = now >= worker.asked + _EVENTS_SECONDS
            if worker.identity is not None and due and not worker.asking:
                worker.asked, worker.asking = now, True
                self._await(worker.handle.events.remote(), worker, self._told)

    # Workers that have ended

    def _lost(self, worker: FleetWorker, error: RayError) -> Iterator[FleetEvent]:
        """Forget a worker that has ended; what it had returned before counts."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        ray.kill(worker.handle)  # one that only cannot be reached must not go on
        self._check_start(worker, error)
        lost = []
        for ref, task in worker.tasks.items():
            self._pending.pop(ref, None)
            explained = _result_of(ref)
            if explained is None:
                lost.append(task)
            else:
                yield SourceEnded(task, explained)
        if isinstance(error, OutOfMemoryError):
            yield from (SourceLost(task, OUT_OF_MEMORY) for task in lost)
        elif lost:
            self._look_into(worker, lost)

    def _check_start(self, worker: FleetWorker, error: RayError) -> None:
        if worker.identity is not None:
            return
        self._failed_starts += 1
        broken = isinstance(error, ActorDiedError) and error.actor_init_failed
        if broken or self._failed_starts >= _FAILED_STARTS:
            reason = str(error).strip().rpartition("\n")[2].strip()
            raise ClusterError(
                f"workers cannot start: {reason}",
                hint="Install the same streamcam, with the extra `ray`, on every node.",
            )

    def _look_into(self, worker: FleetWorker, lost: list[SourceTask]) -> None:
        """Ask the worker's node what ended it; a node that does not answer is lost itself."""
        assert worker.identity is not None
        oom_kills = None if worker.events is None else worker.events.oom_kills
        there = NodeAffinitySchedulingStrategy(worker.identity.node, soft=False)
        ask = ray.remote(crash).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        self._in_doubt += len(lost)

        def handle(ready: Ref) -> Iterator[FleetEvent]:
            self._in_doubt -= len(lost)
            cause: str | None = None
            with suppress(RayError):
                cause = cast("str | None", ray.get(ready))
            yield from (SourceLost(task, cause) for task in lost)

        self._pending[ask.remote(worker.identity, oom_kills)] = handle

    def _stalled(self) -> Iterator[FleetEvent]:
        """End workers that have a source which does not advance any more."""
        now = self._clock.monotonic()
        for worker in self.workers:
            stalled = {
                number
                for number, (written, since) in worker.advanced.items()
                if written and now - since > self._stall
            }
            if not stalled:
                continue
            self._workers.remove(worker)
            ray.kill(worker.handle)
            for ref, task in worker.tasks.items():
                self._pending.pop(ref, None)
                hung = f"no further frame for {self._stall:g} s"
                yield SourceLost(task, hung if task.number in stalled else None)


def _result_of(ref: Ref) -> WorkResult | None:
    """Return what a call returned before its worker ended; None if it did not."""
    try:
        return cast("WorkResult", ray.get(ref, timeout=0))
    except RayError:
        return None
