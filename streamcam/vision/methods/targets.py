"""What a map is to explain: the score of a box that the ordinary forward found.

The equivalent of pytorch_grad_cam's `FasterRCNNBoxScoreTarget` for every detector. It differs from
that one in three ways. It matches among boxes of the right class only, so that a box of another
class in the same place does not make it vanish. It gives the score alone: the overlap of a box with
itself is at its maximum, where its gradient is arbitrary. And it offers the score before the
sigmoid or softmax, as Grad-CAM asks for: the gradient of a confident score itself fades.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.ops import box_iou

from streamcam.types import Box, Detection
from streamcam.vision.models.torchvision_partial import Found

LEAST_OVERLAP = 0.5
"""Intersection over union from which two boxes of a class are one: COCO's easiest threshold."""

# Keeps the logarithms finite; float32 tells no score from 1 that is nearer to it.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class BoxTarget:
    """One box, to be found again in what a detector gives for a changed input.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the displayed frame.
        class_id: Its class, in the model's count.
    """

    box: Box
    class_id: int

    @classmethod
    def of(cls, detection: Detection) -> "BoxTarget":
        """The target that a detection is."""
        return cls(detection.box, detection.class_id)

    def __call__(self, found: Found) -> Tensor:
        """Its score, 0..1, without dimensions; 0 where it has vanished."""
        place = self.place(found)
        return found.scores.new_zeros(()) if place is None else found.scores[place]

    def logit(self, found: Found) -> Tensor:
        """Its score before the sigmoid, or against all other classes of a softmax; 0 if gone."""
        place = self.place(found)
        if place is None:
            return found.scores.new_zeros(())
        return torch.logit(found.scores[place], eps=_EPSILON)

    def place(self, found: Found, least: float = LEAST_OVERLAP) -> int | None:
        """Where it is among the boxes that were found, None where it has vanished."""
        candidates = torch.nonzero(found.class_ids == self.class_id).flatten()
        if not len(candidates):
            return None
        own = found.boxes.new_tensor([self.box])
        overlaps = box_iou(own, found.boxes[candidates].detach())[0]
        best = int(overlaps.argmax())
        return int(candidates[best]) if overlaps[best] >= least else None


def scores_of(found: Sequence[Found], targets: Sequence[BoxTarget]) -> npt.NDArray[np.float32]:
    """The scores of all targets in all results: [results, targets], 0 where one has vanished."""
    scores = [torch.stack([target(one) for target in targets]) for one in found]
    return torch.stack(scores).cpu().numpy().astype(np.float32)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
