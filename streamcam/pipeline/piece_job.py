"""The job of one piece of a long video: its results lie beside the video's until they are one."""

import time
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError, StreamcamError
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_job import failed, in_our_words
from streamcam.pipeline.file_results import Delivery
from streamcam.pipeline.file_sinks import file_sinks
from streamcam.pipeline.inference import Inference
from streamcam.pipeline.pieces import Piece, PieceRecord, PieceSelector, piece_folder, read_piece
from streamcam.pipeline.stream import Sampler, Stream
from streamcam.pipeline.trackers import style_of
from streamcam.render import Annotator
from streamcam.sinks.base import Sink, SinkTarget
from streamcam.sinks.claim import ResultClaim
from streamcam.sinks.manifest import SourceIdentity
from streamcam.sinks.pictures import still_score
from streamcam.sinks.records import record
from streamcam.sources.file import FileSource
from streamcam.sources.inputs import Entry, open_source
from streamcam.sources.limits import Limits
from streamcam.types import Counts, FrameResult, Item, JobReport, Outcome, SourceInfo

_POLL_SECONDS = 0.2

_RECORD = ".piece.json"


class PieceDelivery:
    """Hands a piece's frames to its sinks as frames of the whole video; keeps the lead-in back.

    Attributes:
        lead_in: The record of the last explained frame before the piece.
        corrupt_before: Damaged packets and frames before the piece.
    """

    def __init__(self, delivery: Delivery, piece: Piece, source: FileSource, name: str) -> None:
        self._delivery = delivery
        self._piece = piece
        self._source = source
        self._name = name
        self._held: FrameResult | None = None
        self.first: float | None = None
        self.last: float | None = None
        self.still_score = 0.0
        self.lead_in: dict[str, Any] | None = None
        self.corrupt_before = 0

    def write(self, item: Item) -> None:
        item = _renamed(item, self._name)
        moment = (item.frame if isinstance(item, FrameResult) else item).time
        if moment < self._piece.start:
            if isinstance(item, FrameResult):
                self._held = item
        elif moment < self._piece.end:
            if self.first is None:
                self._begin(item, moment)
            self._delivery.write(item)
            self.last = moment
            if isinstance(item, FrameResult):
                self.still_score = max(self.still_score, still_score(item))

    def _begin(self, item: Item, moment: float) -> None:
        self.first = moment
        self.corrupt_before = self._source.corrupt
        if self._held is None:
            return
        self.lead_in = record(self._held)
        if not isinstance(item, FrameResult):
            self._delivery.hold(self._held)
        self._held = None


def _renamed(item: Item, name: str) -> Item:
    """Return an item as one of the whole video: in the engine, pieces have names of their own."""
    if isinstance(item, FrameResult):
        return replace(item, frame=replace(item.frame, source=name))
    return replace(item, source=name)


class PieceJob:
    """Explains one piece; its errors end in the report, never in the caller.

    Args:
        piece: One of the source's plan.
        provider: Its engine is built when the piece is not complete yet.
        observer: Hears of the frames that are written; not of the begin and end of the piece.

    Attributes:
        record: What is known of the piece once its results are published.
    """

    def __init__(
        self,
        entry: Entry,
        piece: Piece,
        settings: Settings,
        provider: EngineProvider,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._entry = entry
        self.piece = piece
        self._settings = settings
        self._provider = provider
        self._observer = observer
        self._clock = clock
        self._folder = piece_folder(entry, settings)
        self._path = self._folder / f"{piece.number:04}{_RECORD}"
        self._stream: Stream | None = None
        self._aborted = False
        self.record: PieceRecord | None = None

    def abort(self) -> None:
        """End at once and leave nothing. From any thread."""
        self._aborted = True
        if (stream := self._stream) is not None:
            stream.cancel()

    def run(self) -> JobReport:
        """Explain the piece, unless its results are complete; wait where another job does so.

        Raises:
            StreamcamError: The engine cannot be built; nothing else is raised.
        """
        key = self._provider.key().digest
        report = JobReport(self._entry.id, Outcome.DONE, engine_key=key)
        claim = ResultClaim(self._path, SourceIdentity(self._entry.location, None))
        try:
            while not self._aborted:
                claimed = claim.acquire()
                if (done := read_piece(self._path, self.piece, key)) is not None:
                    self.record = done
                    kept = replace(report, outcome=Outcome.SKIPPED)
                    return replace(kept, outputs=done.outputs, counts=done.counts)
                if claimed:
                    return self._explain(report)
                time.sleep(_POLL_SECONDS)
            return replace(report, outcome=Outcome.STOPPED)
        except StreamcamError as error:
            return failed(report, error)
        finally:
            claim.release()

    def _explain(self, report: JobReport) -> JobReport:
        """Explain the piece; where its engine's device fails, anew with another engine."""
        while True:
            with self._provider.lease() as engine:
                ended = self._explain_with(engine, report)
                failure = ended.cause
                if not isinstance(failure, DeviceError) or self._aborted:
                    return ended
                if not self._provider.takes_over(engine, failure):
                    return ended

    def _explain_with(self, engine: EngineProvider, report: JobReport) -> JobReport:
        pipeline = engine.pipeline()
        limits = Limits(**self._settings.limits.model_dump())
        source = open_source(self._entry.spec, limits)
        assert isinstance(source, FileSource)
        begun = self._clock.monotonic()
        try:
            inner = self._delivery(source.info, engine)
            delivery = PieceDelivery(inner, self.piece, source, source.info.id)
            selector = PieceSelector(Sampler(**self._settings.sampling.model_dump()), self.piece)
            report = self._run_stream(pipeline, source, selector, delivery, report)
            if self._aborted or isinstance(report.cause, DeviceError):
                inner.abort()
                stopped = report.outcome is Outcome.DONE
                return replace(report, outcome=Outcome.STOPPED) if stopped else report
            counts = Counts(
                selector.decoded,
                inner.explained,
                source.corrupt - delivery.corrupt_before,
                detections=dict(inner.detections),
                without_map=inner.without_map,
            )
            report = replace(report, counts=counts, seconds=self._clock.monotonic() - begun)
            return self._publish(inner, delivery, report)
        finally:
            source.close()

    def _run_stream(
        self,
        pipeline: Inference,
        source: FileSource,
        selector: PieceSelector,
        delivery: PieceDelivery,
        report: JobReport,
    ) -> JobReport:
        # The engine keeps apart what has names of its own.
        source.info = replace(source.info, id=f"{source.info.id}\0{self.piece.number}")
        every = self._settings.output.video == "full"
        try:
            if self.piece.seek is not None:
                source.begin_at(self.piece.seek)
            self._stream = stream = pipeline.open(source, selector, delivery, every=every)
            if self._aborted:
                stream.cancel()
            stream.run(self._observe)
        except Exception as error:  # noqa: BLE001 - a bad piece must not end the others
            return failed(report, in_our_words(error))
        finally:
            self._stream = None
        return report

    def _observe(self, item: Item) -> None:
        moment = (item.frame if isinstance(item, FrameResult) else item).time
        if self.piece.start <= moment < self.piece.end:
            self._observer.item_written(self._entry.id, item)

    def _publish(self, inner: Delivery, delivery: PieceDelivery, report: JobReport) -> JobReport:
        try:
            outputs = inner.finish()
        except StreamcamError as error:
            return failed(report, error)
        self.record = PieceRecord(
            self.piece,
            report.engine_key or "",
            report.outcome,
            outputs,
            report.counts,
            delivery.first,
            delivery.last,
            delivery.still_score,
            delivery.lead_in,
        )
        self.record.write(self._path)
        return replace(report, outputs=outputs)

    def _delivery(self, info: SourceInfo, engine: EngineProvider) -> Delivery:
        name = f"{self.piece.number:04}"
        target = SinkTarget(info, self._folder, name, engine.provenance, self._clock)
        # The sound is the whole video's.
        output = self._settings.output.model_copy(update={"audio": False})
        chosen = file_sinks(self._settings.model_copy(update={"output": output}), still=False)
        sinks: list[Sink[BaseModel]] = [choice.create(target) for choice in chosen]
        return Delivery(sinks, Annotator(style_of(self._settings.render, None)).annotate)
