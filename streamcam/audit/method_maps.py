"""Every method's and baseline's maps of a frame, for the audit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from streamcam.audit.baselines import BASELINES, CENTRE, centre_map, random_map
from streamcam.audit.sanity import NearestTarget
from streamcam.cam_methods import EIGENCAM
from streamcam.types import Detection, Frame, FrameResult, HeatMap
from streamcam.vision.cam.geometry import Size
from streamcam.vision.cam.stabilizer import above_background, natural_sign
from streamcam.vision.engine import Engine
from streamcam.vision.methods.map_maker import MapMaker
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.methods.targets import Group, Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class MethodInputs:
    """A frame as the detector sees it, ready to be explained by any method.

    Attributes:
        result: With EigenCAM's map.
        kept: What is left of the forward.
        targets: The boxes to explain, the most confident.
        eigencam_seconds: What EigenCAM's map took, on top of the forward.
    """

    result: FrameResult
    kept: SavedActivations
    targets: Sequence[Detection]
    eigencam_seconds: float

    @property
    def size(self) -> Size:
        """Rows and columns of the maps."""
        rows, columns = self.result.explanation.map.shape
        return rows, columns


class Maps:
    """Makes maps by every method's name. For one thread.

    Args:
        engine: One that makes EigenCAM's maps.
        top: So many boxes of a frame are explained, the most confident.
        seed: Of the random baseline.
    """

    def __init__(self, engine: Engine, top: int, seed: int = 0) -> None:
        self._engine = engine
        self._top = top
        self._random = np.random.default_rng(seed)

    def look(self, frame: Frame) -> MethodInputs:
        """Detect what is in a frame; frames of one source come in their order."""
        (result,) = self._engine.explain([frame])
        detector, cam = self._engine.detector, self._engine.cam
        with torch.inference_mode():
            forward = detector([frame.picture])
            kept = SavedActivations.of(forward, [0], [frame.picture])
            _, seconds = self._timed(lambda: cam(forward.levels, forward.placements, [None]))
        return MethodInputs(result, kept, result.detections[: self._top], seconds)

    def of_boxes(self, method: str, looked: MethodInputs) -> tuple[Sequence[HeatMap], float]:
        """A map for every box, and the seconds that one took."""
        if method == EIGENCAM:
            heat = looked.result.explanation.map
            return [heat] * len(looked.targets), looked.eigencam_seconds
        maps, seconds = self._timed(lambda: list(self._maps_of_boxes(method, looked)))
        return maps, seconds / len(looked.targets)

    def _maps_of_boxes(self, method: str, looked: MethodInputs) -> Sequence[HeatMap]:
        if method in BASELINES:
            return [self._baseline(method, looked.size) for _ in looked.targets]
        groups = [[Target.of(detection)] for detection in looked.targets]
        return self._made(method, looked, groups)

    def of_frame(self, method: str, looked: MethodInputs, only: str | None = None) -> HeatMap:
        """One map for all the boxes that were found, of all levels or of one."""
        group = [Target.of(detection) for detection in looked.result.detections]
        return self._made(method, looked, [group], only)[0]

    def of_shuffled(self, method: str, looked: MethodInputs) -> Sequence[HeatMap]:
        """A map for every box while the network's weights are shuffled."""
        frame = replace(looked.result.frame, source="shuffled", discontinuity=True)
        if method == EIGENCAM:
            return [self._plain_eigencam(frame)] * len(looked.targets)
        if method in BASELINES:
            return [self._baseline(method, looked.size) for _ in looked.targets]
        again = self.look(frame)
        groups = [
            [Target(NearestTarget(detection.box, detection.class_id), 0.0)]
            for detection in looked.targets
        ]
        return self._made(method, again, groups)

    def _plain_eigencam(self, frame: Frame) -> HeatMap:
        """EigenCAM's map without the floor below which a learnt network shows nothing."""
        detector, cam = self._engine.detector, self._engine.cam
        with torch.inference_mode():
            forward = detector([frame.picture])
            (found,) = cam(forward.levels, forward.placements, [None])
        projection = found.maps[0].cpu().numpy()
        projection *= natural_sign(found.directions[0].cpu().numpy(), projection)
        return np.clip(above_background(projection), 0, None)

    def _made(
        self, method: str, looked: MethodInputs, groups: Sequence[Group], only: str | None = None
    ) -> Sequence[HeatMap]:
        maker = MapMaker(self._engine.detector, method, self._engine.cam.grids, only)
        return list(maker(looked.kept, [groups], [looked.size])[0])

    def _baseline(self, name: str, size: Size) -> HeatMap:
        return centre_map(size) if name == CENTRE else random_map(size, self._random)

    def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        self._wait()
        begun = time.perf_counter()
        done = work()
        self._wait()
        return done, time.perf_counter() - begun

    def _wait(self) -> None:
        """What was asked of a GPU is done when it says so, not when it was asked."""
        if self._engine.detector.device.type == "cuda":
            torch.cuda.synchronize(self._engine.detector.device)
