"""A real picture that the built-in detector finds things in, ready to be explained."""

from functools import cache

import torch
from torch import nn

from streamcam.demo.source import DemoSource
from streamcam.types import Picture
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.methods.targets import BoxTarget, Target
from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.registry import NANO_FILE
from streamcam.vision.models.torchvision import Detector
from streamcam.vision.models.torchvision_partial import Found


@cache
def street(time: float = 1.0, seed: int = 1) -> Picture:
    return DemoSource(f"demo://street?seed={seed}&width=384&height=216").scene.picture(time)


def nano(confidence: float = 0.3) -> Detector:
    """The built-in detector with its weights, looking at small pictures as they are."""
    network = load_nano(NANO_FILE, min_size=224, max_size=416).fuse()
    device = torch.device("cpu")
    return Detector(network, watched="backbone", device=device, confidence=confidence)


def looked(detector: Detector, *pictures: Picture) -> tuple[SavedActivations, list[list[Target]]]:
    """The saved activations of a forward, and what it found in each picture."""
    with torch.inference_mode():
        forward = detector(pictures)
    saved = SavedActivations.of(forward, range(len(pictures)), pictures)
    found = [
        [
            Target(BoxTarget(tuple(box), class_id), score)
            for box, class_id, score in zip(
                boxes.tolist(), ids.tolist(), scores.tolist(), strict=True
            )
        ]
        for boxes, ids, scores in zip(forward.boxes, forward.class_ids, forward.scores, strict=True)
    ]
    return saved, found


class OnCanvas(nn.Module):
    """A detector as pytorch_grad_cam takes a model: prepared pictures in, results out."""

    def __init__(self, detector: Detector, placement: Letterbox, least: float) -> None:
        super().__init__()
        self.network = detector.network
        self._replay = detector._replay
        self._placement = placement
        self._least = least

    def forward(self, canvas: torch.Tensor) -> list[Found]:
        return self._replay.on_canvas(canvas, [self._placement] * len(canvas), self._least)
