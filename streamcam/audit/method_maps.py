"""Maps of a frame by every method and baseline, also with shuffled weights.

The sanity check is that of Adebayo et al. 2018 (arXiv:1810.03292): a map that hardly changes when
the network's weights are shuffled shows the picture, not what the network has learnt.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from streamcam.audit.scores import BASELINES, CENTRE
from streamcam.cam_methods import EIGENCAM
from streamcam.types import Detection, Frame, FrameResult, HeatMap
from streamcam.vision.cam.geometry import Size
from streamcam.vision.cam.stabilizer import above_background, natural_sign
from streamcam.vision.engine import Engine
from streamcam.vision.methods.attribution import MapMaker
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.methods.targets import BoxTarget, Group, Target
from streamcam.vision.models.network import Candidates

T = TypeVar("T")


# Standard deviation of the centre prior, as a share of each side.
_PRIOR_WIDTH = 0.25

# Two maps that share a quarter of their variance look similar.
SIMILAR = 0.5


@dataclass(frozen=True, slots=True)
class NearestTarget(BoxTarget):
    """For a network that does not find a box any more: the nearest of its class, else of any."""

    def match(self, detections: Candidates, min_overlap: float = 0.0) -> int | None:
        """Index of the nearest box; None only if there are no boxes."""
        own = BoxTarget.match(self, detections, min_overlap)
        if own is not None or not len(detections.boxes):
            return own
        overlaps = box_iou(detections.boxes.new_tensor([self.box]), detections.boxes.detach())[0]
        return int(overlaps.argmax())


@contextmanager
def shuffled(parameters: Sequence[Tensor], seed: int = 0) -> Iterator[None]:
    """Shuffle the values of every weight tensor of a network within a context.

    The tensors' values, and so the magnitudes of the activations, stay the same. Vectors (biases,
    scales) are not shuffled.
    """
    weights = [parameter for parameter in parameters if parameter.dim() > 1]
    own = [weight.detach().clone() for weight in weights]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        try:
            for weight in weights:
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].reshape(weight.shape))
            yield
        finally:
            for weight, before in zip(weights, own, strict=True):
                weight.copy_(before)


def similarity(one: HeatMap, other: HeatMap) -> float:
    """Absolute correlation of two maps' cells, 0..1; 0 if one of them is constant."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, abs(float(a @ b)) / lengths) if lengths > 0 else 0.0


def random_map(size: Size, random: np.random.Generator) -> HeatMap:
    return random.random(size, dtype=np.float32)


def centre_map(size: Size) -> HeatMap:
    """A Gaussian in the middle of the frame, its maximum 1."""
    rows, columns = (
        np.exp(-(((np.arange(count) + 0.5) / count - 0.5) ** 2) / (2 * _PRIOR_WIDTH**2))
        for count in size
    )
    heat = np.outer(rows, columns)
    scaled: HeatMap = (heat / heat.max()).astype(np.float32)
    return scaled


@dataclass(frozen=True, slots=True, eq=False)
class MethodInputs:
    """The forward pass of a frame, from which every method makes its maps."""

    result: FrameResult  # with EigenCAM's map
    saved: SavedActivations  # the activations
    targets: Sequence[Detection]  # the boxes to explain, the most confident
    eigencam_seconds: float  # time of EigenCAM's map, in addition to the forward

    @property
    def size(self) -> Size:
        rows, columns = self.result.explanation.map.shape
        return rows, columns


class MethodMaps:
    """Makes maps by any method or baseline, see `Audit`. For one thread."""

    def __init__(self, engine: Engine, top: int, seed: int = 0) -> None:
        self._engine = engine
        self._top = top
        self._random = np.random.default_rng(seed)

    def forward(self, frame: Frame) -> MethodInputs:
        (result,) = self._engine.explain([frame])
        detector, cam = self._engine.detector, self._engine.cam
        with torch.inference_mode():
            forward = detector([frame.picture])
            saved = SavedActivations.of(forward, [0], [frame.picture])
            _, seconds = self._timed(lambda: cam(forward.levels, forward.placements, [None]))
        return MethodInputs(result, saved, result.detections[: self._top], seconds)

    def of_boxes(self, method: str, inputs: MethodInputs) -> tuple[Sequence[HeatMap], float]:
        """A map for every box, and the seconds per map."""
        if method == EIGENCAM:
            heat = inputs.result.explanation.map
            return [heat] * len(inputs.targets), inputs.eigencam_seconds
        groups = [[Target.of(detection)] for detection in inputs.targets]
        maps, seconds = self._timed(lambda: self._make(method, inputs, groups))
        return maps, seconds / len(inputs.targets)

    def of_frame(self, method: str, inputs: MethodInputs, only: str | None = None) -> HeatMap:
        """One map for all detections, of all levels or of one."""
        group = [Target.of(detection) for detection in inputs.result.detections]
        return self._make(method, inputs, [group], only)[0]

    def of_shuffled(self, method: str, inputs: MethodInputs) -> Sequence[HeatMap]:
        """A map for every box while the network's weights are shuffled."""
        frame = replace(inputs.result.frame, source="shuffled", discontinuity=True)
        if method == EIGENCAM:
            return [self._plain_eigencam(frame)] * len(inputs.targets)
        again = inputs if method in BASELINES else self.forward(frame)
        groups = [
            [Target(NearestTarget(detection.box, detection.class_id), 0.0)]
            for detection in inputs.targets
        ]
        return self._make(method, again, groups)

    def _plain_eigencam(self, frame: Frame) -> HeatMap:
        """EigenCAM's map without the minimum range, which suits only trained networks."""
        detector, cam = self._engine.detector, self._engine.cam
        with torch.inference_mode():
            forward = detector([frame.picture])
            (found,) = cam(forward.levels, forward.placements, [None])
        projection = found.maps[0].cpu().numpy()
        projection *= natural_sign(found.directions[0].cpu().numpy(), projection)
        return np.clip(above_background(projection), 0, None)

    def _make(
        self, method: str, inputs: MethodInputs, groups: Sequence[Group], only: str | None = None
    ) -> Sequence[HeatMap]:
        if method == CENTRE:
            return [centre_map(inputs.size)] * len(groups)
        if method in BASELINES:
            return [random_map(inputs.size, self._random) for _ in groups]
        maker = MapMaker(self._engine.detector, method, self._engine.cam.levels.grids, only)
        return list(maker(inputs.saved, [groups], [inputs.size])[0])

    def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        self._wait()
        start = time.perf_counter()
        result = work()
        self._wait()
        return result, time.perf_counter() - start

    def _wait(self) -> None:
        if self._engine.detector.device.type == "cuda":
            torch.cuda.synchronize(self._engine.detector.device)
