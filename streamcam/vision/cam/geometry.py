"""Where the cells of an activation grid lie in the displayed frame.

A detector resizes each picture, puts it in the upper left corner of a padded canvas that the whole
batch shares, and its backbone looks at the canvas in strides. A map is right only if it is cut and
resampled back along the same way: padding off, resize undone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor

Size = tuple[int, int]
"""Height, width."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How one picture lies on the network's canvas. All sizes are (height, width) in pixels.

    Attributes:
        original: The picture as it came.
        resized: The picture on the canvas, its upper left corner in the canvas's own.
        canvas: The network's input, shared by a batch.
    """

    original: Size
    resized: Size
    canvas: Size


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """Where the cells of an activation grid lie on the canvas.

    The centre of cell i is at `stride * (i + centre)` canvas pixels.

    Attributes:
        size: Rows and columns of the grid over the whole canvas.
        stride: Canvas pixels from one cell to the next, vertically and horizontally.
        centre: Where in its stride a cell's centre lies, 0..1.
    """

    size: Size
    stride: tuple[float, float]
    centre: float

    @classmethod
    def over(cls, canvas: Size, size: Size, centre: float) -> "GridGeometry":
        """The lattice of a grid of `size` cells that a network made of a `canvas`.

        Networks stride in powers of two and round the last cell up, so the quotient of the sizes
        is rounded to the next power (300 pixels give 38 cells of 8 pixels, not of 7.89).
        """
        rows, columns = size
        return cls(
            size, (_power_of_two(canvas[0] / rows), _power_of_two(canvas[1] / columns)), centre
        )

    def cells_inside(self, resized: Size) -> Size:
        """How many rows and columns have their centres on the picture, at least one each."""
        rows, columns = (
            min(cells, max(1, math.ceil(pixels / stride - self.centre)))
            for pixels, stride, cells in zip(resized, self.stride, self.size, strict=True)
        )
        return rows, columns


def _power_of_two(quotient: float) -> float:
    return float(2 ** round(math.log2(quotient)))


def to_frame(maps: Tensor, lattice: GridGeometry, placement: Letterbox) -> Tensor:
    """Resample maps on a lattice so that they span the displayed frame from edge to edge.

    Args:
        maps: [count, rows, columns], the lattice's first rows and columns (the picture's part).
        lattice: Where the cells lie.
        placement: Where the picture lies.

    Returns:
        [count, rows', columns'] with as many cells as strides fit on the picture. Between cells
        the value is bilinear; beyond the outermost centres it is held.
    """
    rows, columns = (
        max(1, round(pixels / stride))
        for pixels, stride in zip(placement.resized, lattice.stride, strict=True)
    )
    return _resample(maps, lattice, placement, (rows, columns))


def to_grid(maps: Tensor, lattice: GridGeometry, placement: Letterbox, size: Size) -> Tensor:
    """Resample maps on a lattice to a grid that spans the displayed frame from edge to edge.

    Args:
        maps: [count, rows, columns], the lattice's first rows and columns (the picture's part).
        lattice: Where the cells lie.
        placement: Where the picture lies.
        size: Rows and columns of the grid.

    Returns:
        [count, *size]. Cells of a finer lattice are averaged, those of a coarser one bilinear.
    """
    spanning = to_frame(maps, lattice, placement)
    if spanning.shape[-2] >= size[0] and spanning.shape[-1] >= size[1]:
        return functional.adaptive_avg_pool2d(spanning, size)
    return _resample(maps, lattice, placement, size)


def _resample(maps: Tensor, lattice: GridGeometry, placement: Letterbox, size: Size) -> Tensor:
    cells = (maps.shape[-2], maps.shape[-1])
    grid = _parts_of(placement.resized, lattice.stride, lattice.centre, cells, size, maps.device)
    return sample(maps[None], grid)[0]


@lru_cache(maxsize=64)
def _parts_of(
    picture: Size,
    stride: tuple[float, float],
    centre: float,
    cells: Size,
    size: Size,
    device: torch.device,
) -> Tensor:
    """Where the centres of even parts of a picture lie on the cells, as `grid_sample` counts.

    Kept, since frames of one size follow each other, and a GPU would be waited for.
    """
    with torch.inference_mode(mode=False):
        ys, xs = (
            _cell_coordinates(*axis)
            for axis in zip(picture, stride, (centre, centre), cells, size, strict=True)
        )
        return sampling_grid(ys, xs, cells).to(device)


def _cell_coordinates(pixels: int, stride: float, centre: float, cells: int, count: int) -> Tensor:
    """Lattice coordinates of the centres of `count` even parts of the picture's side."""
    middles = (torch.arange(count, dtype=torch.float32) + 0.5) * (pixels / count)
    return (middles / stride - centre).clamp(0, cells - 1)


def sampling_grid(ys: Tensor, xs: Tensor, cells: Size) -> Tensor:
    """Every pair of row and column coordinates, as `grid_sample` counts, [1, ys, xs, 2].

    Args:
        ys: Row coordinates in cells, 0 the centre of the first row.
        xs: Column coordinates.
        cells: Rows and columns of what is sampled.
    """
    grid_y, grid_x = (
        at * (2 / max(count - 1, 1)) - 1 for at, count in zip((ys, xs), cells, strict=True)
    )
    return torch.stack(torch.meshgrid(grid_x, grid_y, indexing="xy"), dim=-1)[None]


def sample(maps: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples of [batch, channels, rows, columns] on a grid, held beyond the edges."""
    grid = grid.to(maps.dtype).expand(maps.shape[0], -1, -1, -1)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)


def placements(originals: Sequence[Size], resized: Sequence[Size], canvas: Size) -> list[Letterbox]:
    """The placements of a batch of pictures on one canvas."""
    return [Letterbox(o, r, canvas) for o, r in zip(originals, resized, strict=True)]
