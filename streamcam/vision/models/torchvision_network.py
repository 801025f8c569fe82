"""torchvision's detectors as networks of ours: their heads' outputs, and the boxes made of them."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.optimize import pool_by_rows
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import (
    Candidates,
    FeatureLevels,
    Levels,
    Raw,
    Sizing,
    to_original,
)
from streamcam.vision.models.torch_network import DenseNetwork, TorchNetwork

_HEADS = ("rpn.head", "roi_heads.box_predictor", "head")

# What holds as many weights as the backbone, beside it.
_HEAVY = ("roi_heads.box_head",)

OneStageModule: TypeAlias = RetinaNet | FCOS | SSD


def torchvision_network(
    module: nn.Module, levels: FeatureLevels, categories: Mapping[int, str], options: LoadOptions
) -> TorchNetwork:
    """The network of a detector that torchvision built; the module is taken over.

    Masks and key points are not computed: no record shows them, and they change no box.
    """
    kind = TwoStageNetwork if isinstance(module, GeneralizedRCNN) else OneStageNetwork
    network = kind(
        module,
        sizing=sizing_of(module.transform),
        levels=levels,
        categories=categories,
        options=options,
        heads=_HEADS,
        heavy=_HEAVY,
    )
    if options.device.type == "cpu":
        pool_by_rows(module)
    return network


def sizing_of(transform: GeneralizedRCNNTransform) -> Sizing:
    """The sizing that torchvision's own preprocessing does."""
    mean, std = (
        [255 * value for value in values] for values in (transform.image_mean, transform.image_std)
    )
    width_height = transform.fixed_size
    return Sizing(
        shortest=transform.min_size[-1],
        longest=transform.max_size,
        stretch=None if width_height is None else (width_height[1], width_height[0]),
        multiple=transform.size_divisible,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


class TwoStageNetwork(TorchNetwork):
    """Faster R-CNN and its kin: proposals, then a class and a box for each."""

    module: GeneralizedRCNN
    after_graph = ("roi_heads",)

    def predictions(self, levels: Levels) -> Raw:
        """Those of the proposals, by level."""
        objectness, deltas = self.module.rpn.head(list(levels.values()))
        return {f"objectness.{i}": one for i, one in enumerate(objectness)} | {
            f"deltas.{i}": one for i, one in enumerate(deltas)
        }

    def completed(self, predictions: Raw, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        images = _image_list(levels, placements)
        proposals = self._proposals(images, levels, predictions)
        heads = self.module.roi_heads
        pooled = heads.box_roi_pool(levels, proposals, images.image_sizes)
        class_logits, box_regression = heads.box_predictor(heads.box_head(pooled))
        return {
            "class_logits": class_logits,
            "box_regression": box_regression,
            "proposals": torch.cat(proposals),
            "counts": torch.tensor([len(one) for one in proposals]),
        }

    def _proposals(self, images: ImageList, levels: Levels, predictions: Raw) -> list[Tensor]:
        """What torchvision's `RegionProposalNetwork` makes of its head's outputs."""
        rpn, maps = self.module.rpn, list(levels.values())
        objectness = [predictions[f"objectness.{i}"] for i in range(len(maps))]
        deltas = [predictions[f"deltas.{i}"] for i in range(len(maps))]
        anchors = rpn.anchor_generator(images, maps)
        per_level = [math.prod(one.shape[1:]) for one in objectness]
        scores, offsets = concat_box_prediction_layers(objectness, deltas)
        boxes = rpn.box_coder.decode(offsets.detach(), anchors).view(len(anchors), -1, 4)
        proposals, _ = rpn.filter_proposals(boxes, scores, images.image_sizes, per_level)
        return list(proposals)

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        heads = self.module.roi_heads
        # torchvision suppresses by itself. That only ever drops the weaker of two boxes, so the
        # threshold may as well come before it.
        heads.score_thresh = threshold
        boxes, scores, labels = heads.postprocess_detections(
            raw["class_logits"],
            raw["box_regression"],
            list(torch.split(raw["proposals"], raw["counts"].tolist())),
            [placement.resized for placement in placements],
        )
        return [
            Candidates(to_original(own.float(), placement), own_scores.float(), ids)
            for own, own_scores, ids, placement in zip(
                boxes, scores, labels, placements, strict=True
            )
        ]


class OneStageNetwork(DenseNetwork):
    """RetinaNet, FCOS and SSD: a class and a box for each anchor."""

    module: OneStageModule

    def predictions(self, levels: Levels) -> Raw:
        outputs: Raw = self.module.head(list(levels.values()))
        return outputs

    def completed(self, predictions: Raw, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        maps = list(levels.values())
        # The anchors of all images of a batch are the same.
        anchors = self.module.anchor_generator(_image_list(levels, placements), maps)[0]
        cells = torch.tensor([level.shape[-2] * level.shape[-1] for level in maps])
        return {**predictions, "anchors": anchors, "cells": cells}

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        self.module.score_thresh = threshold
        outputs = {name: raw[name] for name in raw if name not in {"anchors", "cells"}}
        anchors = [raw["anchors"]] * len(placements)
        sizes = [placement.resized for placement in placements]
        if isinstance(self.module, SSD):
            found = self.module.postprocess_detections(outputs, anchors, sizes)
        else:
            cells: list[int] = raw["cells"].tolist()
            each = len(raw["anchors"]) // sum(cells)
            counts = [count * each for count in cells]
            found = self.module.postprocess_detections(
                {name: list(torch.split(one, counts, dim=1)) for name, one in outputs.items()},
                [list(torch.split(one, counts)) for one in anchors],
                sizes,
            )
        return [
            Candidates(
                to_original(one["boxes"].float(), placement), one["scores"].float(), one["labels"]
            )
            for one, placement in zip(found, placements, strict=True)
        ]

    @property
    def overlap(self) -> float:
        return float(self.module.nms_thresh)

    def places(self, raw: Raw) -> tuple[Tensor, Tensor]:
        sides, logits = raw["bbox_regression"], raw["cls_logits"]
        anchors = raw["anchors"].expand(sides.shape[0], -1, -1)
        if isinstance(self.module, FCOS):
            scores = (logits.sigmoid() * raw["bbox_ctrness"].sigmoid()).sqrt()
            return self.module.box_coder.decode(sides, anchors), scores
        boxes = self.module.box_coder.decode_single(sides.flatten(0, 1), anchors.flatten(0, 1))
        if isinstance(self.module, SSD):
            # The first class is the background, which is no object.
            scores = functional.pad(logits.softmax(dim=-1)[..., 1:], (1, 0))
        else:
            scores = logits.sigmoid()
        return boxes.reshape(sides.shape), scores


def _image_list(levels: Levels, placements: Sequence[Letterbox]) -> ImageList:
    """What torchvision's heads ask of images: the canvas's size, and each image's own."""
    first: Tensor = next(iter(levels.values()))
    canvas = first.new_empty(1).expand(len(placements), 3, *placements[0].canvas)
    return ImageList(canvas, [placement.resized for placement in placements])
