"""Maps from gradients: the heads' forward is shared, and a backward serves a whole batch."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from streamcam.vision.methods.formulas import GradientMethod
from streamcam.vision.methods.grid import Pyramid
from streamcam.vision.methods.saved_activations import Group, SavedActivations
from streamcam.vision.models.torchvision import Detector
from streamcam.vision.models.torchvision_partial import Found

# Boxes of half the targets' scores are made: half precision in the ordinary forward shifts scores.
_MARGIN = 0.5


def gradient_maps(
    detector: Detector,
    kept: SavedActivations,
    groups: Sequence[Sequence[Group]],
    method: GradientMethod,
    centre: float,
) -> list[tuple[Pyramid, dict[str, Tensor]]]:
    """Maps by level for every group of targets of every picture.

    Pictures of a batch do not depend on each other, so the backward of the first groups of all
    pictures is one, that of the second groups another.

    Args:
        detector: What found the targets.
        kept: What is left of its ordinary forward.
        groups: For every picture the groups of targets; each group gets a map.
        method: The formula.
        centre: Where in its stride a cell's centre lies.

    Returns:
        For every picture its activations, and by level [groups, rows, columns].
    """
    pyramids = [kept.pyramid(index, centre) for index in range(len(kept.placements))]
    maps: list[list[dict[str, Tensor]]] = [[] for _ in pyramids]
    for gradients in _backwards(detector, kept, groups):
        for index, pyramid in enumerate(pyramids):
            if len(maps[index]) < len(groups[index]):
                own = {name: gradient[index] for name, gradient in gradients.items()}
                own_pyramid = Pyramid.of(own, pyramid.placement, centre)
                maps[index].append(
                    {
                        name: method.formula(level, own_pyramid.levels[name][None])[0]
                        for name, level in pyramid.levels.items()
                    }
                )
    return [
        (pyramid, {name: torch.stack([one[name] for one in own]) for name in pyramid.levels})
        for pyramid, own in zip(pyramids, maps, strict=True)
    ]


def _backwards(
    detector: Detector, kept: SavedActivations, groups: Sequence[Sequence[Group]]
) -> Iterator[Mapping[str, Tensor]]:
    """Gradients by level of every picture's first group, then of every second group, ..."""
    least = _MARGIN * min(target.score for own in groups for group in own for target in group)
    names, leaves = list(kept.levels), [level.detach() for level in kept.levels.values()]
    with torch.enable_grad():
        for leaf in leaves:
            leaf.requires_grad_()
        found = detector.go_on(dict(zip(names, leaves, strict=True)), kept.placements, least)
        totals = [_total(found, groups, rank) for rank in range(max(map(len, groups)))]
    for rank, total in enumerate(totals):
        gradients = _gradients(total, leaves, keep_graph=rank + 1 < len(totals))
        yield dict(zip(names, gradients, strict=True))


def _total(found: Sequence[Found], groups: Sequence[Sequence[Group]], rank: int) -> Tensor:
    """The sum of the scores, before the sigmoid, of every picture's group of this rank."""
    logits = [
        target.box.logit(one)
        for one, own in zip(found, groups, strict=True)
        for group in own[rank : rank + 1]
        for target in group
    ]
    return torch.stack(logits).sum()


def _gradients(total: Tensor, leaves: Sequence[Tensor], *, keep_graph: bool) -> list[Tensor]:
    if not total.requires_grad:  # every target has vanished
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(total, leaves, retain_graph=keep_graph, allow_unused=True)
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, found, strict=True)
    ]
