"""Maps of several pyramid levels become one, where its pixels are."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from streamcam.vision.cam.geometry import GridGeometry, Letterbox, Size, to_grid


@dataclass(frozen=True, slots=True)
class Pyramid:
    """One picture's activations by level, cut to the picture.

    Attributes:
        levels: float32, each [channels, rows, columns], the padding cut off.
        lattices: Where each level's cells lie.
        placement: Where the picture lies on the canvas.
    """

    levels: Mapping[str, Tensor]
    lattices: Mapping[str, GridGeometry]
    placement: Letterbox

    @classmethod
    def of(cls, levels: Mapping[str, Tensor], placement: Letterbox, centre: float) -> "Pyramid":
        """Cut levels of a whole canvas.

        Args:
            levels: Each [channels, rows, columns].
            placement: Where the picture lies on the canvas.
            centre: Where in its stride a cell's centre lies.
        """
        lattices = {
            name: GridGeometry.over(placement.canvas, (level.shape[-2], level.shape[-1]), centre)
            for name, level in levels.items()
        }
        inside = {name: cut(level, lattices[name], placement) for name, level in levels.items()}
        return cls(inside, lattices, placement)


def cut(level: Tensor, lattice: GridGeometry, placement: Letterbox) -> Tensor:
    """The part of a level, [..., rows, columns], whose cells have their centres on the picture."""
    rows, columns = lattice.cells_inside(placement.resized)
    return level[..., :rows, :columns]


def join_maps(
    maps: Mapping[str, Tensor], pyramid: Pyramid, size: Size, *, per_cell: bool
) -> Tensor:
    """Sum the levels' maps on one grid over the frame.

    Only what speaks for the target is shown (ReLU). The levels keep their proportions: the one that
    a box was found on outweighs the others, and a box found on another is seen beside it.

    Args:
        maps: By level, each [targets, rows, columns].
        pyramid: Where the levels lie.
        size: Rows and columns of the grid.
        per_cell: Whether values are shares of single cells, see `GradientMethod`.

    Returns:
        [targets, *size], each scaled to a maximum of 1; zeros where nothing speaks for the target.
    """
    first = next(iter(maps.values()))
    total = first.new_zeros((first.shape[0], *size))
    for name, values in maps.items():
        lattice = pyramid.lattices[name]
        area = lattice.stride[0] * lattice.stride[1] if per_cell else 1.0
        total += to_grid(values.clamp(min=0) / area, lattice, pyramid.placement, size)
    return scaled(total)


def scaled(maps: Tensor) -> Tensor:
    """Maps, [targets, rows, columns], each with its maximum at 1; empty ones stay empty."""
    top = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(top > 0, maps / top.clamp(min=torch.finfo(maps.dtype).tiny), 0)
