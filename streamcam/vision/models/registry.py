"""The detectors that streamcam knows by name, and where their activations come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torchvision
from torch import nn

from streamcam.vision.models.names import NANO, TORCHVISION, unknown_model
from streamcam.vision.models.nano import NANO_CATEGORIES, NANO_CONFIDENCE, build_nano

NANO_FILE = Path(__file__).parents[1] / "weights" / "nano.safetensors"
DEFAULT_MODEL = NANO

# Where detectors' own demonstrations draw the line: a score that is more likely right than wrong.
_CONFIDENCE = 0.5

# torchvision sets this for these models' published weights: they were trained before their batch
# norms had an epsilon.
_NO_EPS = frozenset(
    {
        "fasterrcnn_resnet50_fpn",
        "keypointrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn",
    }
)


@dataclass(frozen=True, slots=True)
class Activations:
    """Where in a detector the maps are made of.

    Attributes:
        fine: Name of the pyramid level whose grid the maps have by default: of stride 16, or the
            nearest that the network has (8 for SSD300, 32 for the MobileNet pyramids).
        pool: Name of the level whose grid the published recipe uses: the coarsest useful one.
        centre: Where in its stride a cell's centre lies, 0..1.
        module: Path of the module whose output is the pyramid, an ordered dictionary of levels.
    """

    fine: str
    pool: str
    centre: float
    module: str = "backbone"

    @property
    def pool_centre(self) -> float:
        """The same for the published recipe's grid.

        It samples finer levels in the middle of a cell, and the coarsest at its own centre: halfway
        between in all. Measured 0.18, 0.25 and 0.28 where `centre` is 0.
        """
        return (self.centre + 0.5) / 2


# A 3x3 convolution of stride 2 with padding looks at pixel 2i for its cell i, and so does every one
# after it: the cell's centre is at the beginning of its stride, not in the middle. Measured by the
# centre of what a patch of noise changes in the joined levels, with random weights, in strides:
# mobilenet -0.08, ssdlite 0.06, ResNet-50 -0.39 (its random pyramid drags coarse levels along; its
# own cells of stride 32 give 0.02, and its anchors sit at 0). VGG shrinks by 2x2 pools, which look
# at the middle: 0.51.
_FIRST_PIXEL, _MIDDLE = 0.0, 0.5

_RESNET = Activations(fine="2", pool="pool", centre=_FIRST_PIXEL)
_RESNET_ONE_STAGE = Activations(fine="1", pool="p6", centre=_FIRST_PIXEL)
_MOBILENET = Activations(fine="0", pool="pool", centre=_FIRST_PIXEL)

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
    "ssd300_vgg16": Activations(fine="0", pool="2", centre=_MIDDLE),
    "ssdlite320_mobilenet_v3_large": Activations(fine="0", pool="1", centre=_FIRST_PIXEL),
}

# Its stem begins at a quarter, and training pulled its cells towards the middle, where its boxes
# are counted from: 0.31 to 0.45 in two states of the training, at every level.
_NANO_ACTIVATIONS = Activations(fine="1", pool="2", centre=0.4)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that is needed to build a detector and to make maps of it.

    Attributes:
        name: As the user writes it.
        build: Makes the network with random weights; takes the sizes of a checkpoint.
        activations: Where the maps come from.
        categories: Names of the published weights' classes by id.
        confidence: Score from which a detection counts, unless the user says otherwise.
        published: torchvision's weights, None for the built-in detector.
        batch_norm_eps: What the published weights' batch norms need, None for the usual.
    """

    name: str
    build: Callable[..., nn.Module]
    activations: Activations
    categories: Mapping[int, str]
    confidence: float = _CONFIDENCE
    published: Any = None
    batch_norm_eps: float | None = None

    @property
    def published_digest(self) -> str:
        """The first digits of the published weights' SHA-256, from their file's name."""
        return str(self.published.url).rsplit("-", 1)[-1].removesuffix(".pth")


def model_names() -> list[str]:
    """Every detector's name, the default first."""
    return [NANO, *TORCHVISION]


def find_model(name: str) -> ModelSpec:
    """What is known of a detector.

    Raises:
        UsageError: There is none of that name.
    """
    if name == NANO:
        return ModelSpec(NANO, build_nano, _NANO_ACTIVATIONS, NANO_CATEGORIES, NANO_CONFIDENCE)
    if name not in _ACTIVATIONS:
        raise unknown_model(name, model_names())
    published = torchvision.models.get_model_weights(name).DEFAULT
    # Without weights_backbone=None torchvision downloads the backbone's.
    builder = torchvision.models.get_model_builder(name)
    return ModelSpec(
        name=name,
        build=partial(builder, weights=None, weights_backbone=None),
        activations=_ACTIVATIONS[name],
        categories=dict(enumerate(published.meta["categories"])),
        published=published,
        batch_norm_eps=0.0 if name in _NO_EPS else None,
    )
