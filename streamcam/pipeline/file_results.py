"""The results of one file: their names, its sinks, its manifest, and whether they are there."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.fingerprint import fingerprint_of_text
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.file_sinks import file_sinks
from streamcam.pipeline.result_folder import result_folder
from streamcam.pipeline.trackers import style_of, tracker_of
from streamcam.render import Annotator, annotate
from streamcam.sinks.base import Sink, SinkTarget
from streamcam.sinks.claim import ResultClaim
from streamcam.sinks.manifest import (
    MANIFEST,
    Manifest,
    SourceIdentity,
    find_complete,
    write_manifest,
)
from streamcam.sinks.registry import remove_unfinished
from streamcam.sources.inputs import Entry
from streamcam.types import FrameResult, Item, JobReport, Picture, ResultPlace, SourceInfo

if TYPE_CHECKING:
    from streamcam.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

_DIGEST = 8

_LONGEST_VALUE = 24


class Delivery:
    """Hands each item to every sink of a source, tracked, and annotated where one needs that."""

    def __init__(
        self,
        sinks: Sequence[Sink[BaseModel]],
        annotate: Callable[[Item], Picture],
        tracker: "Tracker | None" = None,
    ) -> None:
        self._sinks = tuple(sinks)
        self._annotate = annotate
        self._tracker = tracker
        self._needs_picture = any(sink.needs_picture for sink in sinks)
        self.explained = 0
        self.without_map = 0
        self.detections: Counter[str] = Counter()
        self._first_time: float | None = None
        self._last_time = 0.0

    @property
    def seconds(self) -> float:
        """Seconds on the source's own clock from the first item to the last."""
        return self._last_time - (self._first_time or 0.0)

    def write(self, item: Item) -> None:
        if self._tracker is not None and isinstance(item, FrameResult):
            item = self._tracker.apply(item)
        picture = self._annotate(item) if self._needs_picture else None
        for sink in self._sinks:
            sink.write(item, picture if sink.needs_picture else None)
        self._count(item)

    def hold(self, item: FrameResult) -> None:
        """Let frames after it that are not explained show its map; it is not written."""
        if self._needs_picture:
            self._annotate(item)

    def _count(self, item: Item) -> None:
        frame = item.frame if isinstance(item, FrameResult) else item
        if self._first_time is None:
            self._first_time = frame.time
        self._last_time = frame.time
        if isinstance(item, FrameResult):
            self.explained += 1
            self.without_map += not item.explanation.has_map
            self.detections.update(detection.label for detection in item.detections)

    def finish(self) -> dict[str, Path]:
        """Publish every sink's file and return them by kind; without explained frames leave none.

        Raises:
            SinkError: A file could not be completed; the others of this source are published.
        """
        if not self.explained:
            self.abort()
            return {}
        outputs: dict[str, Path] = {}
        failure: Exception | None = None
        for sink in self._sinks:
            try:
                path = sink.finish()
                if path is not None and sink.result_file is not None:
                    outputs[sink.result_file.kind] = path
            except Exception as error:  # noqa: BLE001 - raised below, once the others are published
                self._abort(sink)
                failure = failure or error
        if failure is not None:
            raise failure
        return outputs

    def abort(self) -> None:
        for sink in self._sinks:
            self._abort(sink)

    def _abort(self, sink: Sink[BaseModel]) -> None:
        try:
            sink.abort()
        except Exception as error:  # noqa: BLE001 - the others must be aborted too
            _log.warning("%s: not aborted: %s", type(sink).__name__, error)


class Results:
    """The files of one source: an annotated video or picture, JSON lines, a manifest.

    Their names are the source's own: those of another source's results are never taken.

    Args:
        provider: Tells what results are to be made with.

    Attributes:
        stem: The name of the results below the output folder, without ending; the one that
            `claim` found.
    """

    def __init__(
        self, entry: Entry, settings: Settings, provider: EngineProvider, clock: Clock
    ) -> None:
        self.stem = entry.stem
        self._entry = entry
        self._folder = result_folder(settings.output.folder)
        self._settings = settings
        self._provider = provider
        self._clock = clock
        self._claim: ResultClaim | None = None
        self._previous: Manifest | None = None
        self._others: list[SourceIdentity] = []

    @cached_property
    def source(self) -> SourceIdentity:
        """The source, with its content at the first call: before anything is read for results."""
        return SourceIdentity(self._entry.location, self._entry.fingerprint())

    def find_complete(self) -> Manifest | None:
        """Return the manifest of results that are complete and not to be made again.

        Raises:
            StreamcamError: The engine, which must be known, cannot be built.
        """
        output = self._settings.output
        if output.overwrite:
            return None
        entry = self._entry
        stems = (entry.stem, *entry.shorter_stems, *entry.longer_stems)
        key = None if output.skip_existing else self._provider.key
        return find_complete(map(self._folder.read, stems), self.source, key)

    def claim(self) -> bool:
        """Choose the results' name, and keep others from it until `release`.

        It is the name that this source's results have already, or the first that those of no other
        source have. Returns False while another job writes results of this source.

        Raises:
            SinkError: The output folder cannot be used.
        """
        self._others = []
        for stem in self._stems():
            if any(f"/{other.location}".endswith(f"/{stem}") for other in self._others):
                continue  # the name would fit the other source just as well
            owner = self._try_claim(stem)
            if owner is None:
                return self._claim is not None
            self._others.append(owner)
        raise AssertionError("the last name is unique")

    def _stems(self) -> Iterator[str]:
        """Yield the names that come into question, those with results of this source first."""
        entry = self._entry
        own = (entry.stem, *entry.longer_stems)
        for stem in (*own, *entry.shorter_stems):
            manifest = self._folder.read(stem)
            if manifest is not None and manifest.source.is_same_source(self.source):
                yield stem
        yield from own
        digest = fingerprint_of_text(self.source.location)
        yield f"{own[-1]}~{digest[:_DIGEST]}"

    def _try_claim(self, stem: str) -> SourceIdentity | None:
        """Claim a name; return the other source that has it, None if no other has.

        Then the claim is held, or the job that has it is another one for this source.
        """
        claim = ResultClaim(self._folder.manifest_path(stem), self.source)
        previous = self._folder.read(stem)
        if previous is None or previous.source.is_same_source(self.source):
            if not claim.acquire():
                holder = claim.holder()
                same = holder is None or holder.is_same_source(self.source) or previous is not None
                return None if same else holder
            # Another job may have written it just now.
            previous = self._folder.read(stem)
        if previous is not None and not previous.source.is_same_source(self.source):
            claim.release()
            return previous.source
        self.stem, self._claim, self._previous = stem, claim, previous
        remove_unfinished(self._folder.path, stem)
        return None

    def release(self) -> None:
        """Let others have the name; idempotent."""
        self._previous = None  # a run keeps its jobs to the end, but need not keep their manifests
        if self._claim is not None:
            self._folder.release(self.stem)
            self._claim.release()
            self._claim = None

    def remarks(self) -> list[str]:
        """Return what people should know: why results are made again, or have another name."""
        remarks = []
        if self._others and self._previous is None:
            others = " and of ".join(other.location for other in self._others)
            remarks.append(
                f"its results are called {self.stem}.*, as {self._entry.stem}.* are of {others}"
            )
        if self._previous is not None and not self._settings.output.overwrite:
            remarks.append(f"{self._reason(self._previous)}; explaining it anew")
        return remarks

    def _reason(self, previous: Manifest) -> str:
        if not previous.complete:
            return "its results are not complete"
        if previous.key is None:
            return "its results, of an earlier streamcam, do not tell what they were made from"
        if not previous.source.has_content_of(self.source):
            return "it has changed since it was explained"
        differing = "; ".join(_changes(previous.key.parts, self._provider.key().parts))
        return f"its results were made differently ({differing})"

    @property
    def keeps_previous(self) -> bool:
        """Whether there are complete results of the same content, which only such may replace."""
        previous = self._previous
        if previous is None or not previous.complete:
            return False
        return previous.source.has_content_of(self.source)

    def delivery(self, info: SourceInfo, engine: EngineProvider) -> Delivery:
        target = SinkTarget(info, self._folder.path, self.stem, engine.provenance, self._clock)
        chosen = file_sinks(self._settings, still=info.still)
        tracking = None if info.still else self._settings.file_tracking
        style = style_of(self._settings.render, tracking)
        # An annotator keeps the last picture, which may be large, for the frames that follow.
        draw = partial(annotate, style=style) if info.still else Annotator(style).annotate
        sinks = [sink.create(target) for sink in chosen]
        return Delivery(sinks, draw, tracker_of(tracking))

    def withdraw(self) -> None:
        """See `ResultFolder.withdraw`."""
        self._folder.withdraw(self.stem)

    def write_manifest(
        self,
        info: SourceInfo,
        report: JobReport,
        engine: EngineProvider,
        started: datetime,
        ended: datetime,
    ) -> JobReport:
        """Bring the results to their place, the manifest last.

        Returns the report with the manifest among the outputs.

        Raises:
            SinkError: They are not complete then.
        """
        made = {kind: path for kind, path in report.outputs.items() if isinstance(path, Path)}
        manifest = write_manifest(
            self._folder.manifest_path(self.stem),
            info,
            report,
            engine.provenance(),
            identity=self.source,
            started=started,
            ended=ended,
            versions=self._folder.store(self.stem, made),
        )
        self._folder.commit(manifest)
        return replace(report, outputs=self._places({**made, MANIFEST.kind: manifest}))

    def without_manifest(self, report: JobReport) -> JobReport:
        """Return the report of results that could not be completed: which of them are there."""
        return report if self._folder.in_place else replace(report, outputs={})

    def existing(self, manifest: Manifest) -> Mapping[str, ResultPlace]:
        """Return where the results that a manifest tells of are, by kind."""
        return self._places({**manifest.outputs, MANIFEST.kind: manifest.path})

    def _places(self, paths: Mapping[str, Path]) -> Mapping[str, ResultPlace]:
        return {kind: self._folder.place_of(path) for kind, path in paths.items()}


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs, as e.g. "cam.method was eigencam, is layercam"."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    # What only one has is mostly settings that the others of it gave an effect.
    shared = [name for name in names if name in before and name in now]
    return [
        f"{name} was {_shortened(before.get(name))}, is {_shortened(now.get(name))}"
        for name in shared or names
    ]


def _shortened(value: object) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
