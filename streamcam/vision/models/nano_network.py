"""The network of `nano`, the small detector that ships with streamcam.

A one-stage, anchor-free detector of 3.8 million parameters, made of plain convolutions and leaky
ReLUs, which suit CPUs. It has the interface of torchvision's detection models: images in a list,
boxes in the pixels of each image out, and a `backbone` whose output is an ordered dictionary of
pyramid levels.

The architecture is NanoDet-g (RangiLyu, https://github.com/RangiLyu/nanodet, Apache-2.0), its batch
norms folded; this implementation is our own. Sources of its parts: cross-stage partial blocks (Wang
et al. 2020, arXiv:1911.11929), path aggregation (Liu et al. 2018, arXiv:1803.01534), box sides as
distributions and class scores that say how good the box is (generalised focal loss, Li et al. 2020,
arXiv:2006.04388), distances from a place to the four sides (FCOS, Tian et al. 2019,
arXiv:1904.01355).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from streamcam.vision.models.detector import suppress
from streamcam.vision.models.network import Candidates

STRIDES = (8, 16, 32)
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

LAST_BIN = 10
"""A side of a box lies at most this many strides from its place."""

_STAGES = ((64, 2), (128, 2), (256, 3))
"""Channels of each stage's input, and its number of blocks."""
_LEVEL_CHANNELS = 128

# A new class score starts here: one place in a hundred holds an object
# (RetinaNet, Lin et al. 2017, arXiv:1708.02002).
_PRIOR_SCORE = 0.01
# Maximum number of boxes of an image before suppression (torchvision's FCOS: of each level).
_CANDIDATES = 1000


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(0.1))


class SplitBlock(nn.Module):
    """Two convolutions, whose results are concatenated; [B, C, H, W] to [B, 2 * width, H, W]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = _conv(channels, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.first(x)
        return torch.cat([self.second(first), first], dim=1)


class PartialStage(nn.Module):
    """Blocks beside a shortcut (cross-stage partial); [B, C, H, W] to [B, 2 * C, H', W']."""

    def __init__(self, channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.entry = _conv(channels, channels, stride)
        self.blocks = nn.Sequential(*(SplitBlock(channels, channels // 2) for _ in range(blocks)))
        self.exit = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        return torch.cat([self.exit(self.blocks(x)), x], dim=1)


class PathAggregation(nn.Module):
    """A feature pyramid whose finer levels also reach the coarser ones, without more weights."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(each, channels, 1) for each in inputs)

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        levels = [lateral(x) for lateral, x in zip(self.lateral, stages, strict=True)]
        for finer in reversed(range(len(levels) - 1)):
            levels[finer] = levels[finer] + functional.interpolate(
                levels[finer + 1], scale_factor=2.0, mode="bilinear", align_corners=False
            )
        for coarser in range(1, len(levels)):
            # The mean of four cells is what bilinear interpolation to half the size gives.
            levels[coarser] = levels[coarser] + functional.avg_pool2d(levels[coarser - 1], 2)
        return levels


class NanoBackbone(nn.Module):
    """Pixels [B, 3, H, W] to pyramid levels "0", "1", "2" of strides 8, 16 and 32."""

    out_channels = _LEVEL_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, 32, stride=2), nn.MaxPool2d(3, 2, padding=1), PartialStage(32, 1, stride=1)
        )
        self.stages = nn.ModuleList(
            PartialStage(channels, blocks, stride=2) for channels, blocks in _STAGES
        )
        self.pyramid = PathAggregation([2 * channels for channels, _ in _STAGES], _LEVEL_CHANNELS)

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        """The levels; H and W are multiples of 32."""
        x = self.stem(pixels)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        levels = self.pyramid(outputs)
        return OrderedDict((str(index), level) for index, level in enumerate(levels))


class Predictions(NamedTuple):
    """What the head predicts for every place of every level, N places in all; float32."""

    logits: Tensor
    """[B, N, C], before the sigmoid."""
    sides: Tensor
    """[B, N, 4, LAST_BIN + 1]: logits of the distances 0, 1, ... strides to the left, upper, right
    and lower side of the box."""
    places: Tensor
    """[N, 3]: x and y of the place in pixels of the network's input, and its level's stride."""


class NanoHead(nn.Module):
    """Class scores and box sides for every place of every level."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        outputs = classes + 4 * (LAST_BIN + 1)
        self.classes = classes
        self.levels = nn.ModuleList(
            nn.Sequential(*_conv(channels, channels), nn.Conv2d(channels, outputs, 1))
            for _ in STRIDES
        )
        for level in self.levels:
            last = cast("nn.Conv2d", cast("nn.Sequential", level)[-1])
            nn.init.normal_(last.weight, std=0.01)
            nn.init.constant_(cast("Tensor", last.bias)[:classes], -math.log(1 / _PRIOR_SCORE - 1))

    def forward(self, levels: Sequence[Tensor]) -> Predictions:
        """Levels [B, channels, H, W], in the order of `STRIDES`."""
        return Predictions(*self.convolve(levels), places_of(levels))

    def convolve(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The logits and the sides of `Predictions`."""
        outputs = []
        for level, convolutions in zip(levels, self.levels, strict=True):
            output: Tensor = convolutions(level)
            outputs.append(output.float().permute(0, 2, 3, 1).flatten(1, 2))
        logits, sides = torch.cat(outputs, dim=1).tensor_split([self.classes], dim=2)
        return logits, sides.reshape(*logits.shape[:2], 4, LAST_BIN + 1)


def places_of(levels: Sequence[Tensor]) -> Tensor:
    """The places of `Predictions`, for levels in the order of `STRIDES`."""
    return torch.cat(
        [
            _places(level.shape[-2], level.shape[-1], stride, level.device)
            for level, stride in zip(levels, STRIDES, strict=True)
        ]
    )


def _places(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """The centres of a level's cells and its stride, [height * width, 3]."""
    ys = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    xs = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y, torch.full_like(grid_x, stride)], dim=-1).flatten(0, 1)


def boxes_of(sides: Tensor, places: Tensor) -> Tensor:
    """Boxes [..., 4] (x1 y1 x2 y2, pixels of the network's input): each side at its mean distance.

    Args:
        sides: [..., 4, LAST_BIN + 1], logits.
        places: [..., 3], as in `Predictions`.
    """
    steps = torch.arange(LAST_BIN + 1, device=sides.device, dtype=sides.dtype)
    distances = (sides.softmax(dim=-1) * steps).sum(dim=-1) * places[..., 2:]
    centres = places[..., :2]
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)


class Nano(nn.Module):
    """The whole detector, with random weights; the names of its settings are torchvision's.

    `categories` maps the label ids that come out to their names.
    """

    category_ids: Tensor

    def __init__(
        self,
        categories: Mapping[int, str],
        *,
        min_size: int = 384,
        max_size: int = 672,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        detections_per_img: int = 100,
    ) -> None:
        super().__init__()
        if not categories:
            raise ValueError("nano needs at least one category")
        self.categories = dict(categories)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.transform = GeneralizedRCNNTransform(
            min_size, max_size, list(PIXEL_MEAN), list(PIXEL_STD), size_divisible=STRIDES[-1]
        )
        self.backbone = NanoBackbone()
        self.head = NanoHead(self.backbone.out_channels, len(categories))
        self.register_buffer("category_ids", torch.tensor(list(categories)))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Detections of images [3, height, width], 0..1."""
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        batch, _ = self.transform(images)
        detections = self.detect(self.predict(batch.tensors), batch.image_sizes)
        return cast(
            "list[dict[str, Tensor]]",
            self.transform.postprocess(detections, batch.image_sizes, sizes),
        )

    def predict(self, pixels: Tensor) -> Predictions:
        """Raw predictions for normalised pixels [B, 3, H, W]; H and W multiples of 32."""
        return cast("Predictions", self.head(list(self.backbone(pixels).values())))

    def detect(
        self, predictions: Predictions, sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Best boxes of each image after suppression, in pixels of the network's input."""
        candidates = self.candidates(predictions, sizes)
        kept = suppress(candidates, self.nms_thresh, self.detections_per_img)
        return [{"boxes": k.boxes, "labels": k.class_ids, "scores": k.scores} for k in kept]

    def candidates(
        self,
        predictions: Predictions,
        sizes: Sequence[tuple[int, int]],
        threshold: float | None = None,
    ) -> list[Candidates]:
        """Boxes of each image before suppression, in pixels of the network's input.

        Args:
            predictions: Those of a batch.
            sizes: Height and width of each image in the network's input, without padding.
            threshold: Score above which boxes are wanted; None for the model's own.
        """
        minimum = self.score_thresh if threshold is None else threshold
        logits, at = _promising(predictions.logits, minimum)
        classes = logits.shape[2]
        keep = min(_CANDIDATES, at.shape[1] * classes)
        top, index = logits.sigmoid().flatten(1).topk(keep, dim=1)
        labels = self.category_ids[index % classes]
        at = at.gather(1, index // classes)
        images = torch.arange(len(at), device=at.device).unsqueeze(1)
        boxes = boxes_of(predictions.sides[images, at], predictions.places[at])
        ends = torch.tensor([[w, h, w, h] for h, w in sizes], device=top.device).unsqueeze(1)
        boxes = boxes.clamp(min=0).minimum(ends)
        valid = (top > minimum) & (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
        return [
            Candidates(boxes[image][own], top[image][own], labels[image][own])
            for image, own in enumerate(valid)
        ]


def _promising(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Logits [B, P, C] of the places that can give boxes, and which those are, [B, P].

    Of thousands a few dozen have a class with score enough. However many they are, the best
    candidates lie in as many of the best places.
    """
    strongest = logits.amax(dim=2)
    busy = int((strongest.sigmoid() > threshold).sum(dim=1).max())
    places = strongest.topk(min(busy, _CANDIDATES), dim=1).indices
    return logits.gather(1, places.unsqueeze(-1).expand(-1, -1, logits.shape[2])), places
