"""Targets: the boxes of the ordinary forward pass whose scores are to be explained.

The equivalent of pytorch_grad_cam's `FasterRCNNBoxScoreTarget` for every detector, with three
differences. It matches among boxes of the right class only, so that a box of another class in the
same place does not hide it. It is the score alone: the overlap of a box with itself is at its
maximum, where its gradient is arbitrary. And it offers the score before the sigmoid or softmax, as
Grad-CAM asks for: the gradient of a confident score itself vanishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.ops import box_iou

from streamcam.types import Box, Detection
from streamcam.vision.models.network import Candidates

MIN_OVERLAP = 0.5
"""Intersection over union from which two boxes of a class are one: COCO's easiest threshold."""

# Keeps the logarithms finite; in float32 a score closer to 1 equals 1.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class BoxTarget:
    """A box, to be matched among the detections of a changed input."""

    box: Box  # x1, y1, x2, y2 in pixels of the displayed frame
    class_id: int  # its class, in the model's count

    @classmethod
    def of(cls, detection: Detection) -> "BoxTarget":
        return cls(detection.box, detection.class_id)

    def __call__(self, detections: Candidates) -> Tensor:
        """The matching box's score, 0..1, without dimensions; 0 if there is none."""
        index = self.match(detections)
        return detections.scores.new_zeros(()) if index is None else detections.scores[index]

    def logit(self, detections: Candidates) -> Tensor:
        """Its score before the sigmoid, or against all other classes of a softmax; 0 if none."""
        index = self.match(detections)
        if index is None:
            return detections.scores.new_zeros(())
        return torch.logit(detections.scores[index], eps=_EPSILON)

    def match(self, detections: Candidates, min_overlap: float = MIN_OVERLAP) -> int | None:
        """Index of the detection of this class that overlaps the box most; None if none does."""
        of_class = torch.nonzero(detections.class_ids == self.class_id).flatten()
        if not len(of_class):
            return None
        own = detections.boxes.new_tensor([self.box])
        overlaps = box_iou(own, detections.boxes[of_class].detach())[0]
        best = int(overlaps.argmax())
        return int(of_class[best]) if overlaps[best] >= min_overlap else None


@dataclass(frozen=True, slots=True)
class Target:
    """A box of the ordinary forward pass, and the score that it had, 0..1."""

    box: BoxTarget
    score: float

    @classmethod
    def of(cls, detection: Detection) -> "Target":
        return cls(BoxTarget.of(detection), detection.confidence)


Group: TypeAlias = Sequence[Target]
"""Targets that share one map."""


def scores_of(
    detections: Sequence[Candidates], targets: Sequence[BoxTarget]
) -> npt.NDArray[np.float32]:
    """The scores of all targets in all results: [results, targets], 0 where one has no match."""
    scores = [torch.stack([target(one) for target in targets]) for one in detections]
    return torch.stack(scores).cpu().numpy().astype(np.float32)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (_area(one) + _area(other) - intersection)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
