"""The gradient methods of pytorch_grad_cam, for many targets at once, on the device.

Each formula takes one picture's activations of one level, [channels, rows, columns], and the
gradients of every target with respect to them, [targets, channels, rows, columns], and gives
[targets, rows, columns], without ReLU and in the formula's own units. The tests compare each with
the class of that package on the same tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from streamcam.vision.cam.components import principal_components

Formula = Callable[[Tensor, Tensor], Tensor]

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class GradientMethod:
    """A formula, and what its values count.

    Attributes:
        formula: From activations and gradients to maps.
        per_cell: Whether a value is the share of one cell in the score, so that levels of cells of
            different sizes are comparable only by area. Otherwise the channels' weights are sums
            over the whole level, and are comparable as they are.
    """

    formula: Formula
    per_cell: bool


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Mean gradients weigh the channels (Selvaraju et al. 2017, arXiv:1610.02391)."""
    return _weighted(activations, gradients.mean(dim=(2, 3)))


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each point's positive gradient counts (Chattopadhay et al. 2018, arXiv:1710.11063)."""
    square = gradients.square()
    sums = activations.sum(dim=(1, 2))[None, :, None, None]
    alpha = square / (2 * square + sums * square * gradients + _EPSILON)
    alpha = torch.where(gradients != 0, alpha, 0)
    return _weighted(activations, (gradients.clamp(min=0) * alpha).sum(dim=(2, 3)))


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each point weighed by its own gradient (Draelos and Carin 2020, arXiv:2011.08891)."""
    return (gradients * activations).sum(dim=1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each point weighed by its own positive gradient (Jiang et al. 2021, IEEE TIP 30)."""
    return (gradients.clamp(min=0) * activations).sum(dim=1)


def eigengradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """First principal component of activations times gradients (as pytorch_grad_cam defines it).

    The component's sign is arbitrary there. Here it grows with what raises the score.
    """
    return _components(gradients * activations, _towards_score)


def segeigencam(activations: Tensor, gradients: Tensor) -> Tensor:
    """The same of the gradients' magnitudes (Seg-Eigen-CAM, doi.org/10.3390/app15137562).

    The larger extreme is made positive, as that paper says.
    """
    return _components(gradients.abs() * activations, _towards_extreme)


GRADIENT_METHODS: Mapping[str, GradientMethod] = {
    "eigengradcam": GradientMethod(eigengradcam, per_cell=True),
    "gradcam": GradientMethod(gradcam, per_cell=True),
    "gradcam++": GradientMethod(gradcam_plus_plus, per_cell=False),
    "hirescam": GradientMethod(hirescam, per_cell=True),
    "layercam": GradientMethod(layercam, per_cell=True),
    "segeigencam": GradientMethod(segeigencam, per_cell=True),
}


def _weighted(activations: Tensor, weights: Tensor) -> Tensor:
    """Sums of the channels by weight: [targets, channels] gives [targets, rows, columns]."""
    return torch.einsum("tc,chw->thw", weights, activations)


def _components(products: Tensor, sign: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The first projection of each target's products, in their own units, its sign settled."""
    rows, columns = products.shape[-2:]
    # One target at a time: a copy of the finest level of a ResNet's pyramid has 68 MB.
    maps = [_projection(one.flatten(1).mT[None], sign) for one in products]
    return torch.stack(maps).reshape(-1, rows, columns)


def _projection(cells: Tensor, sign: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    # Beginning at the largest cell: it has a part of the first direction, whatever the channels.
    largest = cells[:, cells.square().sum(-1).argmax()]
    found = principal_components(cells, largest - cells.mean(dim=1))
    projection = found.projections[0, 0] * found.scale[0]
    return projection * sign(projection, cells[0])


def _towards_score(projection: Tensor, cells: Tensor) -> Tensor:
    return _one_sign((projection * cells.sum(dim=-1)).sum())


def _towards_extreme(projection: Tensor, cells: Tensor) -> Tensor:  # noqa: ARG001
    return _one_sign(projection.max() + projection.min())


def _one_sign(value: Tensor) -> Tensor:
    return torch.where(value < 0, -1.0, 1.0)
