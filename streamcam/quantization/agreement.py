"""How far a quantized detector agrees with its float original: boxes, maps, speed."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torchvision.ops import box_iou

from streamcam.audit.method_maps import similarity
from streamcam.types import HeatMap, Picture
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cpu.tuning import threads_for
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Candidates, Network

MIN_AGREEMENT = 0.97
"""Share of confident boxes that the other model must have too."""

MIN_SIMILARITY = 0.98
"""Correlation with the float's map that all but a twentieth of the frames must reach."""

_OVERLAP = 0.5
"""Intersection over union from which two boxes are the same."""

_TOLERANCE = 0.05
"""How far below the threshold the other model's score of the same box may be: what scores move by
less than that is no other finding, since a threshold is no more exact. Of nano's 273 boxes above
0.5 on photos int8 has 264 above 0.5 too, and all above 0.45."""

_LOW = 5
"""The percentile that stands for the worst frames."""

# Forward passes that are timed; the first ones warm up.
_TIMED = 12
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """What comparing two detectors on frames showed.

    Attributes:
        float_boxes, int8_boxes: Confident boxes of each.
        found: Share of the float's that int8 has too, of the same class at an intersection over
            union of 0.5, 0..1; None where the float has none.
        confirmed: Share of int8's that the float has too; None where int8 has none.
        map_mean, map_low: Correlation of the maps, 0..1: its mean, and its 5th percentile.
    """

    frames: int
    float_boxes: int
    int8_boxes: int
    found: float | None
    confirmed: float | None
    map_mean: float
    map_low: float

    @property
    def deficit(self) -> float:
        """How far the worse of boxes and maps is below its bar, as far as it can be told; 0..1."""
        boxes = 0.0 if self.found is None else MIN_AGREEMENT - self._boxes
        return max(0.0, boxes, MIN_SIMILARITY - self.map_low)

    @property
    def _boxes(self) -> float:
        return min(self.found or 0.0, self.confirmed or 0.0)

    @property
    def shortfall(self) -> str | None:
        """What is below a bar, as a clause; None if nothing is."""
        if self.found is None:
            return (
                "the float model is sure of no box in the held-out frames, so none can be compared"
            )
        if self._boxes < MIN_AGREEMENT:
            return (
                f"it agrees with the float model on {self._boxes:.1%} of the confident boxes only, "
                f"and {MIN_AGREEMENT:.0%} are wanted"
            )
        if self.map_low < MIN_SIMILARITY:
            return (
                f"its maps correlate with the float model's at {self.map_low:.3f} only at the "
                f"5th percentile, and {MIN_SIMILARITY} is wanted"
            )
        return None


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame's comparison."""

    float_boxes: int  # confident ones of the float model
    found: int  # those of them that int8 has too
    int8_boxes: int
    confirmed: int  # those of int8's that the float model has too
    similarity: float  # of the maps, 0..1

    @property
    def value(self) -> float:
        """The lower of the boxes' agreement and the maps' correlation, 0..1."""
        boxes = self.float_boxes + self.int8_boxes
        return min((self.found + self.confirmed) / boxes if boxes else 1.0, self.similarity)


class FloatReference:
    """The float detector's confident boxes and maps of some frames.

    Args:
        network: Computes in float32.
        confidence: From which boxes count, 0..1.
        pictures: RGB, uint8 [height, width, 3].
        progress: Called after each frame.
    """

    def __init__(
        self,
        network: Network,
        confidence: float,
        pictures: Sequence[Picture],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._confidence = confidence
        self._pictures = pictures
        self._cam = EigenCam(network.levels)
        with network.in_float32():
            detector = self._detector(network)
            self._expected = [self._explain(detector, picture, progress) for picture in pictures]

    def __len__(self) -> int:
        return len(self._expected)

    def scores(
        self,
        network: Network,
        frames: Iterable[int] | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> list[FrameScore]:
        """Compare another network with the float one, on frames by number; None for all."""
        detector = self._detector(network)
        return [
            self._compare(
                self._expected[number], self._explain(detector, self._pictures[number], progress)
            )
            for number in (range(len(self)) if frames is None else frames)
        ]

    def _detector(self, network: Network) -> Detector:
        return Detector(network, self._confidence - _TOLERANCE)

    def _explain(
        self, detector: Detector, picture: Picture, progress: Callable[[], None]
    ) -> tuple[Candidates, HeatMap]:
        with computing_threads(threads_for(detector)), torch.inference_mode():
            forward = detector([picture])
            (components,) = self._cam(forward.levels, forward.placements, [None])
        progress()
        heat: HeatMap = components.maps[0].float().numpy()
        return forward.detections[0], heat

    def _compare(
        self, expected: tuple[Candidates, HeatMap], own: tuple[Candidates, HeatMap]
    ) -> FrameScore:
        (boxes, heat), (others, other_heat) = expected, own
        return FrameScore(
            *_found_in(boxes, others, self._confidence),
            *_found_in(others, boxes, self._confidence),
            similarity(heat, other_heat),
        )


def agreement(scores: Sequence[FrameScore]) -> Agreement:
    """The figures of all frames together."""
    similarities = [one.similarity for one in scores]
    floats = sum(one.float_boxes for one in scores)
    int8s = sum(one.int8_boxes for one in scores)
    return Agreement(
        frames=len(scores),
        float_boxes=floats,
        int8_boxes=int8s,
        found=sum(one.found for one in scores) / floats if floats else None,
        confirmed=sum(one.confirmed for one in scores) / int8s if int8s else None,
        map_mean=float(np.mean(similarities)),
        map_low=float(np.percentile(similarities, _LOW)),
    )


def forward_time(detector: Detector, pictures: Sequence[Picture]) -> float:
    """Median milliseconds of a detector's forward pass of a picture."""
    times = []
    for number in range(_TIMED):
        inputs = detector.preprocess(detector.upload([pictures[number % len(pictures)]]))
        with computing_threads(threads_for(detector)):
            start = time.perf_counter()
            detector.forward(inputs)
            times.append(1000 * (time.perf_counter() - start))
    return median(times[_WARM_UP:])


def _found_in(boxes: Candidates, others: Candidates, confidence: float) -> tuple[int, int]:
    """How many of the boxes are confident, and how many of those the others have too.

    Boxes match by pairs, the confident ones first, each with the box of its class that it overlaps
    most.
    """
    confident = boxes.scores > confidence
    overlaps = box_iou(boxes.boxes[confident], others.boxes)
    overlaps[boxes.class_ids[confident][:, None] != others.class_ids[None, :]] = 0
    found = 0
    for row in overlaps if len(others.scores) else ():  # scores falling
        best, at = row.max(dim=0)
        if best >= _OVERLAP:
            overlaps[:, at] = 0
            found += 1
    return int(confident.sum()), found
