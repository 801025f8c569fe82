"""The layouts of DETR's kin, and those with boxes, scores and labels in outputs of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Candidates, Sizing
from streamcam.vision.models.onnx.graph_inputs import ORIGINAL_SIZES, PIXEL_MASK
from streamcam.vision.models.onnx.layout import Layout, Trial, check_probabilities, choose, unfit

_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)

_BOXES_OF_RF_DETR = "dets"
_BOX_SIDES = 4
_WITH_BATCH = 3

# Of the queries, in a picture of noise.
_MOST = 0.5

# How far relative boxes may reach beyond the picture.
_MARGIN = 0.5


@dataclass(kw_only=True)
class RtDetr(Layout):
    """Class logits and boxes of each query, as RT-DETR, D-FINE and DEIM."""

    name = "rtdetr"
    meaning = "logits [batch, queries, classes] for a sigmoid, boxes 0..1 (RT-DETR, D-FINE)"
    extra_classes: ClassVar[int] = 0  # of the logits, beside those of objects

    class_count: int
    masked: bool  # whether the graph is told where the padding is

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _queries(trial)
        if found is None:
            return None
        logits, boxes = found
        _check_relative(cls.name, trial.outputs[boxes])
        classes = trial.outputs[logits].shape[2] - cls.extra_classes
        trial.check_classes(classes)
        masked = PIXEL_MASK in trial.inputs
        return cls(outputs=found, class_count=classes, masked=masked)

    @classmethod
    def is_likely(cls, trial: Trial) -> bool:
        found = _queries(trial)
        return found is not None and cls is _kind(trial, *found)

    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        logits, boxes = (outputs[name][index].float() for name in self.outputs)
        scores = self.scores(logits)
        queries, classes = (scores > threshold).nonzero().unbind(1)
        height, width = self.extent(placement)
        pixels = boxes[queries] * boxes.new_tensor([width, height, width, height])
        return choose(pixels, scores[queries, classes], classes, threshold, corners=False)

    def scores(self, logits: Tensor) -> Tensor:
        """Scores 0..1 of each query and class."""
        return logits.sigmoid()

    def extent(self, placement: Letterbox) -> Size:
        """Height and width that boxes are relative to, in canvas pixels."""
        # With its mask the network counts from the picture's edges.
        return placement.resized if self.masked else placement.canvas

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        if self.masked:
            return _detr_sizing(canvas)
        size = canvas or (side, side)
        return Sizing(stretch=size, canvas=size)


@dataclass(kw_only=True)
class RfDetr(RtDetr):
    """The same of RF-DETR, whose pictures are normalised."""

    name = "rfdetr"
    meaning = "dets: boxes 0..1, labels: logits for a sigmoid (RF-DETR)"

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        size = canvas or (side, side)
        return Sizing(stretch=size, canvas=size, mean=_IMAGENET_MEAN, std=_IMAGENET_STD)


@dataclass(kw_only=True)
class Detr(RtDetr):
    """The same of DETR, whose last class is no object."""

    name = "detr"
    meaning = "logits [batch, queries, classes + no object] for a softmax, boxes 0..1 (DETR)"
    extra_classes = 1

    def scores(self, logits: Tensor) -> Tensor:
        probabilities = logits.softmax(dim=1)[:, :-1]
        best = probabilities.amax(dim=1, keepdim=True)
        return probabilities * (probabilities == best)

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        del side
        return _detr_sizing(canvas)


@dataclass(kw_only=True)
class Detections(Layout):
    """Boxes, scores and class numbers in an output each: torchvision's, RT-DETR's own."""

    name = "detections"
    meaning = "boxes (corners in pixels), scores and class numbers, in an output each"

    stretched: bool  # whether a picture fills the canvas, whatever its proportions

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _separate(trial)
        if found is None:
            return None
        boxes, scores, labels = (trial.outputs[name] for name in found)
        check_probabilities(cls.name, scores)
        if boxes.numel() and not bool((boxes[..., 2:] >= boxes[..., :2] - 1).all()):
            raise unfit(cls.name, "boxes are not two corners each")
        if trial.classes is not None and labels.numel():
            trial.check_classes(max(trial.classes, int(labels.max()) + 1))
        return cls(
            outputs=found,
            class_count=trial.classes,
            has_batch=boxes.ndim == _WITH_BATCH,
            stretched=ORIGINAL_SIZES in trial.inputs,
        )

    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        del placement
        boxes, scores, labels = (outputs[name][index] for name in self.outputs)
        return choose(boxes.float(), scores.float(), labels, threshold, corners=True)

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        size = canvas or (side, side)
        short, long = sorted(size)
        stretch = size if self.stretched else None
        return Sizing(shortest=short, longest=long, stretch=stretch, canvas=size)


def _detr_sizing(canvas: Size | None) -> Sizing:
    short, long = sorted(canvas or (800, 1333))
    return Sizing(
        shortest=short, longest=long, canvas=canvas, mean=_IMAGENET_MEAN, std=_IMAGENET_STD
    )


def _queries(trial: Trial) -> tuple[str, str] | None:
    """The names of the logits and of the boxes, [batch, queries, ...] both."""
    found = trial.of_rank(3)
    boxes = [name for name, value in found.items() if value.shape[2] == _BOX_SIDES]
    if len(boxes) > 1:
        boxes = [name for name in boxes if "box" in name or name == _BOXES_OF_RF_DETR]
    others = [name for name in found if name not in boxes]
    if len(boxes) != 1 or len(others) != 1:
        return None
    logits = others[0]
    return (logits, boxes[0]) if found[logits].shape[:2] == found[boxes[0]].shape[:2] else None


def _kind(trial: Trial, logits: str, boxes: str) -> type[RtDetr] | None:
    """Which of the three: by the names, the number of classes, and what most queries find."""
    if boxes == _BOXES_OF_RF_DETR:
        return RfDetr
    count = trial.outputs[logits].shape[2]
    if trial.classes is not None:
        return Detr if trial.classes == count - 1 else RtDetr
    nothing = trial.outputs[logits].argmax(dim=2) == count - 1
    if bool(nothing.float().mean() > _MOST):
        return Detr
    # Masks are for DETR's kin, of which some have a class for no object.
    return None if PIXEL_MASK in trial.inputs else RtDetr


def _separate(trial: Trial) -> tuple[str, str, str] | None:
    """The names of boxes [..., 4], scores [...] and labels [...]."""
    boxes = [name for name, value in trial.outputs.items() if value.shape[-1:] == (_BOX_SIDES,)]
    if len(boxes) != 1 or trial.outputs[boxes[0]].ndim not in {2, 3}:
        return None
    shape = trial.outputs[boxes[0]].shape[:-1]
    others = [name for name, value in trial.outputs.items() if value.shape == shape]
    labels = [name for name in others if not trial.outputs[name].is_floating_point()]
    scores = [name for name in others if trial.outputs[name].is_floating_point()]
    if len(labels) != 1 or len(scores) != 1:
        return None
    return boxes[0], scores[0], labels[0]


def _check_relative(layout: str, boxes: Tensor) -> None:
    """Raises a `UsageError` unless centres and sizes count from 0 to 1."""
    low, high = float(boxes.min()), float(boxes.max())
    if low < -_MARGIN or high > 1 + _MARGIN:
        raise unfit(layout, f"boxes of {low:g} to {high:g} do not count from 0 to 1")
