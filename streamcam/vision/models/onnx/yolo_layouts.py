"""The layouts of YOLO's kin: one output with a box and its scores for each place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Candidates, Sizing
from streamcam.vision.models.onnx.layout import (
    Layout,
    Trial,
    cells,
    check_probabilities,
    choose,
    unfit,
)

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_ANCHORS = 3
_COCO_CLASSES = 80


class YoloLayout(Layout):
    """What they have in common: pictures in the middle of a grey canvas, as Ultralytics does it."""

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        short, long = sorted(canvas or (side, side))
        return Sizing(
            shortest=short, longest=long, canvas=canvas, pad=114, centred=True, nearest=True
        )


@dataclass(kw_only=True)
class Yolo(YoloLayout):
    """[batch, 4 + classes, places], as Ultralytics' detectors from v8 on."""

    name = "yolo"
    meaning = "[batch, 4 + classes, places]: boxes in pixels, probabilities (Ultralytics)"
    confidence = 0.25
    suppress = 0.7

    class_count: int
    corners: bool  # whether boxes are two corners, else centre, width and height
    all_classes: bool = False  # whether a place gives a box for each class, else for its best

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _predictions(trial)
        if found is None or not 5 <= found[1].shape[1] < found[1].shape[2]:
            return None
        name, value = found
        classes = value.shape[1] - 4 - _mask_channels(trial)
        if trial.keypoints:
            classes = trial.classes or 1
        trial.check_classes(classes)
        check_probabilities(cls.name, value[:, 4 : 4 + classes])
        x1, y1, x2, y2 = value[0, :4].float()
        _check_pixels(cls.name, x1, trial.canvas)
        # No box is wider than the last places are far from the edge.
        corners = bool((x2 > x1).all() and (y2 > y1).all())
        return cls(outputs=[name], class_count=classes, corners=corners)

    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        del placement
        rows = outputs[self.outputs[0]][index].float()
        scores = rows[4 : 4 + self.class_count].T
        if self.all_classes:
            places, classes = (scores > threshold).nonzero().unbind(1)
            boxes, chosen = rows[:4].T[places], scores[places, classes]
            return choose(boxes, chosen, classes, threshold, corners=self.corners)
        best, classes = scores.max(dim=1)
        return choose(rows[:4].T, best, classes, threshold, corners=self.corners)


@dataclass(kw_only=True)
class YoloV5(YoloLayout):
    """[batch, places, 5 + classes], as YOLOv5, v6 and v7."""

    name = "yolov5"
    meaning = "[batch, places, 5 + classes]: boxes in pixels, objectness, probabilities"
    confidence = 0.25
    suppress = 0.45

    class_count: int

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _with_objectness(cls.name, trial)
        if found is None:
            return None
        name, value, classes = found
        _check_pixels(cls.name, value[0, :, 0], trial.canvas)
        return cls(outputs=[name], class_count=classes)

    @classmethod
    def is_likely(cls, trial: Trial) -> bool:
        found = _with_objectness(cls.name, trial)
        if found is None or not _is_counted(trial, found[2]):
            return False
        return _strides(trial.canvas, found[1].shape[1]) is None

    def boxes(self, rows: Tensor, canvas: Size) -> Tensor:
        """Centres, widths and heights in pixels, [places, 4]."""
        del canvas
        return rows[:, :4]

    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        rows = outputs[self.outputs[0]][index].float()
        best, classes = rows[:, 5 : 5 + self.class_count].max(dim=1)
        boxes = self.boxes(rows, placement.canvas)
        return choose(boxes, rows[:, 4] * best, classes, threshold, corners=False)


@dataclass(kw_only=True)
class Yolox(YoloV5):
    """The same of YOLOX, whose boxes may still be relative to their cells.

    Source: Ge et al. 2021, "YOLOX", arXiv:2107.08430.
    """

    name = "yolox"
    meaning = "[batch, places, 5 + classes] of YOLOX: boxes in strides or pixels"

    relative: bool = False  # whether boxes count from their cells, in strides and logarithms

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _with_objectness(cls.name, trial)
        if found is None or _strides(trial.canvas, found[1].shape[1]) is None:
            return None
        name, value, classes = found
        relative = bool(value[0, :, 0].max() < trial.canvas[1] / 2)
        return cls(outputs=[name], class_count=classes, relative=relative)

    @classmethod
    def is_likely(cls, trial: Trial) -> bool:
        layout = cls.fit(trial)
        return layout is not None and layout.relative and _is_counted(trial, layout.class_count)

    def boxes(self, rows: Tensor, canvas: Size) -> Tensor:
        if not self.relative:
            return rows[:, :4]
        strides = _strides(canvas, len(rows))
        assert strides is not None
        corners, sizes = cells(canvas, strides, rows.device)
        return torch.cat([(rows[:, :2] + corners) * sizes, rows[:, 2:4].exp() * sizes], dim=1)

    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        short, long = sorted(canvas or (side, side))
        return Sizing(
            shortest=short, longest=long, canvas=canvas, std=(1.0, 1.0, 1.0), pad=114, bgr=True
        )


@dataclass(kw_only=True)
class EndToEnd(YoloLayout):
    """[batch, boxes, 6], suppressed inside the graph or from a head that needs it not."""

    name = "end2end"
    meaning = "[batch, boxes, 6]: corners in pixels, probability, class; nothing to suppress"
    confidence = 0.25

    @classmethod
    def fit(cls, trial: Trial) -> Self | None:
        found = _predictions(trial)
        if found is None or found[1].shape[2] != 6 + _mask_channels(trial):
            return None
        name, value = found
        if _is_dense(trial.canvas, value.shape[1]):
            return None
        check_probabilities(cls.name, value[0, :, 4])
        # Rows without a box are filled with anything.
        classes = value[0, value[0, :, 4] > 0, 5]
        if not bool(((classes == classes.round()) & (classes >= 0)).all()):
            raise unfit(cls.name, "the sixth column holds no class numbers")
        if trial.classes is not None and classes.numel():
            trial.check_classes(max(trial.classes, int(classes.max()) + 1))
        return cls(outputs=[name], class_count=trial.classes)

    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        del placement
        rows = outputs[self.outputs[0]][index].float()
        return choose(rows[:, :4], rows[:, 4], rows[:, 5], threshold, corners=True)


def _predictions(trial: Trial) -> tuple[str, Tensor] | None:
    """The only output of rank 3."""
    found = list(trial.of_rank(3).items())
    return (found[0][0], found[0][1].float()) if len(found) == 1 else None


def _mask_channels(trial: Trial) -> int:
    """Coefficients of a mask that each box of a segmenter has besides."""
    prototypes = list(trial.of_rank(4).values())
    return prototypes[0].shape[1] if prototypes else 0


def _with_objectness(layout: str, trial: Trial) -> tuple[str, Tensor, int] | None:
    """The output [batch, places, 5 + classes], and its number of classes."""
    found = _predictions(trial)
    if found is None or not 6 <= found[1].shape[2] < found[1].shape[1]:
        return None
    name, value = found
    if not _is_dense(trial.canvas, value.shape[1]):
        return None
    classes = value.shape[2] - 5 - _mask_channels(trial)
    trial.check_classes(classes)
    check_probabilities(layout, value[:, :, 4 : 5 + classes])
    return name, value, classes


def _is_counted(trial: Trial, classes: int) -> bool:
    """Whether names, or the usual number, say that objectness stands before the classes."""
    return classes in {trial.classes, _COCO_CLASSES}


def _strides(canvas: Size, places: int) -> tuple[int, ...] | None:
    """The strides of the levels whose cells these places are."""
    return next((one for one in _STRIDES if _cell_count(canvas, one) == places), None)


def _is_dense(canvas: Size, places: int) -> bool:
    """Whether there is a place for each cell, or three."""
    return any(
        _cell_count(canvas, strides) * anchors == places
        for strides in _STRIDES
        for anchors in (1, _ANCHORS)
    )


def _cell_count(canvas: Size, strides: tuple[int, ...]) -> int:
    return sum(-(-canvas[0] // one) * -(-canvas[1] // one) for one in strides)


def _check_pixels(layout: str, x: Tensor, canvas: Size) -> None:
    """Every place has a box near it, so the boxes together reach over the canvas.

    Raises:
        UsageError: They do not.
    """
    if not canvas[1] / 2 < float(x.max()) < 2 * canvas[1]:
        raise unfit(layout, f"boxes that reach to {float(x.max()):g} are not in pixels")
