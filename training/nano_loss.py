"""Which places learn which objects, and the losses of `streamcam.vision.models.nano`.

Task-aligned assignment with the quality of the box as the score to reach (TOOD, Feng et al. 2021,
arXiv:2108.07755), generalised IoU loss (Rezatofighi et al. 2019, arXiv:1902.09630), distribution
and quality focal losses (Li et al. 2020, arXiv:2006.04388). Classes that the data does not label
are learnt from a teacher (knowledge distillation, Hinton et al. 2015, arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from streamcam.vision.models.nano_network import LAST_BIN, Nano, Predictions, boxes_of

# Assignment: how much score and overlap count, and how many places an object may claim (TOOD; the
# smaller score exponent keeps unlearned scores from deciding early on).
_SCORE_POWER = 0.5
_OVERLAP_POWER = 6.0
_PLACES_PER_OBJECT = 10

_FOCUS = 2.0
"""Exponent of the quality focal loss: places that are right already hardly count."""
_BOX_LOSS_WEIGHT = 2.0
_SIDE_LOSS_WEIGHT = 0.25
# A place whose teacher is this sure of an unlabelled object also learns the teacher's box.
_TEACHER_SURE = 0.2
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
    model: Nano,
    pixels: Tensor,
    targets: Sequence[Mapping[str, Tensor]],
    teacher: Predictions | None = None,
    labelled: Tensor | None = None,
) -> dict[str, Tensor]:
    """Training losses.

    Args:
        model: Being trained.
        pixels: Normalised, [B, 3, H, W].
        targets: Of each image `boxes` (xyxy, pixels of the network's input) and `labels`.
        teacher: Another network's predictions for the same pixels.
        labelled: bool [C], the classes whose objects the targets hold; the others are learnt from
            the teacher. None where there is no teacher.

    Raises:
        ValueError: A label is none of the model's categories.
    """
    classes = [_class_indices(model, target["labels"]) for target in targets]
    predictions = model.predict(pixels)
    boxes = [target["boxes"] for target in targets]
    losses = detection_losses(predictions, boxes, classes, teacher, labelled)
    if teacher is not None and labelled is not None:
        losses["teacher"] = _teacher_box_loss(predictions, teacher, labelled)
    return losses


def _class_indices(model: Nano, labels: Tensor) -> Tensor:
    matches = labels[:, None] == model.category_ids
    if not bool(matches.any(dim=1).all()):
        unknown = sorted(set(labels.tolist()) - set(model.categories))
        raise ValueError(f"labels that the detector does not know: {unknown}")
    return matches.int().argmax(dim=1)


def detection_losses(
    predictions: Predictions,
    target_boxes: Sequence[Tensor],
    target_classes: Sequence[Tensor],
    teacher: Predictions | None = None,
    labelled: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch against its objects.

    Targets are per image: boxes [n, 4] (x1 y1 x2 y2, pixels) and class indices [n].
    """
    logits, sides, places = predictions
    boxes = boxes_of(sides, places)
    object_boxes = torch.cat(list(target_boxes)).to(boxes.dtype)
    object_classes = torch.cat(list(target_classes))
    counts = torch.tensor([len(each) for each in target_boxes], device=boxes.device)
    object_images = torch.repeat_interleave(
        torch.arange(len(target_boxes), device=boxes.device), counts
    )
    with torch.no_grad():
        pairs = assign(
            logits.sigmoid(), boxes, places[:, :2], object_boxes, object_classes, object_images
        )
    total = pairs.quality.sum().clamp(min=1.0)
    wanted = torch.zeros_like(logits).flatten(0, 1)
    wanted[pairs.places, object_classes[pairs.objects]] = pairs.quality
    if teacher is not None and labelled is not None:
        wanted = torch.where(labelled, wanted, teacher.logits.sigmoid().flatten(0, 1))
    pair_boxes = object_boxes[pairs.objects]
    overlap_loss = generalized_box_iou_loss(boxes.flatten(0, 1)[pairs.places], pair_boxes)
    side_loss = _side_loss(
        sides.flatten(0, 1)[pairs.places], places[pairs.places % len(places)], pair_boxes
    )
    return {
        "classification": quality_focal_loss(logits.flatten(0, 1), wanted) / total,
        "box": _BOX_LOSS_WEIGHT * (overlap_loss * pairs.quality).sum() / total,
        "sides": _SIDE_LOSS_WEIGHT * (side_loss * pairs.quality).sum() / total,
    }


def quality_focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy, weighted by how far each score is from the wanted one; the sum of all."""
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (entropy * (logits.sigmoid() - wanted).abs().pow(_FOCUS)).sum()


def _side_loss(sides: Tensor, places: Tensor, boxes: Tensor) -> Tensor:
    """Distribution focal loss of P places [P]: the two bins around each distance share the mass."""
    centres = places[:, :2]
    distances = torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], dim=1) / places[:, 2:]
    distances = distances.clamp(0, LAST_BIN - 1e-3)
    lower = distances.floor()
    share = distances - lower
    logs = sides.log_softmax(dim=-1)
    below, above = (logs.gather(2, (lower + step).long().unsqueeze(-1)) for step in (0, 1))
    return -((1 - share) * below.squeeze(-1) + share * above.squeeze(-1)).mean(dim=1)


def _teacher_box_loss(predictions: Predictions, teacher: Predictions, labelled: Tensor) -> Tensor:
    """How far box sides are from the teacher's, at the places of its sure unlabelled objects."""
    certainty = teacher.logits.sigmoid().masked_fill(labelled, 0).amax(dim=2)
    sure = certainty > _TEACHER_SURE
    divergence = functional.kl_div(
        predictions.sides[sure].log_softmax(dim=-1),
        teacher.sides[sure].log_softmax(dim=-1),
        reduction="none",
        log_target=True,
    )
    weighted = divergence.sum(dim=-1).mean(dim=-1) * certainty[sure]
    return weighted.sum() / certainty[sure].sum().clamp(min=1.0)


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
