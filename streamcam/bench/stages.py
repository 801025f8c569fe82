"""What each stage takes for a frame when nothing else runs beside it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.bench.clip import Clip
from streamcam.bench.results import Spread
from streamcam.config import Settings
from streamcam.pipeline.sampler import Sampler
from streamcam.render import Annotator
from streamcam.sinks.base import Sink, SinkSettings
from streamcam.sinks.records import JsonlSink
from streamcam.sinks.stills import StillSink
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.sources.inputs import open_source
from streamcam.types import Frame, FrameResult

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

STAGES = (
    *("decode", "upload", "preprocess", "forward", "cam", "download", "settle"),
    *("render", "encode", "records"),
)
"""In the order in which a frame passes them."""


def time_stages(
    engine: "Engine", clip: Clip, settings: Settings, folder: Path, rounds: int
) -> dict[str, Spread]:
    """Time every stage over the clip, the whole way anew in each round.

    Args:
        engine: Explains.
        clip: The frames.
        settings: Batch, and how videos are encoded.
        folder: Where the results go.
        rounds: How often.

    Returns:
        Seconds for a frame, by stage, in the order of `STAGES`.
    """
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        results: list[FrameResult] = []
        once = _look(engine, clip.frames, results)
        once["decode"] = _decode(clip)
        once |= _deliver(results, clip, settings, folder)
        for stage, seconds in once.items():
            spent[stage].append(seconds / len(clip.frames))
    return {stage: Spread.of(spent[stage]) for stage in STAGES}


def _look(
    engine: "Engine", frames: Sequence[Frame], results: list[FrameResult]
) -> dict[str, float]:
    from streamcam.bench.stage_clock import StageClock

    clock = StageClock(engine)
    spent: dict[str, float] = defaultdict(float)
    for start in range(0, len(frames), engine.batch):
        some, seconds = clock.explain(frames[start : start + engine.batch])
        results += some
        for stage, value in seconds.items():
            spent[stage] += value
    engine.forget(frames[0].source)
    return spent


def _decode(clip: Clip) -> float:
    begun = time.perf_counter()
    source = open_source(str(clip.path))
    try:
        for _ in source.frames(Sampler(every=1, end=clip.end)):
            pass
    finally:
        source.close()
    return time.perf_counter() - begun


def _deliver(
    results: Iterable[FrameResult], clip: Clip, settings: Settings, folder: Path
) -> Mapping[str, float]:
    video = VideoSink(
        folder / "stages.mp4", clip.info, VideoSettings(encoder=settings.output.encoder)
    )
    others: list[Sink[SinkSettings]] = [
        JsonlSink(folder / "stages.jsonl"),
        StillSink(folder / "stages.jpg"),
    ]
    annotator = Annotator()
    spent = dict.fromkeys(("render", "encode", "records"), 0.0)
    for result in results:
        begun = time.perf_counter()
        picture = annotator.annotate(result)
        drawn = time.perf_counter()
        video.write(result, picture)
        encoded = time.perf_counter()
        for sink in others:
            sink.write(result, picture)
        spent["render"] += drawn - begun
        spent["encode"] += encoded - drawn
        spent["records"] += time.perf_counter() - encoded
    begun = time.perf_counter()
    video.finish()
    ended = time.perf_counter()
    spent["encode"] += ended - begun
    for sink in others:
        sink.finish()
    spent["records"] += time.perf_counter() - ended
    return spent
