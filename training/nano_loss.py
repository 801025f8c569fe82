"""Which places learn which objects, and the losses of `streamcam.vision.models.nano`.

Task-aligned assignment with the quality of the box as the score to reach (TOOD, Feng et al. 2021,
arXiv:2108.07755) and generalised IoU loss (Rezatofighi et al. 2019, arXiv:1902.09630).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import generalized_box_iou_loss

from streamcam.vision.models.nano_network import Nano

# Assignment: how much score and overlap count, and how many places an object may claim (TOOD; the
# smaller score exponent keeps unlearned scores from deciding early on).
_SCORE_POWER = 0.5
_OVERLAP_POWER = 6.0
_PLACES_PER_OBJECT = 10

# Plain cross-entropy: a focal one forgave the network a person score of 0.3 on every dog and every
# second box of an object, and 60,000 samples in, it gave just that.
_CLASS_LOSS_WEIGHT = 0.5
_BOX_LOSS_WEIGHT = 2.5
_EPSILON = 1e-9


class Assignment(NamedTuple):
    """P pairs of a place and an object."""

    places: Tensor
    """`[P]`, image index * N + place index."""
    objects: Tensor
    """`[P]`, index into the batch's objects."""
    quality: Tensor
    """`[P]`, 0..1: the score that the place should reach."""


def nano_losses(
    model: Nano, pixels: Tensor, targets: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Training losses.

    Args:
        model: Being trained.
        pixels: Normalised, `[B, 3, H, W]`.
        targets: Of each image `boxes` (xyxy, pixels of the network's input) and `labels`.

    Raises:
        ValueError: A label is none of the model's categories.
    """
    classes = [_class_indices(model, target["labels"]) for target in targets]
    logits, boxes, points = model.predict(pixels)
    return detection_losses(logits, boxes, points, [target["boxes"] for target in targets], classes)


def _class_indices(model: Nano, labels: Tensor) -> Tensor:
    matches = labels[:, None] == model.category_ids
    if not bool(matches.any(dim=1).all()):
        unknown = sorted(set(labels.tolist()) - set(model.categories))
        raise ValueError(f"labels that the detector does not know: {unknown}")
    return matches.int().argmax(dim=1)


def detection_losses(
    logits: Tensor,
    boxes: Tensor,
    points: Tensor,
    target_boxes: Sequence[Tensor],
    target_classes: Sequence[Tensor],
) -> dict[str, Tensor]:
    """Losses of a batch: logits `[B, N, C]`, boxes `[B, N, 4]`, points `[N, 2]`, pixels.

    Targets are per image: boxes `[n, 4]` (x1 y1 x2 y2) and class indices `[n]`.
    """
    object_boxes = torch.cat(list(target_boxes)).to(boxes.dtype)
    object_classes = torch.cat(list(target_classes))
    counts = torch.tensor([len(each) for each in target_boxes], device=boxes.device)
    object_images = torch.repeat_interleave(
        torch.arange(len(target_boxes), device=boxes.device), counts
    )
    with torch.no_grad():
        pairs = assign(logits.sigmoid(), boxes, points, object_boxes, object_classes, object_images)
    total = pairs.quality.sum().clamp(min=1.0)
    wanted = torch.zeros_like(logits).flatten(0, 1)
    wanted[pairs.places, object_classes[pairs.objects]] = pairs.quality
    overlap_loss = generalized_box_iou_loss(
        boxes.flatten(0, 1)[pairs.places], object_boxes[pairs.objects]
    )
    class_loss = binary_cross_entropy_with_logits(logits.flatten(0, 1), wanted, reduction="sum")
    return {
        "classification": _CLASS_LOSS_WEIGHT * class_loss / total,
        "box": _BOX_LOSS_WEIGHT * (overlap_loss * pairs.quality).sum() / total,
    }


def assign(
    scores: Tensor,
    boxes: Tensor,
    points: Tensor,
    object_boxes: Tensor,
    object_classes: Tensor,
    object_images: Tensor,
) -> Assignment:
    """Give each object (G of them in the batch) the places that already see it best.

    Scores `[B, N, C]`, boxes `[B, N, 4]`, points `[N, 2]`, objects' boxes `[G, 4]`,
    classes `[G]` and images `[G]`.
    A place whose centre is in several objects goes to the one that it overlaps most.
    """
    places = points.shape[0]
    overlap = _overlap(boxes[object_images], object_boxes.unsqueeze(1))
    score = scores[object_images, :, object_classes]
    inside = ((points >= object_boxes[:, None, :2]) & (points <= object_boxes[:, None, 2:])).all(
        dim=-1
    )
    metric = score.pow(_SCORE_POWER) * overlap.pow(_OVERLAP_POWER) * inside
    best, place = metric.topk(min(_PLACES_PER_OBJECT, places), dim=1)
    objects, rank = (best > _EPSILON).nonzero(as_tuple=True)
    place = place[objects, rank]
    flat = object_images[objects] * places + place
    pair_overlap, pair_metric = overlap[objects, place], metric[objects, place]

    most = pair_overlap.new_zeros(scores.shape[0] * places)
    most = most.scatter_reduce(0, flat, pair_overlap, "amax")
    mine = pair_overlap >= most[flat]
    flat, objects = flat[mine], objects[mine]
    pair_overlap, pair_metric = pair_overlap[mine], pair_metric[mine]

    top_metric = _per_object_max(pair_metric, objects, len(object_boxes))
    top_overlap = _per_object_max(pair_overlap, objects, len(object_boxes))
    quality = pair_metric / top_metric[objects] * top_overlap[objects]
    return Assignment(flat, objects, quality)


def _per_object_max(values: Tensor, objects: Tensor, count: int) -> Tensor:
    return values.new_full((count,), _EPSILON).scatter_reduce(0, objects, values, "amax")


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes that broadcast against each other, `[..., 4]` to `[...]`."""
    top_left = torch.maximum(a[..., :2], b[..., :2])
    bottom_right = torch.minimum(a[..., 2:], b[..., 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(dim=-1) + (b[..., 2:] - b[..., :2]).prod(dim=-1)
    return shared / (areas - shared).clamp(min=_EPSILON)
