"""The network of `nano`, the small detector that ships with streamcam.

A one-stage, anchor-free detector of about two million parameters, made of plain 3x3 convolutions
so that it is quick on a CPU and fuses with its batch norms. It has the interface of torchvision's
detection models: images in a list, boxes in the pixels of each image out, and a `backbone` whose
output is an ordered dictionary of pyramid levels.

Sources of the parts: residual blocks (He et al. 2016, arXiv:1512.03385), cross-stage partial
blocks (Wang et al. 2020, arXiv:1911.11929), feature pyramid (Lin et al. 2017, arXiv:1612.03144),
distances to the four sides as the box (FCOS, Tian et al. 2019, arXiv:1904.01355), a head whose
convolutions are shared between levels while their batch norms are not (RTMDet, Lyu et al. 2022,
arXiv:2212.07784).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from streamcam.vision.cpu.optimize import fold_batch_norms
from streamcam.vision.models.detector import suppress
from streamcam.vision.models.network import Candidates

STRIDES = (8, 16, 32)
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

_STAGE_CHANNELS = (32, 80, 160, 256)
_PYRAMID_CHANNELS = 64

# A new class score starts here: one place in a hundred holds an object
# (RetinaNet, Lin et al. 2017, arXiv:1708.02002).
_PRIOR_SCORE = 0.01
# A new box reaches this many strides to each side: the middle of the sizes that a level serves.
_PRIOR_REACH = 3.0
# Maximum number of boxes of an image before suppression (torchvision's FCOS: of each level).
_CANDIDATES = 1000
# exp(6) strides is wider than any picture; it keeps half precision finite.
_MAX_LOG_REACH = 6.0


def _conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int | None = None
) -> Conv2dNormActivation:
    return Conv2dNormActivation(
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        norm_layer=nn.BatchNorm2d,
        activation_layer=nn.SiLU,
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity path; the shape `[B, C, H, W]` stays, as below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + cast("Tensor", self.convs(x))


class PartialStage(nn.Module):
    """Half of the channels pass `blocks` residual blocks; every step's result joins the output."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        half = channels // 2
        self.split = _conv(channels, channels, 1)
        self.blocks = nn.ModuleList(ResidualBlock(half) for _ in range(blocks))
        self.join = _conv(channels + half * blocks, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).chunk(2, dim=1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return cast("Tensor", self.join(torch.cat(parts, dim=1)))


class PooledContext(nn.Module):
    """Three chained 5x5 max pools beside the input: a wide view for large objects at little cost.

    Spatial pyramid pooling (He et al. 2015, arXiv:1406.4729) in its chained form.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = _conv(channels, half, 1)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = _conv(half * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.reduce(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return cast("Tensor", self.join(torch.cat(parts, dim=1)))


class NanoBackbone(nn.Module):
    """Pixels `[B, 3, H, W]` to pyramid levels `"0"`, `"1"`, `"2"` of strides 8, 16 and 32."""

    out_channels = _PYRAMID_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        c4, c8, c16, c32 = _STAGE_CHANNELS
        # One 6x6 convolution straight to stride 4: a stem of two 3x3 ones, with its large maps at
        # stride 2, took a fifth of the training time.
        self.stem = nn.Sequential(_conv(3, c4, kernel=6, stride=4, padding=1), ResidualBlock(c4))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_conv(c4, c8, stride=2), PartialStage(c8, 2)),
                nn.Sequential(_conv(c8, c16, stride=2), PartialStage(c16, 2)),
                nn.Sequential(_conv(c16, c32, stride=2), PartialStage(c32, 2), PooledContext(c32)),
            ]
        )
        self.fpn = FeaturePyramidNetwork(
            [c8, c16, c32], _PYRAMID_CHANNELS, norm_layer=nn.BatchNorm2d
        )

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        """The levels; H and W are multiples of 32."""
        x = self.stem(pixels)
        levels: OrderedDict[str, Tensor] = OrderedDict()
        for index, stage in enumerate(self.stages):
            x = stage(x)
            levels[str(index)] = x
        return cast("OrderedDict[str, Tensor]", self.fpn(levels))


class Predictions(NamedTuple):
    """What the head says of every place of every level, N places in all."""

    logits: Tensor
    """`[B, N, C]`, before the sigmoid."""
    boxes: Tensor
    """`[B, N, 4]`, x1 y1 x2 y2 in pixels of the network's input."""
    points: Tensor
    """`[N, 2]`, the places' centres in pixels of the network's input."""


class NanoHead(nn.Module):
    """Class scores and box distances for every place of every level."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.trunk = _shared_over_levels(channels)
        self.class_tower = _shared_over_levels(channels)
        self.box_tower = _shared_over_levels(channels)
        self.class_logits = nn.Conv2d(channels, classes, 1)
        self.box_reach = nn.Conv2d(channels, 4, 1)
        nn.init.normal_(self.class_logits.weight, std=0.01)
        nn.init.constant_(cast("Tensor", self.class_logits.bias), -math.log(1 / _PRIOR_SCORE - 1))
        nn.init.normal_(self.box_reach.weight, std=0.01)
        nn.init.constant_(cast("Tensor", self.box_reach.bias), math.log(_PRIOR_REACH))

    def forward(self, levels: Sequence[Tensor]) -> Predictions:
        """Levels `[B, channels, H, W]`, in the order of `STRIDES`."""
        logits, boxes, points = [], [], []
        towers = zip(levels, STRIDES, self.trunk, self.class_tower, self.box_tower, strict=True)
        for level, stride, trunk, class_tower, box_tower in towers:
            x = trunk(level)
            logits.append(_flat(self.class_logits(class_tower(x))).float())
            reach = _flat(self.box_reach(box_tower(x))).float()
            centres = _cell_centres(level.shape[-2], level.shape[-1], stride, level.device)
            distances = reach.clamp(max=_MAX_LOG_REACH).exp() * stride
            boxes.append(
                torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)
            )
            points.append(centres)
        return Predictions(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(points))


def _shared_over_levels(channels: int) -> nn.ModuleList:
    """One convolution with batch norms of each level's own: the levels' statistics differ."""
    layers = [_conv(channels, channels) for _ in STRIDES]
    for layer in layers[1:]:
        layer[0] = layers[0][0]
    return nn.ModuleList(layers)


def _flat(x: Tensor) -> Tensor:
    """`[B, K, H, W]` to `[B, H * W, K]`."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _cell_centres(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    ys = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    xs = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)


class Nano(nn.Module):
    """The whole detector, with random weights; the names of its settings are torchvision's.

    `categories` maps the label ids that come out to their names.
    """

    category_ids: Tensor

    def __init__(
        self,
        categories: Mapping[int, str],
        *,
        min_size: int = 272,
        max_size: int = 544,
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
        """Raw predictions for normalised pixels `[B, 3, H, W]`; H and W multiples of 32."""
        return cast("Predictions", self.head(list(self.backbone(pixels).values())))

    def detect(
        self, predictions: Predictions, sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Best boxes of each image after suppression, in pixels of the network's input."""
        candidates = self.candidates(predictions.logits, predictions.boxes, sizes)
        kept = suppress(candidates, self.nms_thresh, self.detections_per_img)
        return [{"boxes": k.boxes, "labels": k.class_ids, "scores": k.scores} for k in kept]

    def candidates(
        self,
        logits: Tensor,
        boxes: Tensor,
        sizes: Sequence[tuple[int, int]],
        threshold: float | None = None,
    ) -> list[Candidates]:
        """Boxes of each image before suppression, in pixels of the network's input.

        Args:
            logits: `[B, N, C]`.
            boxes: `[B, N, 4]`.
            sizes: Height and width of each image in the network's input, without padding.
            threshold: Score above which boxes are wanted; None for the model's own.
        """
        minimum = self.score_thresh if threshold is None else threshold
        logits, places = _promising(logits, minimum)
        classes = logits.shape[2]
        keep = min(_CANDIDATES, places.shape[1] * classes)
        top, index = logits.float().sigmoid().flatten(1).topk(keep, dim=1)
        labels = self.category_ids[index % classes]
        places = places.gather(1, index // classes)
        boxes = boxes.gather(1, places.unsqueeze(-1).expand(-1, -1, 4))
        ends = torch.tensor([[w, h, w, h] for h, w in sizes], device=top.device).unsqueeze(1)
        boxes = boxes.clamp(min=0).minimum(ends)
        valid = (top > minimum) & (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
        return [
            Candidates(boxes[image][own], top[image][own], labels[image][own])
            for image, own in enumerate(valid)
        ]

    def fuse(self) -> Nano:
        """Fold every batch norm into its convolution, for evaluation only; returns self."""
        fold_batch_norms(self.eval())
        return self


def _promising(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Logits `[B, P, C]` of the places that can give boxes, and which those are, `[B, P]`.

    Of thousands a few dozen have a class with score enough. However many they are, the best
    candidates lie in as many of the best places.
    """
    strongest = logits.amax(dim=2)
    busy = int((strongest.float().sigmoid() > threshold).sum(dim=1).max())
    places = strongest.topk(min(busy, _CANDIDATES), dim=1).indices
    return logits.gather(1, places.unsqueeze(-1).expand(-1, -1, logits.shape[2])), places
