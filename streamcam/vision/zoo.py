"""The detectors that streamcam knows by name, and where their activations come from."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torchvision
from torch import nn
from torchvision.models import detection

from streamcam.errors import UsageError
from streamcam.vision.nano import NANO_CATEGORIES, build_nano


@dataclass(frozen=True, slots=True)
class Activations:
    """Where in a detector the maps are made of.

    Attributes:
        fine: Name of the pyramid level whose grid the maps have by default.
        pool: Name of the level whose grid the published recipe uses: the coarsest useful one.
        centre: Where in its stride a cell's centre lies, 0..1.
        module: Path of the module whose output is the pyramid, an ordered dictionary of levels.
    """

    fine: str
    pool: str
    centre: float = 0.5
    module: str = "backbone"


_RESNET = Activations(fine="2", pool="pool")
_RESNET_ONE_STAGE = Activations(fine="1", pool="p6")
_MOBILENET = Activations(fine="0", pool="pool")
_SSD = Activations(fine="0", pool="2")
_SSDLITE = Activations(fine="0", pool="1")

_ACTIVATIONS: Mapping[str, Activations] = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": _MOBILENET,
    "fasterrcnn_mobilenet_v3_large_fpn": _MOBILENET,
    "fasterrcnn_resnet50_fpn": _RESNET,
    "fasterrcnn_resnet50_fpn_v2": _RESNET,
    "fcos_resnet50_fpn": _RESNET_ONE_STAGE,
    "keypointrcnn_resnet50_fpn": _RESNET,
    "maskrcnn_resnet50_fpn": _RESNET,
    "maskrcnn_resnet50_fpn_v2": _RESNET,
    "retinanet_resnet50_fpn": _RESNET_ONE_STAGE,
    "retinanet_resnet50_fpn_v2": _RESNET_ONE_STAGE,
    "ssd300_vgg16": _SSD,
    "ssdlite320_mobilenet_v3_large": _SSDLITE,
}

_NANO = "nano"
DEFAULT_MODEL = _NANO

# What detectors' own demonstrations show by default; below it, most boxes of a detector trained on
# COCO are duplicates and guesses.
_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that is needed to build a detector and to make maps of it.

    Attributes:
        name: As the user writes it.
        build: Makes the network with random weights; takes torchvision's keyword arguments.
        activations: Where the maps come from.
        categories: Names of the published weights' classes by id.
        confidence: Score from which a detection counts, unless the user says otherwise.
        published: torchvision's weights, None for the built-in detector.
    """

    name: str
    build: Callable[..., nn.Module]
    activations: Activations
    categories: Mapping[int, str]
    confidence: float
    published: Any = None


def model_names() -> list[str]:
    """Every detector's name, the default first."""
    return [_NANO, *sorted(torchvision.models.list_models(module=detection))]


def find_model(name: str) -> ModelSpec:
    """What is known of a detector.

    Raises:
        UsageError: There is none of that name.
    """
    if name == _NANO:
        return ModelSpec(
            name=name,
            build=build_nano,
            activations=Activations(fine="1", pool="2"),
            categories=NANO_CATEGORIES,
            confidence=_CONFIDENCE,
        )
    if name not in _ACTIVATIONS:
        near = difflib.get_close_matches(name, model_names(), n=3, cutoff=0.5)
        raise UsageError(
            f"there is no detector named {name!r}",
            hint=f"Did you mean {' or '.join(near)}?"
            if near
            else "List them: streamcam models list.",
        )
    published = torchvision.models.get_model_weights(name).DEFAULT
    return ModelSpec(
        name=name,
        build=torchvision.models.get_model_builder(name),
        activations=_ACTIVATIONS[name],
        categories=dict(enumerate(published.meta["categories"])),
        confidence=_CONFIDENCE,
        published=published,
    )
