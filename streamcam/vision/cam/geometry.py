"""Where the cells of an activation grid lie in the displayed frame.

A detector resizes each picture and puts it on a padded canvas that the whole batch shares; its
backbone samples the canvas in strides. A map is aligned with the frame only if both are undone: the
padding is cut off, and the rest resampled to the picture.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor

Size = tuple[int, int]
"""Height, width."""

Stride = tuple[float, float]
"""Canvas pixels from one cell to the next, vertically and horizontally; any positive numbers."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where one picture lies on the network's canvas. All sizes are (height, width) in pixels."""

    original: Size  # size of the picture before the resize
    resized: Size  # size of the picture on the canvas
    canvas: Size  # the network's input, shared by a batch
    offset: Size = (0, 0)  # from the canvas's upper left corner to the picture's


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """Where the cells of an activation grid lie on the canvas.

    The centre of cell i is at `stride * (i + centre)` canvas pixels.
    """

    size: Size  # rows and columns of the grid over the whole canvas
    stride: Stride  # from one cell to the next
    centre: float  # where in its stride a cell's centre lies, 0..1

    @classmethod
    def over(cls, canvas: Size, size: Size, centre: float) -> "GridGeometry":
        """The geometry of a grid of `size` cells over a `canvas`, of a network of unknown strides.

        Convolutional networks have strides of powers of two and round the last cell up, so the
        quotient of the sizes is rounded to a power (300 pixels give 38 cells of 8 pixels, not of
        7.89).
        """
        rows, columns = size
        return cls(
            size, (_power_of_two(canvas[0] / rows), _power_of_two(canvas[1] / columns)), centre
        )

    def inside(self, placement: Letterbox) -> tuple[slice, slice]:
        """The rows and columns whose centres lie on the picture, at least one each."""
        rows, columns = (
            self._cells_between(offset, offset + pixels, stride, cells)
            for offset, pixels, stride, cells in zip(
                placement.offset, placement.resized, self.stride, self.size, strict=True
            )
        )
        return rows, columns

    def _cells_between(self, start: int, end: int, stride: float, cells: int) -> slice:
        first = min(cells - 1, max(0, math.ceil(start / stride - self.centre)))
        return slice(first, min(cells, max(first + 1, math.ceil(end / stride - self.centre))))


@dataclass(frozen=True, slots=True)
class LevelGrids:
    """How the cells of a detector's levels lie on any canvas; see `FeatureLevels`."""

    centre: float
    strides: Mapping[str, Stride] = field(default_factory=dict)

    def geometry(self, level: str, canvas: Size, size: Size) -> GridGeometry:
        """The geometry of a level that has `size` cells over a `canvas`."""
        if level in self.strides:
            return GridGeometry(size, self.strides[level], self.centre)
        return GridGeometry.over(canvas, size, self.centre)

    def ratios(self, levels: Sequence[str], grid: str) -> list[Stride] | None:
        """Cells of each level per cell of the level `grid`; None if not all strides are known."""
        if any(name not in self.strides for name in (*levels, grid)):
            return None
        y, x = self.strides[grid]
        return [(y / self.strides[name][0], x / self.strides[name][1]) for name in levels]


def _power_of_two(quotient: float) -> float:
    return float(2 ** round(math.log2(quotient)))


def to_frame(maps: Tensor, geometry: GridGeometry, placement: Letterbox) -> Tensor:
    """Resample maps so that they span the displayed frame from edge to edge.

    They are [count, rows, columns], the whole grid or its part inside the picture.

    Returns:
        [count, rows', columns'] with as many cells as strides fit on the picture. Bilinear between
        cell centres, constant beyond the outermost ones.
    """
    rows, columns = (
        max(1, round(pixels / stride))
        for pixels, stride in zip(placement.resized, geometry.stride, strict=True)
    )
    return _resample(maps, geometry, placement, (rows, columns))


def to_grid(maps: Tensor, geometry: GridGeometry, placement: Letterbox, size: Size) -> Tensor:
    """Resample maps as `to_frame` does, to [count, *size].

    Cells of a finer grid are averaged, those of a coarser one interpolated.
    """
    spanning = to_frame(maps, geometry, placement)
    if spanning.shape[-2] >= size[0] and spanning.shape[-1] >= size[1]:
        return functional.adaptive_avg_pool2d(spanning, size)
    return _resample(maps, geometry, placement, size)


def _resample(maps: Tensor, geometry: GridGeometry, placement: Letterbox, size: Size) -> Tensor:
    cells = (maps.shape[-2], maps.shape[-1])
    rows, columns = geometry.inside(placement)
    first = (0, 0) if cells == geometry.size else (rows.start, columns.start)
    grid = _sampling_points(
        placement.resized,
        placement.offset,
        geometry.stride,
        geometry.centre,
        first,
        cells,
        size,
        maps.device,
    )
    return sample(maps[None], grid)[0]


@lru_cache(maxsize=64)
def _sampling_points(
    picture: Size,
    offset: Size,
    stride: Stride,
    centre: float,
    first: Size,
    cells: Size,
    size: Size,
    device: torch.device,
) -> Tensor:
    """Centres of `size` equal parts of a picture, in coordinates of the cells for `grid_sample`.

    Cached, since frames of one size follow each other, and the copy would wait for a GPU.
    """
    with torch.inference_mode(mode=False):
        ys, xs = (
            _part_centres(pixels, start, count).div(step).sub(centre + skipped).clamp(0, last - 1)
            for pixels, start, count, step, skipped, last in zip(
                picture, offset, size, stride, first, cells, strict=True
            )
        )
        return sampling_grid(ys, xs, cells).to(device)


def _part_centres(pixels: int, start: int, count: int) -> Tensor:
    """Where on the canvas the centres of `count` equal parts of the picture's side lie."""
    return (torch.arange(count, dtype=torch.float32) + 0.5) * (pixels / count) + start


def sampling_grid(ys: Tensor, xs: Tensor, cells: Size) -> Tensor:
    """Every pair of row and column coordinates for `grid_sample`, [1, ys, xs, 2].

    They come in cells, 0 the centre of the first row, of a grid of `cells` rows and columns.
    """
    grid_y, grid_x = (
        at * (2 / max(count - 1, 1)) - 1 for at, count in zip((ys, xs), cells, strict=True)
    )
    return torch.stack(torch.meshgrid(grid_x, grid_y, indexing="xy"), dim=-1)[None]


def sample(maps: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples of [batch, channels, rows, columns]; edge values beyond the edges."""
    grid = grid.to(maps.dtype).expand(maps.shape[0], -1, -1, -1)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)
