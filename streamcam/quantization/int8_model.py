"""A detector in int8: making it on frames, measuring what it costs, writing it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.quantization.agreement import (
    Agreement,
    FloatReference,
    agreement,
    forward_time,
)
from streamcam.types import Picture
from streamcam.version import __version__
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino.convert import converted, graph_of
from streamcam.vision.models.openvino.nncf_quantization import Feeds, Judgement, quantized, save
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.quantized import QuantizedModel, digest_of

if TYPE_CHECKING:
    import openvino

StepProgress = Callable[[str, int, int], None]
"""Called with the current step's description, its number, and the number of steps."""

# Calibration frames by which layers that hurt are found; what is held out is for the final
# measurement alone.
_TUNING_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Measurement:
    """What int8 costs, and how long a picture's forward pass takes with it: the median."""

    agreement: Agreement
    milliseconds: float


def make_int8(
    detector: Detector, frames: Sequence[Picture], progress: StepProgress
) -> "openvino.Model":
    """Quantize a detector's graph on frames of its user, all but the layers that this hurts.

    The detector computes slowly from then on: `converted` releases what it has for speed.

    Raises:
        UsageError: OpenVINO can compute nothing of it.
    """
    model = converted(detector.network)
    every = max(1, len(frames) // _TUNING_FRAMES)
    tuning = frames[::every][:_TUNING_FRAMES]
    step = _steps(progress, "running the float model", len(tuning))
    reference = FloatReference(detector.network, detector.confidence, tuning, step)
    tried = itertools.count(1)

    def judge(model: "openvino.CompiledModel", numbers: Sequence[int]) -> Judgement:
        progress(f"comparing candidate {next(tried)}", 0, 1)
        scores = reference.scores(int8_network(detector.network, model), numbers)
        return Judgement(1.0 - agreement(scores).deficit, [score.value for score in scores])

    return quantized(
        model,
        _CalibrationFeeds(detector, frames, _steps(progress, "calibrating", len(frames))),
        count=len(frames),
        judge=judge,
        judged=len(tuning),
    )


def measure_int8(
    detector: Detector, model: "openvino.Model", frames: Sequence[Picture], progress: StepProgress
) -> Measurement:
    """Compare a detector with its int8 model on frames that it was not calibrated on."""
    step = _steps(progress, "running the float model", len(frames))
    reference = FloatReference(detector.network, detector.confidence, frames, step)
    candidate = int8_network(detector.network, model)
    step = _steps(progress, "running the int8 model", len(frames))
    found = agreement(reference.scores(candidate, progress=step))
    return Measurement(found, forward_time(Detector(candidate, detector.confidence), frames))


def write_int8(model: "openvino.Model", graph: Path, lineage: Mapping[str, Any]) -> QuantizedModel:
    """Write a model's graph into an `.xml` file, and its weights into a `.bin` file beside it."""
    save(model, graph)
    versions = {name: version(name) for name in ("nncf", "openvino")}
    whole = {**lineage, "versions": {**versions, "streamcam": __version__}}
    return QuantizedModel(graph, digest_of((graph, graph.with_suffix(".bin"))), whole)


class _CalibrationFeeds:
    """What the graph is fed with for each frame; may be iterated again."""

    def __init__(
        self, detector: Detector, frames: Sequence[Picture], progress: Callable[[], None]
    ) -> None:
        self._detector = detector
        self._graph = graph_of(detector.network)
        self._frames = frames
        self._progress = progress

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Feeds]:
        for picture in self._frames:
            self._progress()
            yield from self._feeds(picture)

    def _feeds(self, picture: Picture) -> Iterator[Feeds]:
        with torch.inference_mode():
            inputs = self._detector.preprocess(self._detector.upload([picture]))
            runs = self._graph.inputs(inputs.canvas, inputs.placements)
        for run in runs:
            yield {name: _array(value) for name, value in run.items()}


def int8_network(
    network: Network, model: "openvino.Model | openvino.CompiledModel"
) -> OpenVinoNetwork:
    """The network of a float one with its int8 model in place of what it computes."""
    return OpenVinoNetwork(network, model, precision="int8")


def _array(value: torch.Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(value.numpy())


def _steps(progress: StepProgress, what: str, total: int) -> Callable[[], None]:
    """A function that reports one more of several steps each time that it is called."""
    counter = itertools.count(1)
    return lambda: progress(what, min(next(counter), total), total)
