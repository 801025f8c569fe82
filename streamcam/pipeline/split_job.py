"""The job of one file that is worked on in pieces, if it is long enough."""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import replace
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import orjson

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.observer import Observer
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_job import Job, failed
from streamcam.pipeline.file_sinks import file_sinks
from streamcam.pipeline.inference import Inference
from streamcam.pipeline.piece_job import PieceJob
from streamcam.pipeline.pieces import Piece, PieceRecord, piece_folder, plan_pieces, total
from streamcam.sinks.base import ResultFile, result_path
from streamcam.sinks.joining import (
    copy_still,
    join_archives,
    join_folders,
    join_records,
    join_videos,
)
from streamcam.sinks.parquet.record_tables import DETECTION_TABLE, FRAME_TABLE
from streamcam.sinks.parquet.table_file import join_tables
from streamcam.sinks.parquet.table_sinks import DETECTIONS, FRAMES, read_record_tables
from streamcam.sources.base import Source
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport, Outcome, SourceInfo

_COMPLETE = (Outcome.DONE, Outcome.SKIPPED)

TOLERANCE = 0.01
"""How far a map's figures may differ at the seam of two pieces from those in one piece."""


class SplitJob(Job):
    """Explains one file, in pieces where it is longer than `[output] split`, and joins them.

    Pieces that are complete are kept when the job, or its process, ends early, and taken up by the
    next job of the file.

    Args:
        helpers: Its idle threads work on pieces too; None: the job's own thread alone.
    """

    def __init__(
        self,
        entry: Entry,
        settings: Settings,
        provider: EngineProvider,
        observer: Observer,
        clock: Clock,
        helpers: Executor | None = None,
    ) -> None:
        super().__init__(entry, settings, provider, observer, clock)
        self._settings = settings
        self._helpers = helpers
        self._work: _PieceWork | None = None

    def stop(self) -> None:
        """End early: pieces that are complete are kept for the next time. From any thread."""
        super().stop()
        if (work := self._work) is not None:
            work.stop()

    def _explain_source(
        self, source: Source, engine: EngineProvider, pipeline: Inference
    ) -> JobReport:
        try:
            plan = plan_pieces(self._entry, self._settings)
        except StreamcamError as error:
            return failed(JobReport(self._entry.id, Outcome.FAILED), error)
        if plan.remark is not None:
            self._remark(plan.remark)
        if len(plan.pieces) < 2:
            return super()._explain_source(source, engine, pipeline)
        started, begun = self._clock.utc(), self._clock.monotonic()
        report = self._run_pieces(plan.pieces, source.info)
        report = replace(report, seconds=self._clock.monotonic() - begun)
        if not report.outputs:
            return report
        try:
            ended = self._clock.utc()
            report = self._results.write_manifest(source.info, report, engine, started, ended)
        except StreamcamError as error:
            return failed(self._results.without_manifest(report), error)
        shutil.rmtree(piece_folder(self._entry, self._settings), ignore_errors=True)
        return report

    def _run_pieces(self, pieces: Sequence[Piece], info: SourceInfo) -> JobReport:
        key = self._provider.key().digest
        report = JobReport(self._entry.id, Outcome.DONE, engine_key=key)
        self._work = work = _PieceWork([self._job_of(piece) for piece in pieces])
        if self._stopped:
            work.stop()
        reports = work.run(self._helpers, self._settings.output.workers)
        done = list(takewhile(lambda each: each.outcome in _COMPLETE, reports))
        if len(done) < len(reports):
            after = reports[len(done)]
            if after.outcome is not Outcome.FAILED:
                self._remark(f"{work.complete} of {len(pieces)} pieces are done and kept")
                return replace(report, outcome=Outcome.STOPPED)
            report = replace(after, outputs={}, engine_key=key)
            if after.retryable or not self._may_publish(report):
                return report
            # As in one piece: what was read before the damage is kept.
            done.append(after)
        return self._join(work.records[: len(done)], info, report)

    def _job_of(self, piece: Piece) -> PieceJob:
        return PieceJob(
            *(self._entry, piece, self._settings, self._provider, self._observer, self._clock)
        )

    def _join(
        self, found: Sequence[PieceRecord | None], info: SourceInfo, report: JobReport
    ) -> JobReport:
        records = [record for record in found if record is not None and record.outputs]
        if not records:
            return report
        for remark in seam_remarks(records):
            self._remark(remark)
        first, last = records[0].first, records[-1].last
        seconds = 0.0 if first is None or last is None else last - first
        report = replace(report, counts=total(records), media_seconds=seconds)
        self._results.withdraw()
        sound = info if self._settings.output.audio else None
        try:
            return replace(report, outputs=self._joined(records, sound))
        except StreamcamError as error:
            return failed(report, error)

    def _joined(self, records: Sequence[PieceRecord], sound: SourceInfo | None) -> dict[str, Path]:
        """Write the whole video's files, and return them by kind."""
        best = max(records, key=lambda record: record.still_score)
        joins: Mapping[str, Callable[[list[Path], Path], Path]] = {
            "records": join_records,
            FRAMES.kind: partial(join_tables, FRAME_TABLE),
            DETECTIONS.kind: partial(join_tables, DETECTION_TABLE),
            "maps": join_folders if self._settings.output.save_maps == "png" else join_archives,
            "video": partial(join_videos, sound=sound),
            "picture": lambda _, target: copy_still(best.outputs["picture"], target),
        }
        endings = {file.kind: file.ending for file in joined_files(self._settings)}
        return {
            kind: joins[kind](
                [record.outputs[kind] for record in records],
                result_path(self._settings.output.local_folder, self.stem, ending),
            )
            for kind, ending in endings.items()
        }


def joined_files(settings: Settings) -> list[ResultFile]:
    """Return the files that a video's pieces have."""
    found = (choice.type.result_file for choice in file_sinks(settings, still=False))
    return [file for file in found if file is not None]


def seam_remarks(records: Sequence[PieceRecord]) -> Iterator[str]:
    """Tell where two pieces differ in the figures of the last frame before the later one.

    That frame is explained for both: as the last one of the earlier piece, and of the lead-in.
    """
    for before, after in pairwise(records):
        here, there = _last_record(before), after.lead_in
        if there is None or here["frame"] != there["frame"]:
            continue
        apart = max(
            (abs(a - b) for a, b in zip(_figures(here), _figures(there), strict=False)), default=0.0
        )
        if apart > TOLERANCE:
            yield f"at {after.piece.start:g} s, where two pieces meet, maps differ by {apart:.3f}"


def _last_record(piece: PieceRecord) -> Mapping[str, Any]:
    if "records" not in piece.outputs:
        return deque(read_record_tables(piece.outputs[FRAMES.kind]), maxlen=1)[0]
    *_, line = piece.outputs["records"].read_bytes().splitlines()
    record: dict[str, Any] = orjson.loads(line)
    return record


def _figures(record: Mapping[str, Any]) -> Iterator[float]:
    cam = record["cam"]
    yield from (cam["explained_variance"] or 0.0, cam["flicker"] or 0.0)
    for detection in record["detections"]:
        yield detection["focus"]["energy"]


class _PieceWork:
    """The pieces of one video, each taken by the next thread that has nothing to do.

    Attributes:
        records: Of the pieces, in their order; None for one that was not ended.
    """

    def __init__(self, jobs: Sequence[PieceJob]) -> None:
        self._jobs = jobs
        self._reports: dict[int, JobReport] = {}
        self._next = 0
        self._last = len(jobs)
        self._lock = threading.Lock()

    @property
    def records(self) -> list[PieceRecord | None]:
        return [job.record for job in self._jobs]

    @property
    def complete(self) -> int:
        return sum(report.outcome in _COMPLETE for report in self._reports.values())

    def stop(self) -> None:
        """Take no further piece, and abort those that are not complete. From any thread."""
        self._end_before(0)

    def run(self, helpers: Executor | None, workers: int) -> list[JobReport]:
        """Work on all pieces, and return their reports, in their order.

        Pieces after one that failed are given up. The threads of `helpers` may be busy with other
        files, or wait for this one's end: the calling thread works too.
        """
        futures: list[Future[None]] = []
        if helpers is not None:
            most = min(workers, len(self._jobs))
            futures = [helpers.submit(self._work) for _ in range(most - 1)]
        self._work()
        wait([future for future in futures if not future.cancel()])
        for future in futures:
            if not future.cancelled():
                future.result()
        stopped = JobReport("", Outcome.STOPPED)
        return [self._reports.get(number, stopped) for number in range(len(self._jobs))]

    def _work(self) -> None:
        while True:
            with self._lock:
                number = self._next
                if number >= self._last:
                    return
                self._next += 1
            try:
                report = self._jobs[number].run()
            except BaseException:
                self.stop()
                raise
            self._reports[number] = report
            if report.outcome is Outcome.FAILED:
                self._end_before(number)

    def _end_before(self, number: int) -> None:
        with self._lock:
            self._last = min(self._last, number)
        for job in self._jobs[number:]:
            job.abort()
