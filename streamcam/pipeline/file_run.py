"""Files in, results out, once: the wiring of `streamcam run`."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider, LazyEngineProvider
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.file_results import Results
from streamcam.pipeline.sampler import Sampler
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport

# How often a wait for the jobs lets signal handlers run: soon enough for a person.
_POLL_SECONDS = 0.2

# How long aborted jobs get to remove their unfinished files: one forward of a slow model.
_GRACE_SECONDS = 5.0


class Run:
    """Explains files, several at a time, with one engine that is built when first needed.

    Args:
        settings: What the user wants.
        observer: Receives the files' and downloads' events.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock or Clock()
        self._jobs: list[Job] = []

    def explain(self, entries: Sequence[Entry]) -> list[JobReport]:
        """Explain every entry; return a report for each, in their order.

        Raises:
            WeightsError: The model's weights cannot be used or fetched.
            UsageError: There is no such model, or the device does not exist.
            DeviceError: The GPU failed while the model was loaded.
        """
        with LazyEngineProvider(self._settings, self._observer.download_progressed) as provider:
            self._jobs = [
                make_job(entry, self._settings, provider, self._observer, self._clock)
                for entry in entries
            ]
            return self._work_off()

    def stop(self) -> None:
        """End early: what is done is kept and valid. From any thread."""
        for job in self._jobs:
            job.stop()

    def abort(self) -> None:
        """End at once: unfinished results leave no trace. From any thread."""
        for job in self._jobs:
            job.abort()

    def _work_off(self) -> list[JobReport]:
        pool = ThreadPoolExecutor(self._settings.output.workers, "streamcam job")
        futures = [pool.submit(job.run) for job in self._jobs]
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


def make_job(
    entry: Entry,
    settings: Settings,
    provider: EngineProvider,
    observer: Observer,
    clock: Clock,
    publishable: Callable[[JobReport], bool] = lambda _: True,
) -> Job:
    """Give an entry its results, its selection of frames and its way to the engine."""
    return Job(
        entry,
        pipeline=provider.pipeline,
        results=Results(entry.stem, settings, provider.provenance, clock),
        sampler=Sampler(**settings.sampling.model_dump()),
        full=settings.output.video == "full",
        observer=observer,
        clock=clock,
        publishable=publishable,
    )
