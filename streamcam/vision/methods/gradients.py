"""Maps from gradients: one forward of the heads, and one backward per rank for a whole batch."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from streamcam.cam_methods import GradientFormula
from streamcam.vision.cam.components import principal_components
from streamcam.vision.cam.geometry import LevelGrids
from streamcam.vision.methods.saved_activations import Pyramid, SavedActivations
from streamcam.vision.methods.targets import Group
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Candidates

# The heads return boxes from half the targets' scores on: half precision in the ordinary forward
# shifts scores.
_MARGIN = 0.5


def gradient_maps(
    detector: Detector,
    saved: SavedActivations,
    groups: Sequence[Sequence[Group]],
    formula: GradientFormula,
    grids: LevelGrids,
) -> list[tuple[Pyramid, dict[str, Tensor]]]:
    """Maps by level for every group of targets of every image.

    Images of a batch do not depend on each other, so one backward serves the first groups of all
    images, another one the second groups.

    Returns:
        For every image its activations, and by level [groups, rows, columns].
    """
    pyramids = [saved.pyramid(index, grids) for index in range(len(saved.placements))]
    maps: list[list[dict[str, Tensor]]] = [[] for _ in pyramids]
    for gradients in _backwards(detector, saved, groups):
        for index, pyramid in enumerate(pyramids):
            if len(maps[index]) < len(groups[index]):
                own = {name: gradient[index] for name, gradient in gradients.items()}
                own_pyramid = Pyramid.of(own, pyramid.placement, grids)
                maps[index].append(
                    {
                        name: gradient_map(formula, level, own_pyramid.levels[name][None])[0]
                        for name, level in pyramid.levels.items()
                    }
                )
    return [
        (pyramid, {name: torch.stack([one[name] for one in own]) for name in pyramid.levels})
        for pyramid, own in zip(pyramids, maps, strict=True)
    ]


def gradient_map(formula: GradientFormula, activations: Tensor, gradients: Tensor) -> Tensor:
    """Apply a formula to one level's [channels, rows, columns] and every target's gradients.

    Returns:
        [targets, rows, columns], without ReLU and in the formula's own units.
    """
    if formula.orientation is None:
        return formula.combine(activations, gradients)
    # One target at a time: a copy of the finest level of a ResNet's pyramid takes 68 MB.
    maps = [_first_component(formula, activations, one[None]) for one in gradients]
    return torch.stack(maps).reshape(-1, *activations.shape[1:])


def _first_component(formula: GradientFormula, activations: Tensor, gradients: Tensor) -> Tensor:
    """The first projection of one target's values, [rows * columns], in their own units."""
    assert formula.orientation is not None
    cells = formula.combine(activations, gradients)[0].flatten(1).mT[None]
    # Starting at the largest cell: it has a part of the first direction, whatever the channels.
    largest = cells[:, cells.square().sum(-1).argmax()]
    components = principal_components(cells, largest - cells.mean(dim=1))
    projection = components.projections[0, 0] * components.scale[0]
    return torch.where(formula.orientation(projection, cells[0]) < 0, -projection, projection)


def _backwards(
    detector: Detector, saved: SavedActivations, groups: Sequence[Sequence[Group]]
) -> Iterator[Mapping[str, Tensor]]:
    """Gradients by level of every image's first group, then of every second group, ..."""
    threshold = _MARGIN * min(target.score for own in groups for group in own for target in group)
    names, leaves = list(saved.levels), [level.detach() for level in saved.levels.values()]
    with torch.enable_grad():
        for leaf in leaves:
            leaf.requires_grad_()
        levels = dict(zip(names, leaves, strict=True))
        detections = detector.detect_from_levels(levels, saved.placements, threshold)
        totals = [_total(detections, groups, rank) for rank in range(max(map(len, groups)))]
    for rank, total in enumerate(totals):
        gradients = _gradients(total, leaves, keep_graph=rank + 1 < len(totals))
        yield dict(zip(names, gradients, strict=True))


def _total(
    detections: Sequence[Candidates], groups: Sequence[Sequence[Group]], rank: int
) -> Tensor:
    """The sum of the logits of every image's group of this rank."""
    logits = [
        target.box.logit(one)
        for one, own in zip(detections, groups, strict=True)
        for group in own[rank : rank + 1]
        for target in group
    ]
    return torch.stack(logits).sum()


def _gradients(total: Tensor, leaves: Sequence[Tensor], *, keep_graph: bool) -> list[Tensor]:
    if not total.requires_grad:  # no target has a match
        return [torch.zeros_like(leaf) for leaf in leaves]
    gradients = torch.autograd.grad(total, leaves, retain_graph=keep_graph, allow_unused=True)
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]
