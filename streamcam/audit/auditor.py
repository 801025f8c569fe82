"""Runs an audit: samples frames of a source, with their ground truth, and measures methods."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.audit.ground_truth import CocoTruth, Sample, truth_of
from streamcam.audit.scores import AuditReport
from streamcam.audit.verdict import MOST_FRAMES
from streamcam.cam_methods import EIGENCAM, find_method
from streamcam.config import Settings
from streamcam.errors import SourceError, UsageError
from streamcam.pipeline.engine_provider import FetchProgress, build_engine
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.registry import is_result
from streamcam.sources.base import FiniteSource
from streamcam.sources.inputs import Entry, expand, open_source
from streamcam.sources.limits import Limits
from streamcam.types import Frame

if TYPE_CHECKING:
    from streamcam.vision.engine_io import EngineDescription

# Of the clip for flicker: three changes, at the default sampling rate.
_CLIP_FRAMES = 4
_CLIP_FPS = 5.0

# For videos of unknown length.
_UNKNOWN_LENGTH_FPS = 1.0


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What to audit: a video, a picture, a folder of them, or a demo scene."""

    source: str
    frames: int | None = None  # to sample, evenly spaced; None for as many as decide
    top: int = 2  # most boxes to explain in a frame, the most confident
    methods: Sequence[str] = ()  # empty for all that the detector has
    truth: Path | None = None  # a COCO file with the true boxes; the demo scene has its own


def run_audit(
    plan: AuditPlan,
    settings: Settings,
    *,
    progress: Callable[[str, int, int], None],
    fetching: FetchProgress | None = None,
) -> tuple[AuditReport, "EngineDescription"]:
    """Measure methods on a source's frames; also describe the engine they were measured with.

    Raises:
        UsageError: There is no such method, model or device, or the truth cannot be used.
        SourceError: The source cannot be read, or nothing is detected in it.
    """
    for name in plan.methods:
        find_method(name)
    entries = expand([plan.source], is_result)
    truth = None if plan.truth is None else CocoTruth(plan.truth)
    limits = Limits(**settings.limits.model_dump())
    samples = _samples(entries, plan.frames or MOST_FRAMES, truth, limits)
    clip = _clip(entries, limits)
    # Imports torch, which takes seconds: not before a missing file has been reported.
    from streamcam.audit.measure import Audit
    from streamcam.vision.build import choose_methods

    eigencam = settings.model_copy(
        update={"cam": settings.cam.model_copy(update={"method": EIGENCAM})}
    )
    # Not fused, since the weights are shuffled.
    with build_engine(eigencam, fetching, fuse=False) as engine:
        methods = choose_methods(plan.methods, engine.detector.network, engine.description.model)
        audit = Audit(
            engine, methods, top=plan.top, until_decided=plan.frames is None, progress=progress
        )
        return audit.run(samples, clip), engine.description


def sample_frame(source: str, limits: Limits, at: float | None = None) -> Frame:
    """One frame of a picture or a video, or of the first one of a folder.

    Args:
        source: A path, or the URL of something that ends.
        limits: What a file may ask for.
        at: Seconds of the video: the first frame from there on; None for its middle.

    Raises:
        UsageError: A picture has no times.
        SourceError: It cannot be read, or ends before that.
    """
    entry, *_ = expand([source], is_result)
    if at is not None:
        return _frame_at(entry, at, limits)
    (sample,) = _of_one(entry, 1, None, limits)
    return sample.frame


def _frame_at(entry: Entry, at: float, limits: Limits) -> Frame:
    with closing(open_source(entry.spec, limits)) as source:
        if source.info.still:
            raise UsageError(f"{entry.id} is a picture, which has no frame at {at:g} s")
        frame = next(iter(source.frames(Sampler(start=at))), None)
        if frame is None:
            length = source.info.duration
            lasts = "" if length is None else f": it lasts {length:.1f} s"
            raise SourceError(f"{entry.id}: no frame at {at:g} s or later{lasts}")
        return frame


def _samples(
    entries: Sequence[Entry], count: int, truth: CocoTruth | None, limits: Limits
) -> list[Sample]:
    """Evenly spaced frames of one source, or one frame each of evenly chosen sources."""
    if len(entries) == 1:
        return _of_one(entries[0], count, truth, limits)
    if truth is not None:
        known = [entry for entry in entries if truth.knows(Path(entry.spec))]
        entries = known or entries
    chosen = [entries[place * len(entries) // count] for place in range(min(count, len(entries)))]
    return [
        sample for entry in dict.fromkeys(chosen) for sample in _of_one(entry, 1, truth, limits)
    ]


def _of_one(entry: Entry, count: int, truth: CocoTruth | None, limits: Limits) -> list[Sample]:
    with closing(open_source(entry.spec, limits)) as source:
        frames = list(islice(source.frames(_spread(source, count)), count))
        if not frames:
            raise SourceError(f"{entry.id}: no frame could be read")
        return [Sample(frame, truth_of(source, frame, truth)) for frame in frames]


def _spread(source: FiniteSource, count: int) -> Sampler:
    """A sampler of the middles of `count` equal parts of a source."""
    length = source.info.duration
    if source.info.still or length is None or length <= 0:
        return Sampler(max_fps=_UNKNOWN_LENGTH_FPS)
    return Sampler(max_fps=count / length, start=length / count / 2)


def _clip(entries: Sequence[Entry], limits: Limits) -> list[Frame]:
    """Successive frames from the middle of a single video; empty for anything else."""
    if len(entries) != 1:
        return []
    with closing(open_source(entries[0].spec, limits)) as source:
        if source.info.still:
            return []
        length = source.info.duration or 0.0
        start = max(0.0, length / 2 - _CLIP_FRAMES / _CLIP_FPS / 2)
        sampler = Sampler(max_fps=_CLIP_FPS, start=start)
        return list(islice(source.frames(sampler), _CLIP_FRAMES))
