"""One picture through a detector by every method: what it gives, what does not work, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamcam.audit.auditor import sample_frame
from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.pipeline.engine_provider import FetchProgress, build_engine
from streamcam.sources.limits import Limits
from streamcam.types import FrameResult

if TYPE_CHECKING:
    from streamcam.audit.method_maps import MethodInputs, MethodMaps
    from streamcam.vision.engine import Engine
    from streamcam.vision.engine_io import EngineDescription

SCENE = "demo://street?seconds=4"
"""The picture that is tried where the user gives none: the middle of it."""

TrialProgress = Callable[[str, int, int], None]
"""Called with the current step's description, its number, and the number of steps."""


@dataclass(frozen=True, slots=True)
class TriedLevel:
    """One of the feature maps that the detector gave for the picture."""

    name: str
    channels: int
    rows: int
    columns: int
    stride: tuple[float, float] | None  # canvas pixels from cell to cell, down and across


@dataclass(frozen=True, slots=True)
class TriedMethod:
    """What came of a method."""

    name: str
    seconds: float | None  # for the map of the most confident box; None if it was not made
    reason: str = ""  # why it was not made


@dataclass(frozen=True, slots=True)
class DetectorTrial:
    """What a detector gave for one picture, and which methods explain it."""

    engine: "EngineDescription"
    result: FrameResult  # with EigenCAM's map
    canvas: tuple[int, int]  # height and width of the network's input, in pixels
    levels: Sequence[TriedLevel]
    methods: Sequence[TriedMethod]


def try_detector(
    settings: Settings,
    source: str = SCENE,
    *,
    progress: TrialProgress = lambda _what, _done, _all: None,
    fetching: FetchProgress | None = None,
) -> DetectorTrial:
    """Build the detector of the settings, and run one picture through it by every method.

    Args:
        settings: The detector and its device; the method is left aside.
        source: A picture or a video, of which the middle frame is taken.
        progress: Called before each step.
        fetching: Called with the progress of downloads.

    Raises:
        StreamcamError: The source cannot be read, or the detector cannot be built.
    """
    frame = sample_frame(source, Limits(**settings.limits.model_dump()))
    # Imports torch, which takes seconds: not before a missing file has been reported.
    from streamcam.audit.method_maps import MethodMaps

    eigencam = settings.cam.model_copy(update={"method": EIGENCAM})
    with build_engine(settings.model_copy(update={"cam": eigencam}), fetching) as engine:
        maps = MethodMaps(engine, top=1)
        inputs = maps.forward(frame)
        methods = []
        for number, name in enumerate(METHODS):
            progress(name, number, len(METHODS))
            methods.append(_try_method(name, engine, maps, inputs))
        return DetectorTrial(
            engine.description,
            inputs.result,
            inputs.saved.placements[0].canvas,
            _levels(engine, inputs),
            methods,
        )


def _try_method(
    name: str, engine: "Engine", maps: "MethodMaps", inputs: "MethodInputs"
) -> TriedMethod:
    from streamcam.vision.build import check_method

    try:
        check_method(name, engine.detector.network, engine.description.model)
        if name != EIGENCAM and not inputs.targets:
            return TriedMethod(name, None, "nothing was detected in the picture")
        _, seconds = maps.of_boxes(name, inputs)
    except StreamcamError as error:
        return TriedMethod(name, None, error.message)
    return TriedMethod(name, seconds)


def _levels(engine: "Engine", inputs: "MethodInputs") -> list[TriedLevel]:
    strides = engine.detector.network.levels.strides
    found = []
    for name, level in inputs.saved.levels.items():
        channels, rows, columns = level.shape[1:]
        found.append(TriedLevel(name, channels, rows, columns, strides.get(name)))
    return found
