"""Whether a map depends on what the network has learnt (Adebayo et al. 2018, arXiv:1810.03292).

A map that looks the same after the weights were shuffled is a picture of the picture, not of the
network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torchvision.ops import box_iou

from streamcam.types import HeatMap
from streamcam.vision.methods.targets import BoxTarget
from streamcam.vision.models.torchvision_partial import Found

# Two maps that share a quarter of their variance look alike to a person.
SIMILAR = 0.5


@dataclass(frozen=True, slots=True)
class NearestTarget(BoxTarget):
    """What is nearest to a box in a network that finds it no more: of its class, else of any."""

    def match(self, detections: Found, min_overlap: float = 0.0) -> int | None:
        """Where the nearest box is, None only where there are no boxes at all."""
        own = BoxTarget.match(self, detections, min_overlap)
        if own is not None or not len(detections.boxes):
            return own
        overlaps = box_iou(detections.boxes.new_tensor([self.box]), detections.boxes.detach())[0]
        return int(overlaps.argmax())


@contextmanager
def shuffled(network: nn.Module, seed: int = 0) -> Iterator[None]:
    """Shuffle every weight tensor of a network within itself for a while.

    The values and so the sizes of the activations stay what they were; what was learnt is gone.
    Vectors (biases, scales) stay in place.
    """
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
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
    """The absolute correlation of two maps' cells, 0..1; 0 where one of them is even."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, abs(float(a @ b)) / lengths) if lengths > 0 else 0.0
