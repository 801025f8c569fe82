"""Files in, results out, once: the wiring of `streamcam run`."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.pipeline.job import Job, Observer
from streamcam.pipeline.results import Results
from streamcam.pipeline.sampler import Sampler
from streamcam.pipeline.street import Street
from streamcam.records import JobReport
from streamcam.sinks.manifest import EngineFacts
from streamcam.sources import Entry

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

FetchProgress = Callable[[str, int, int | None], None]
"""Is told of a download: the file, bytes so far, bytes in all where known."""

# How often a wait for the jobs lets signal handlers run: soon enough for a person.
_POLL_SECONDS = 0.2

# How long aborted jobs get to remove their unfinished files: one forward of a slow model.
_GRACE_SECONDS = 5.0


class Run:
    """Explains files, several at a time, with one engine that is built when first needed.

    Args:
        settings: What the user wants.
        observer: Is told how the work goes.
        fetching: Is told of downloads.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        *,
        fetching: FetchProgress | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._fetching = fetching
        self._clock = clock or Clock()
        self._jobs: list[Job] = []

    def explain(self, entries: Sequence[Entry]) -> list[JobReport]:
        """Explain every entry; return a report for each, in their order.

        Raises:
            WeightsError: The model's weights cannot be used or fetched.
            UsageError: There is no such model, or the device does not exist.
            DeviceError: The GPU failed while the model was loaded.
        """
        with _LazyStreet(self._settings, self._fetching) as lazy:
            self._jobs = [self._job(entry, lazy) for entry in entries]
            return self._work_off(lazy)

    def stop(self) -> None:
        """End early: what is done is kept and valid. From any thread."""
        for job in self._jobs:
            job.stop()

    def abort(self) -> None:
        """End at once: unfinished results leave no trace. From any thread."""
        for job in self._jobs:
            job.abort()

    def _job(self, entry: Entry, lazy: "_LazyStreet") -> Job:
        settings = self._settings
        return Job(
            entry,
            results=Results(entry.stem, settings.output, settings.render, lazy.facts),
            sampler=Sampler(**settings.sampling.model_dump()),
            full=settings.output.video == "full",
            observer=self._observer,
            clock=self._clock,
        )

    def _work_off(self, lazy: "_LazyStreet") -> list[JobReport]:
        pool = ThreadPoolExecutor(self._settings.output.workers, "streamcam job")
        futures = [pool.submit(job.run, lazy.street) for job in self._jobs]
        try:
            while wait(futures, _POLL_SECONDS).not_done:
                if any(future.done() and future.exception() for future in futures):
                    self.stop()
        except BaseException:
            self.abort()
            wait(futures, _GRACE_SECONDS)
            raise
        finally:
            pool.shutdown(wait=False)
        return [future.result() for future in futures]


class _LazyStreet:
    """Builds the engine and opens the street when the first job asks; a context manager."""

    def __init__(self, settings: Settings, fetching: FetchProgress | None) -> None:
        self._settings = settings
        self._fetching = fetching
        self._lock = threading.Lock()
        self._exits = ExitStack()
        self._engine: Engine | None = None
        self._street: Street | None = None
        self._fault: StreamcamError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()

    def facts(self) -> EngineFacts:
        """Return what results are made with; only after `street` was called."""
        assert self._engine is not None
        engine = self._engine.description
        return EngineFacts(
            model=engine.model,
            classes=tuple(engine.classes.values()),
            method=engine.method,
            device=engine.device,
            weights_sha256=engine.weights_sha256,
            settings=self._settings.model_dump(mode="json"),
        )

    def street(self) -> Street:
        """Return the street, open.

        Raises:
            StreamcamError: The engine cannot be built; every later call raises the same.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if self._street is None:
                self._street = self._open()
            return self._street

    def _open(self) -> Street:
        try:
            self._engine = _build_engine(self._settings, self._fetching)
        except StreamcamError as error:
            self._fault = error
            raise
        self._exits.callback(self._engine.close)
        model = self._settings.model
        street = Street(self._engine, batch=model.batch, max_wait=model.max_wait)
        return self._exits.enter_context(street)


def _build_engine(settings: Settings, fetching: FetchProgress | None) -> "Engine":
    # Imported here because it brings torch, which takes seconds: not for a file that is missing.
    from streamcam.vision.build import build_engine

    model = settings.model
    return build_engine(
        model=model.name,
        weights=_weights(model.weights),
        labels=model.labels,
        device=model.device,
        precision=model.precision,
        confidence=model.confidence,
        classes=model.classes or None,
        grid=settings.cam.grid,
        batch=model.batch,
        progress=fetching,
    )


def _weights(value: str | None) -> Path | Literal["random"] | None:
    if value is None or value == "random":
        return value
    return Path(value)
