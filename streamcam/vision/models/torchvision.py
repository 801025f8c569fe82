"""torchvision's detectors: names, feature maps, published weights, and checkpoints of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from streamcam.errors import UsageError, WeightsError
from streamcam.vision.models.checkpoints import (
    State,
    load_state,
    not_a_file,
    read_labels,
    read_state,
    unnamed,
)
from streamcam.vision.models.download import (
    Progress,
    cached_file,
    published_digest,
    published_file,
    sha256,
)
from streamcam.vision.models.family import LoadedModule, LoadOptions, ModelCard, ModuleFamily
from streamcam.vision.models.names import TORCHVISION
from streamcam.vision.models.network import FeatureLevels
from streamcam.vision.models.torch_network import TorchNetwork
from streamcam.vision.models.torchvision_network import torchvision_network

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

# A 3x3 convolution of stride 2 with padding looks at pixel 2i for its cell i, and so does every one
# after it: the cell's centre is at the beginning of its stride, not in the middle. Measured by the
# centre of what a patch of noise changes in the joined levels, with random weights, in strides:
# mobilenet -0.08, ssdlite 0.06, ResNet-50 -0.39 (its random pyramid drags coarse levels along; its
# own cells of stride 32 give 0.02, and its anchors sit at 0). VGG shrinks by 2x2 pools, which look
# at the middle: 0.51.
_FIRST_PIXEL, _MIDDLE = 0.0, 0.5

_RESNET = FeatureLevels.of({"0": 4, "1": 8, "2": 16, "3": 32, "pool": 64}, _FIRST_PIXEL)
_RESNET_ONE_STAGE = FeatureLevels.of(
    {"0": 8, "1": 16, "2": 32, "p6": 64, "p7": 128}, _FIRST_PIXEL, pool="p6"
)
_MOBILENET = FeatureLevels.of({"0": 32, "1": 32, "pool": 64}, _FIRST_PIXEL)

_LEVELS: Mapping[str, FeatureLevels] = {
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
    "ssd300_vgg16": FeatureLevels({}, _MIDDLE, fine="0", pool="2"),
    "ssdlite320_mobilenet_v3_large": FeatureLevels({}, _FIRST_PIXEL, fine="0", pool="1"),
}

_INPUT_SIZES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "320 to 640",
    "ssd300_vgg16": "300x300",
    "ssdlite320_mobilenet_v3_large": "320x320",
}
_USUAL_INPUT_SIZE = "800 to 1333"

# Billions of multiplications for one image, as torchvision publishes them.
_FAST, _MEDIUM = 10, 100

# The last layer of the class scores, and of the boxes beside it where each place has several.
_LAST_LAYERS = (
    ("roi_heads.box_predictor.cls_score.weight", None),
    ("head.classification_head.cls_logits.weight", "head.regression_head.bbox_reg.weight"),
    ("head.classification_head.module_list.0.weight", "head.regression_head.module_list.0.weight"),
    (
        "head.classification_head.module_list.0.1.weight",
        "head.regression_head.module_list.0.1.weight",
    ),
)

# Counters that BatchNorm keeps and FrozenBatchNorm does not; they tell nothing about the network.
_COUNTER = "num_batches_tracked"

_SEED = 0


class TorchvisionFamily(ModuleFamily):
    """The detectors of `torchvision.models.detection`."""

    def names(self) -> Sequence[str]:
        return TORCHVISION

    def levels(self, name: str) -> FeatureLevels:
        return _LEVELS[name]

    def build(self, name: str, **sizes: int) -> nn.Module:
        """A model's module with random weights; `sizes` as torchvision's builders take them."""
        # Without weights_backbone=None torchvision downloads the backbone's.
        builder = torchvision.models.get_model_builder(name)
        module: nn.Module = builder(weights=None, weights_backbone=None, **sizes)
        return module

    def load_module(self, name: str, options: LoadOptions) -> LoadedModule:
        weights, labels, categories = options.weights, options.labels, _categories(name)
        if weights == "random":
            if labels is not None:
                raise UsageError("labels belong to weights, and random weights know no classes")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                return LoadedModule(self.build(name), categories, "random", None)
        if weights is None:
            path, digest = published_file(_published(name).url, name, options.progress)
            origin = path.name
        elif weights.is_file():
            path, digest, origin = weights, _digest(weights), str(weights)
        else:
            raise not_a_file(weights)
        state = read_state(path)
        module = self.build(name, **_sizes(name, state))
        load_state(module, state, path, name)
        if name in _NO_EPS and digest.startswith(published_digest(_published(name).url)):
            for part in module.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eps = 0.0
        return LoadedModule(module, _name_classes(categories, state, labels), origin, digest)

    def network(self, name: str, loaded: LoadedModule, options: LoadOptions) -> TorchNetwork:
        return torchvision_network(loaded.module, _LEVELS[name], loaded.categories, options)

    def card(self, name: str) -> ModelCard:
        published = _published(name)
        named = [
            label
            for label in _categories(name).values()
            if label not in {"N/A", "__background__", "no person"}
        ]
        return ModelCard(
            name=name,
            task=_task(name),
            classes=len(named),
            size_mb=round(published.meta["_file_size"], 1),
            licence="BSD-3-Clause",
            box_map=published.meta["_metrics"]["COCO-val2017"]["box_map"],
            input_size=_INPUT_SIZES.get(name, _USUAL_INPUT_SIZE),
            speed=_speed(published.meta["_ops"]),
            origin="torchvision",
            present=self.weights_file(name).is_file(),
        )

    def weights_file(self, name: str) -> Path:
        return cached_file(_published(name).url)

    def fetch(self, name: str, progress: Progress | None = None) -> Path:
        return published_file(_published(name).url, name, progress)[0]

    def recognise(self, checkpoint: Path) -> list[str]:
        keys = _telling(read_state(checkpoint))
        return [name for name in self.names() if self._keys(name) == keys]

    def _keys(self, name: str) -> set[str]:
        """The names of a module's tensors, without memory for the tensors."""
        with torch.device("meta"):
            return _telling(self.build(name).state_dict())


def count_classes(state: State) -> int | None:
    """Number of classes of a checkpoint's head; None where the head is unknown."""
    for scores, boxes in _LAST_LAYERS:
        if scores in state:
            places = 1 if boxes is None or boxes not in state else state[boxes].shape[0] // 4
            return state[scores].shape[0] // max(1, places)
    return None


def _published(name: str) -> WeightsEnum:
    published: WeightsEnum = torchvision.models.get_model_weights(name).DEFAULT
    return published


def _categories(name: str) -> dict[int, str]:
    return dict(enumerate(_published(name).meta["categories"]))


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def _sizes(name: str, state: State) -> dict[str, int]:
    """How many classes and key points a checkpoint has."""
    sizes: dict[str, int] = {}
    classes = count_classes(state)
    if classes is not None:
        sizes["num_classes"] = classes
    points = state.get("roi_heads.keypoint_predictor.kps_score_lowres.weight")
    if points is not None and name.startswith("keypoint"):
        sizes["num_keypoints"] = points.shape[1]
    return sizes


def _name_classes(
    categories: Mapping[int, str], state: State, labels: Path | None
) -> Mapping[int, str]:
    count = count_classes(state) or len(categories)
    if labels is not None:
        return read_labels(labels, range(count))
    return categories if count == len(categories) else {i: unnamed(i) for i in range(count)}


def _telling(state: State) -> set[str]:
    return {key for key in state if not key.endswith(_COUNTER)}


def _speed(billions: float) -> str:
    if billions < _FAST:
        return "fast"
    return "medium" if billions < _MEDIUM else "slow"


def _task(name: str) -> str:
    if name.startswith("maskrcnn"):
        return "instance segmentation"
    return "key points" if name.startswith("keypointrcnn") else "object detection"
