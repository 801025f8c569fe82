"""Runs two engines over the same frames: each is decoded once and goes to both."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.audit.ground_truth import CocoTruth, truth_of
from streamcam.compare.box_matching import MatchedBoxes, match_boxes
from streamcam.compare.figures import Figures, figures_of
from streamcam.compare.pair_output import PairOutput
from streamcam.compare.pair_pictures import PairArtist
from streamcam.compare.probes import PROBES, ProbeReport, run_probes
from streamcam.compare.selected_frames import BestOfUnits, decoded, jpeg
from streamcam.compare.tally import ComparedFrame, Tally
from streamcam.compare.truth_scores import TruthScores, TruthTally
from streamcam.config import Settings
from streamcam.errors import SourceError
from streamcam.pipeline.engine_provider import FetchProgress, build_engine
from streamcam.pipeline.stream import Sampler
from streamcam.pipeline.trackers import style_of
from streamcam.sinks.registry import is_result
from streamcam.sources.base import FiniteSource
from streamcam.sources.inputs import Entry, expand, open_source
from streamcam.sources.limits import Limits
from streamcam.types import FrameResult

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine
    from streamcam.vision.engine_io import EngineDescription

StepProgress = Callable[[str, int, int], None]
"""Called with the current step's description, its number, and the number of steps."""

WORST = 20
"""Frames that are shown: those with the largest disagreement."""

# Steps of a source's progress.
_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPlan:
    """What to compare on what.

    Attributes:
        sources: Videos, pictures, folders, demo scenes.
        a, b: The settings of the two detectors; sampling, output and the look are those of `a`.
        names: What A and B are.
        truth: A COCO file with the true boxes; demo scenes have their own.
        probes: Frames that are changed to see what makes the detectors agree; 0 for none.
        pictures: Whether side-by-side videos and pictures are written.
    """

    sources: Sequence[str]
    a: Settings
    b: Settings
    names: tuple[str, str]
    truth: Path | None = None
    probes: int = 6
    pictures: bool = True


@dataclass(frozen=True, slots=True)
class ComparedSource:
    """What became of a source.

    Attributes:
        output: The side-by-side video or picture; None where none was written.
        error: Why it was not compared, or not to its end; None where it was.
    """

    id: str
    frames: int
    output: Path | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame of large disagreement, with A and B side by side as a JPEG."""

    numbers: ComparedFrame
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class DetectorComparison:
    """What came of it; `worst` begins with the largest disagreement."""

    names: tuple[str, str]
    engines: "tuple[EngineDescription, EngineDescription]"
    sources: Sequence[ComparedSource]
    frames: Sequence[ComparedFrame]
    figures: Figures
    truth: TruthScores | None
    probes: ProbeReport | None
    worst: Sequence[ShownFrame]


class Comparer:
    """Compares two detectors. For one thread, but for `stop`; run once."""

    def __init__(
        self,
        plan: ComparisonPlan,
        progress: StepProgress = lambda _what, _done, _all: None,
        fetching: FetchProgress | None = None,
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._fetching = fetching
        self._stopped = threading.Event()
        self._limits = Limits(**plan.a.limits.model_dump())
        self._coco = None if plan.truth is None else CocoTruth(plan.truth)
        self._tally = Tally()
        self._truth = TruthTally(self._coco.labels if self._coco else ())
        self._worst = BestOfUnits[ShownFrame](WORST)
        self._busiest = BestOfUnits[bytes](plan.probes)
        self._entries: Sequence[Entry] = ()
        self._steps = 0

    def stop(self) -> None:
        """End early; what was compared by then is reported. From any thread."""
        self._stopped.set()

    def run(self) -> DetectorComparison:
        """Compare to the end of all sources.

        Raises:
            UsageError: There is no such model, method or device.
            SourceError: No source could be read.
            SinkError: A picture or video cannot be written.
            DeviceError: The GPU failed.
        """
        self._entries = expand(self._plan.sources, is_result)
        if len(self._entries) == 1:
            # The detectors take seconds: not before a missing file has been reported.
            open_source(self._entries[0].spec, self._limits).close()
        self._steps = len(self._entries) * _STEPS + len(PROBES) + 1
        with ExitStack() as engines:
            a, b = (
                engines.enter_context(build_engine(settings, self._fetching))
                for settings in (self._plan.a, self._plan.b)
            )
            sources = [
                self._compare_source(place, entry, a, b)
                for place, entry in enumerate(self._entries)
                if not self._stopped.is_set()
            ]
            self._check(sources)
            probes = self._probe(a, b)
            described = a.description, b.description
        units = self._tally.units
        return DetectorComparison(
            names=self._plan.names,
            engines=described,
            sources=sources,
            frames=self._tally.frames,
            figures=figures_of(self._tally),
            truth=self._truth.scores(units),
            probes=probes,
            worst=self._worst.best(),
        )

    def _check(self, sources: Sequence[ComparedSource]) -> None:
        if self._tally.frames:
            return
        faults = [one.error for one in sources if one.error is not None]
        raise SourceError(faults[0] if faults else "no frame was compared")

    def _compare_source(self, place: int, entry: Entry, a: "Engine", b: "Engine") -> ComparedSource:
        before = len(self._tally.frames)
        output, error = None, None
        try:
            with closing(open_source(entry.spec, self._limits)) as source:
                size = source.info.width, source.info.height
                artist = PairArtist(self._plan.names, size, style_of(self._plan.a.render, None))
                if self._plan.pictures:
                    output = PairOutput(entry, source.info, artist.size, self._plan.a.output)
                self._compare_frames(place, source, (a, b), artist, output)
        except SourceError as fault:
            error = fault.message
        except BaseException:
            if output is not None:
                output.abort()
            raise
        frames = len(self._tally.frames) - before
        path = output.finish() if output is not None and frames else None
        return ComparedSource(entry.id, frames, path, error)

    def _compare_frames(
        self,
        place: int,
        source: FiniteSource,
        engines: "tuple[Engine, Engine]",
        artist: PairArtist,
        output: PairOutput | None,
    ) -> None:
        length = source.info.duration
        for a, b in self._results(source, engines):
            share = min(1.0, a.frame.time / length) if length else 0.0
            self._progress(source.info.id, place * _STEPS + int(share * _STEPS), self._steps)
            matched = match_boxes(a.detections, b.detections)
            numbers = self._tally.add(a, b, matched)
            known = truth_of(source, a.frame, self._coco)
            if known is not None:
                self._truth.add(numbers.unit, known, a.detections, b.detections)
            if output is not None:
                output.write(a.frame, artist.draw(a, b, matched, numbers))
            self._select(a, b, matched, numbers, artist)

    def _select(
        self,
        a: FrameResult,
        b: FrameResult,
        matched: MatchedBoxes,
        numbers: ComparedFrame,
        artist: PairArtist,
    ) -> None:
        """Keep a frame as a picture if it is one of those to be shown, or to be probed."""
        self._worst.consider(
            numbers.unit,
            numbers.disagreement,
            lambda: ShownFrame(numbers, jpeg(artist.side_by_side(a, b, matched))),
        )
        self._busiest.consider(
            numbers.unit,
            sum(one.confidence for one in (*a.detections, *b.detections)),
            lambda: jpeg(a.frame.picture, exact=True),
        )

    def _results(
        self, source: FiniteSource, engines: "tuple[Engine, Engine]"
    ) -> Iterator[tuple[FrameResult, FrameResult]]:
        """Both engines' results of every sampled frame, until stopped."""
        frames = source.frames(Sampler(**self._plan.a.sampling.model_dump()))
        size = min(engine.batch for engine in engines)
        try:
            while batch := list(islice(frames, size)):
                a, b = (engine.explain(batch) for engine in engines)
                yield from zip(a, b, strict=True)
                if self._stopped.is_set():
                    return
        finally:
            for engine in engines:
                engine.forget(source.info.id)

    def _probe(self, a: "Engine", b: "Engine") -> ProbeReport | None:
        """Probe the frames with the most boxes; None where there are none, or it was stopped."""
        pictures = [decoded(one) for one in self._busiest.best()]
        if not pictures or self._stopped.is_set():
            return None
        done = itertools.count(len(self._entries) * _STEPS)
        return run_probes(
            a, b, pictures, lambda what: self._progress(f"probe: {what}", next(done), self._steps)
        )
