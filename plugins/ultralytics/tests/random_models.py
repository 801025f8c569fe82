"""Ultralytics' models with random weights that detect something, and checkpoints of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import torch
from streamcam_ultralytics.family import UltralyticsFamily
from streamcam_ultralytics.library import build_model
from streamcam_ultralytics.network import UltralyticsNetwork
from torch import Tensor, nn

from streamcam.demo.source import DemoSource
from streamcam.types import Picture
from streamcam.vision.models.family import LoadOptions

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

SIDE = 160
"""Pixels of the longer side of the models' inputs."""

# Means of the class scores' logits and of the boxes' distances, and how far they spread.
_SCORES = (-2.0, 1.0)
_DISTANCES = (2.0, 0.5)


def street(height: int, width: int) -> Picture:
    """A frame of the demo scene, its proportions not kept."""
    scene = DemoSource("demo://street?seconds=4&fps=5&seed=3&width=960&height=540").scene
    picture: Picture = cv2.resize(scene.picture(1.0), (width, height))
    return picture


def saved(model: "DetectionModel", path: Path) -> Path:
    """Write a checkpoint as Ultralytics' training does."""
    torch.save({"model": model, "train_args": {"imgsz": SIDE, "task": "detect"}}, path)
    return path


def load(
    path: Path, layout: str = "auto", dtype: torch.dtype = torch.float32
) -> UltralyticsNetwork:
    options = LoadOptions(layout=layout, dtype=dtype, trust=True)
    network = UltralyticsFamily().load(str(path), options).network
    assert isinstance(network, UltralyticsNetwork)
    return network


def random_model(description: str) -> "DetectionModel":
    """A model whose features differ from place to place, with scores around its threshold."""
    model = build_model(description).eval()
    generator = torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.Conv2d) and part.weight.requires_grad:
            nn.init.kaiming_normal_(part.weight, generator=generator)
    picture = torch.from_numpy(street(SIDE, SIDE)).permute(2, 0, 1)[None] / 255
    detect = model.model[-1]
    branches = [detect.one2many]
    if getattr(detect, "one2one_cv2", None) is not None:
        branches.append(detect.one2one)
    for branch in branches:
        _scale(model, branch["cls_head"], picture, *_SCORES, generator)
        _scale(model, branch["box_head"], picture, *_DISTANCES, generator)
    return model


@torch.no_grad()
def _scale(
    model: "DetectionModel",
    heads: nn.ModuleList,
    picture: Tensor,
    mean: float,
    deviation: float,
    generator: torch.Generator,
) -> None:
    """Give the last layers weights whose outputs for a picture have a mean and a deviation."""
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [
        head[-1].register_forward_pre_hook(lambda layer, given: inputs.update({layer: given[0]}))
        for head in heads
    ]
    model(picture)
    for hook in hooks:
        hook.remove()
    for layer, given in inputs.items():
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        layer.weight.normal_(generator=generator)
        layer.bias.zero_()
        layer.weight.mul_(deviation / layer(given).std())
        layer.bias.sub_(layer(given).mean(dim=(0, 2, 3))).add_(mean)


@torch.no_grad()
def averaging_model(description: str) -> "DetectionModel":
    """A model whose convolutions average: its features are bright where the picture is."""
    model = build_model(description).eval()
    for part in model.modules():
        if isinstance(part, nn.Conv2d) and part.weight.requires_grad:
            part.weight.abs_()
            part.weight.div_(part.weight.sum(dim=(1, 2, 3), keepdim=True))
    return model
