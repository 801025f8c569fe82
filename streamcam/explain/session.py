"""One picture under study: its boxes, what methods say of them, and scores without some regions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamcam.audit.auditor import sample_frame
from streamcam.cam_methods import EIGENCAM, find_method
from streamcam.config import Settings
from streamcam.errors import SourceError
from streamcam.explain.masking import Fill, MaskedPictures
from streamcam.pipeline.engine_provider import FetchProgress, build_engine
from streamcam.sources.limits import Limits
from streamcam.types import Box, Frame, FrameResult

if TYPE_CHECKING:
    from streamcam.explain.counterfactual import Attempt, Counterfactuals
    from streamcam.explain.method_worker import MethodView, MethodWorker
    from streamcam.vision.engine import Engine
    from streamcam.vision.engine_io import EngineDescription


@dataclass(frozen=True, slots=True)
class ExplainSession:
    """A picture, an engine, and what has been found out so far. From any thread.

    Attributes:
        result: The boxes that are detected, at least one, and EigenCAM's map.
        methods: Names of the methods that the detector has.
        pictures: The masked copies.
    """

    result: FrameResult
    engine: "EngineDescription"
    methods: Sequence[str]
    pictures: MaskedPictures
    _counterfactuals: "Counterfactuals"
    _worker: "MethodWorker"

    def attempt(self, box: int, regions: Sequence[Box], fill: Fill) -> "Attempt":
        """Fill regions, in pixels of the frame, and follow a box's score; see `Counterfactuals`."""
        return self._counterfactuals.attempt(box, regions, fill)

    def want(self, box: int, methods: Sequence[str]) -> None:
        """Explain a box by these methods next, in the background; see `MethodWorker`."""
        self._worker.want(box, methods)

    def views(self, box: int, methods: Sequence[str]) -> list["MethodView"]:
        """What the methods say of a box so far."""
        return [self._worker.view(box, method) for method in methods]


@contextmanager
def open_session(
    settings: Settings,
    source: str,
    *,
    at: float | None = None,
    methods: Sequence[str] = (),
    fetching: FetchProgress | None = None,
) -> Iterator[ExplainSession]:
    """Build the detector of the settings, and run it once over a frame of a source.

    Args:
        settings: The detector and its device; the method is left aside.
        source: A picture or a video.
        at: Seconds of a video; None for its middle.
        methods: Names that are checked; a session has all methods of its detector.
        fetching: Called with the progress of downloads.

    Raises:
        UsageError: There is no such method, model or device, or a picture has no such time.
        SourceError: The source cannot be read, or nothing is detected in the frame.
        DeviceError: The GPU is missing, failed, or has no room.
    """
    for name in methods:
        find_method(name)
    frame = sample_frame(source, Limits(**settings.limits.model_dump()), at)
    # Imports torch, which takes seconds: not before a missing file has been reported.
    eigencam = settings.cam.model_copy(update={"method": EIGENCAM})
    with (
        build_engine(settings.model_copy(update={"cam": eigencam}), fetching) as engine,
        _session(engine, frame, settings.model.classes, methods) as session,
    ):
        yield session


@contextmanager
def _session(
    engine: "Engine", frame: Frame, classes: Sequence[str], methods: Sequence[str]
) -> Iterator[ExplainSession]:
    from streamcam.audit.faithfulness import BLUR_PIXELS
    from streamcam.audit.method_maps import MethodMaps
    from streamcam.explain.counterfactual import Counterfactuals
    from streamcam.explain.engine_turns import EngineTurns
    from streamcam.explain.method_worker import MethodWorker
    from streamcam.vision.build import choose_methods, methods_of

    network = engine.detector.network
    choose_methods(methods, network, engine.description.model)
    inputs = MethodMaps(engine, top=1).forward(frame)
    if not inputs.result.detections:
        raise SourceError(
            f"{frame.source}: nothing was detected, so there is nothing to explain",
            hint=f"Lower --confidence, which is {engine.description.confidence:g}, or try another "
            "frame with --at.",
        )
    turns = EngineTurns(engine)
    placement = inputs.saved.placements[0]
    blur = BLUR_PIXELS * placement.original[0] / placement.resized[0]
    pictures = MaskedPictures.of(frame.picture, blur)
    counterfactuals = Counterfactuals(engine, turns, inputs.result, pictures, classes)
    with MethodWorker(engine, turns, inputs.result, inputs.saved) as worker:
        yield ExplainSession(
            inputs.result,
            engine.description,
            methods_of(network),
            pictures,
            counterfactuals,
            worker,
        )
