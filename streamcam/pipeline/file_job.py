"""A file in, its results out: the job of one file."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, SinkError, StreamcamError
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_results import Delivery, Results
from streamcam.pipeline.inference import Inference
from streamcam.pipeline.stream import Sampler, Stream
from streamcam.sources.base import Source
from streamcam.sources.inputs import Entry, open_source
from streamcam.sources.limits import Limits
from streamcam.types import Counts, JobReport, Outcome

_log = logging.getLogger(__name__)

# How often it is looked whether another process has ended with the file.
_POLL_SECONDS = 0.2


class Job:
    """Explains one file; its errors end in the report, never in the caller.

    Args:
        settings: Which frames are explained, and what is written.
        provider: Makes the engine when it is needed: for a file that cannot be opened, no model is
            loaded.
        publishable: Called when everything is written and nothing is published yet, from the job's
            thread; if it returns False, nothing is left of the results.
    """

    def __init__(
        self,
        entry: Entry,
        settings: Settings,
        provider: EngineProvider,
        observer: Observer,
        clock: Clock,
        publishable: Callable[[JobReport], bool] = lambda _: True,
    ) -> None:
        self._entry = entry
        self._provider = provider
        self._results = Results(entry, settings, provider, clock)
        self._limits = Limits(**settings.limits.model_dump())
        self._sampler = Sampler(**settings.sampling.model_dump())
        self._full = settings.output.video == "full"
        self._observer = observer
        self._clock = clock
        self._publishable = publishable
        self._stream: Stream | None = None
        self._stopped = False
        self._aborted = False
        self._again = False

    @property
    def stem(self) -> str:
        """The name of the results below the output folder, without ending."""
        return self._results.stem

    def stop(self) -> None:
        """End early and keep what is done. From any thread."""
        self._stopped = True
        if (stream := self._stream) is not None:
            stream.stop()

    def abort(self) -> None:
        """End at once and leave nothing. From any thread."""
        self._aborted = True
        self.stop()
        if (stream := self._stream) is not None:
            stream.cancel()

    def run(self) -> JobReport:
        """Explain the file, unless there are complete results of it.

        Raises:
            StreamcamError: The engine cannot be built; nothing else is raised.
        """
        begun = self._clock.monotonic()
        report = JobReport(self._entry.id, Outcome.STOPPED) if self._stopped else self._existing()
        if report is None:
            report = self._explain()
        report = replace(report, seconds=self._clock.monotonic() - begun)
        self._observer.file_ended(report)
        return report

    def _existing(self) -> JobReport | None:
        """Return the report of a source whose results are complete, None for any other.

        Where results lie in a storage that does not answer, it is that of a failure.
        """
        try:
            manifest = self._results.find_complete()
        except SinkError as error:
            return failed(JobReport(self._entry.id, Outcome.FAILED), error)
        if manifest is None:
            return None
        return JobReport(
            self._entry.id,
            Outcome.SKIPPED,
            outputs=self._results.existing(manifest),
            engine_key=None if manifest.key is None else manifest.key.digest,
        )

    def _explain(self) -> JobReport:
        """Explain the file; where its engine's device fails, anew with another engine."""
        while True:
            self._again = False
            with self._provider.lease() as engine:
                try:
                    report = self._explain_with(engine)
                except DeviceError as error:  # it cannot be built
                    if not self._hand_over(engine, error):
                        raise
                    continue
            if not self._again:
                return report

    def _explain_with(self, engine: EngineProvider) -> JobReport:
        try:
            source = open_source(self._entry.spec, self._limits)
        except Exception as error:  # noqa: BLE001 - one bad file must not end the others
            return failed(JobReport(self._entry.id, Outcome.FAILED), in_our_words(error))
        try:
            self._observer.file_started(source.info)
            pipeline = engine.pipeline()
            return self._claim() or self._explain_source(source, engine, pipeline)
        finally:
            source.close()
            self._results.release()

    def _hand_over(self, engine: EngineProvider, error: DeviceError) -> bool:
        """Return whether another engine explains the file, whose own one has failed."""
        self._again = not self._stopped and self._provider.takes_over(engine, error)
        if self._again:
            self._remark("its device failed; explaining it anew with another one")
        return self._again

    def _claim(self) -> JobReport | None:
        """Claim the results' names; return a report where nothing is left to do then."""
        waiting = False
        try:
            while not self._results.claim():
                if self._stopped:
                    return JobReport(self._entry.id, Outcome.STOPPED)
                if not waiting:
                    self._remark("another process explains it now; waiting for its end")
                waiting = True
                time.sleep(_POLL_SECONDS)
        except StreamcamError as error:
            return failed(JobReport(self._entry.id, Outcome.FAILED), error)
        existing = self._existing()
        if existing is None:
            for remark in self._results.remarks():
                self._remark(remark)
        return existing

    def _remark(self, remark: str) -> None:
        self._observer.file_remarked(self._entry.id, remark)

    def _explain_source(
        self, source: Source, engine: EngineProvider, pipeline: Inference
    ) -> JobReport:
        started, begun = self._clock.utc(), self._clock.monotonic()
        delivery = self._results.delivery(source.info, engine)
        report = self._run_stream(engine, pipeline, source, delivery)
        report = replace(report, seconds=self._clock.monotonic() - begun)
        if not report.outputs:
            return report
        try:
            ended = self._clock.utc()
            return self._results.write_manifest(source.info, report, engine, started, ended)
        except StreamcamError as error:
            return failed(self._results.without_manifest(report), error)

    def _run_stream(
        self, engine: EngineProvider, pipeline: Inference, source: Source, delivery: Delivery
    ) -> JobReport:
        made_with = engine.provenance().key.digest
        report = JobReport(self._entry.id, Outcome.DONE, engine_key=made_with)
        try:
            self._stream = stream = pipeline.open(source, self._sampler, delivery, every=self._full)
            if self._stopped:
                stream.stop()
            stream.run(lambda item: self._observer.item_written(self._entry.id, item))
        except Exception as error:  # noqa: BLE001 - one bad file must not end the others
            report = failed(report, in_our_words(error))
        finally:
            self._stream = None  # a run keeps its jobs, but need not keep their last frames
        if report.outcome is Outcome.DONE and self._stopped:
            report = replace(report, outcome=Outcome.STOPPED)
        if isinstance(report.cause, DeviceError) and self._hand_over(engine, report.cause):
            delivery.abort()
            return report
        return self._publish(source, delivery, report)

    def _publish(self, source: Source, delivery: Delivery, report: JobReport) -> JobReport:
        if self._aborted or not self._may_publish(report):
            delivery.abort()
            return report
        detections = dict(delivery.detections)
        counts = Counts(
            source.decoded,
            delivery.explained,
            source.corrupt,
            detections=detections,
            without_map=delivery.without_map,
        )
        report = replace(report, counts=counts, media_seconds=delivery.seconds)
        if delivery.explained:
            self._results.withdraw()
        try:
            return replace(report, outputs=delivery.finish())
        except StreamcamError as error:
            return failed(report, error)

    def _may_publish(self, report: JobReport) -> bool:
        if report.outcome is not Outcome.DONE and self._results.keeps_previous:
            self._remark("its complete results from before are kept")
            return False
        return self._publishable(report)


def failed(report: JobReport, error: StreamcamError) -> JobReport:
    if report.outcome is Outcome.FAILED and report.error is not None:
        return report
    return replace(
        report,
        outcome=Outcome.FAILED,
        error=error.message,
        hint=error.hint,
        exit_code=error.exit_code,
        retryable=error.retryable,
        cause=error,
    )


def in_our_words(error: Exception) -> StreamcamError:
    """Return the error itself if it was raised on purpose, else an internal fault."""
    if isinstance(error, StreamcamError):
        return error
    _log.debug("internal fault", exc_info=error)
    return StreamcamError(
        f"internal fault: {type(error).__name__}: {error}",
        hint="Please report this, with what `streamcam --debug ...` prints.",
    )
