"""The detector in OpenVINO, alone and in streamcam, in every precision that it has there."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from streamcam.bench.clip import Clip
from streamcam.bench.stage_times import DetectorOnly
from streamcam.bench.streamcam_run import StreamcamRun
from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.pipeline.engine_provider import build_engine
from streamcam.vision.devices import INTEL, has_openvino
from streamcam.vision.engine import Engine

_PRECISIONS = ("fp32", "auto", "int8")


@dataclass(frozen=True, slots=True)
class OpenVinoRun:
    """One precision: the detector's forward alone, and `streamcam run`."""

    engine: Engine
    bare: DetectorOnly
    streamcam: StreamcamRun

    @property
    def precision(self) -> str:
        return self.engine.description.precision

    @property
    def names(self) -> tuple[str, str]:
        """Of the two runs."""
        return (
            f"OpenVINO {self.precision}, detector only",
            f"OpenVINO {self.precision}, streamcam",
        )

    def timed(self, clip: Clip) -> dict[str, Callable[[], int]]:
        """Both, as they are timed; each returns the number of boxes."""
        bare, whole = self.names
        confidence = self.engine.description.confidence
        return {
            bare: lambda: self.bare.run(confidence),
            whole: lambda: sum(self.streamcam.run(clip).counts.detections.values()),
        }


def open_openvino_runs(
    engine: Engine, settings: Settings, clip: Clip, opened: ExitStack
) -> tuple[Sequence[OpenVinoRun], Mapping[str, str]]:
    """Build what runs in OpenVINO beside an engine on a CPU; `opened` closes it.

    Returns:
        The runs, none without OpenVINO; and by precision why it is left out.
    """
    if not has_openvino() or engine.detector.device.type != "cpu":
        return [], {}
    runs: list[OpenVinoRun] = []
    reasons: dict[str, str] = {}
    for precision in _PRECISIONS:
        try:
            run = _open(settings, precision, clip, opened)
        except StreamcamError as error:
            reasons[precision] = error.message
            continue
        if run.precision not in {one.precision for one in runs}:
            runs.append(run)
    return runs, reasons


def _open(settings: Settings, precision: str, clip: Clip, opened: ExitStack) -> OpenVinoRun:
    device = settings.model.device if settings.model.device.startswith(INTEL) else "intel:cpu"
    model = settings.model.model_copy(update={"device": device, "precision": precision})
    own = settings.model_copy(update={"model": model})
    engine = opened.enter_context(build_engine(own))
    streamcam = opened.enter_context(StreamcamRun(engine, own))
    bare = DetectorOnly(engine.detector, [frame.picture for frame in clip.frames])
    streamcam.first(clip)
    bare.choose_batch()
    return OpenVinoRun(engine, bare, streamcam)
