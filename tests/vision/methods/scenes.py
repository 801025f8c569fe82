"""A real picture that the built-in detector finds things in, ready to be explained."""

from collections import OrderedDict
from functools import cache

import torch
from torch import nn

from streamcam.demo.source import DemoSource
from streamcam.types import Picture
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.methods.targets import BoxTarget, Target
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadedModule, LoadOptions
from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import NanoFamily, load_nano
from streamcam.vision.models.network import Candidates, Levels


@cache
def street(time: float = 1.0, seed: int = 1) -> Picture:
    return DemoSource(f"demo://street?seed={seed}&width=384&height=216").scene.picture(time)


def nano(confidence: float = 0.3) -> Detector:
    """The built-in detector with its weights, looking at small pictures as they are."""
    module = load_nano(NANO_FILE, min_size=224, max_size=416)
    loaded = LoadedModule(module, module.categories, "nano", None)
    return Detector(NanoFamily().network("nano", loaded, LoadOptions()), confidence)


def forward_with_targets(
    detector: Detector, *pictures: Picture
) -> tuple[SavedActivations, list[list[Target]]]:
    """The saved activations of a forward, and what it found in each picture."""
    with torch.inference_mode():
        forward = detector(pictures)
    saved = SavedActivations.of(forward, range(len(pictures)), pictures)
    found = [
        [
            Target(BoxTarget(tuple(box), class_id), score)
            for box, class_id, score in zip(
                own.boxes.tolist(), own.class_ids.tolist(), own.scores.tolist(), strict=True
            )
        ]
        for own in forward.detections
    ]
    return saved, found


class OnCanvas(nn.Module):
    """A detector as pytorch_grad_cam takes a model: prepared pictures in, results out.

    Each feature map passes one of `levels`, modules whose outputs can be watched.
    """

    def __init__(self, detector: Detector, placement: Letterbox, least: float) -> None:
        super().__init__()
        self.module = detector.network.module
        self._network = detector.network
        self._suppress = detector._detections
        self._placement = placement
        self._least = least
        self.levels = nn.ModuleDict(
            {name: nn.Identity() for name in detector.network.levels.strides}
        )

    def forward(self, canvas: torch.Tensor) -> list[Candidates]:
        placements = [self._placement] * len(canvas)
        with self.module.backbone.register_forward_hook(self._watched):
            raw, _ = self._network.forward(canvas, placements)
        return self._suppress(raw, placements, self._least)

    def _watched(self, _module: nn.Module, _inputs: object, levels: Levels) -> Levels:
        return OrderedDict((name, self.levels[name](level)) for name, level in levels.items())
