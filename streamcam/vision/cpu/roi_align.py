"""RoIAlign on a CPU, as weighted sums of rows.

RoIAlign (He et al. 2017, https://arxiv.org/abs/1703.06870) samples a feature map bilinearly at a
few points of every cell of a box, and averages them. With channels last a position of the map is a
row of its channels, and a cell of a box is a weighted sum of 16 such rows: an embedding bag, which
torch computes in any precision. torchvision's own copies the map to float32 and another layout and
iterates over channels; for a thousand proposals of a ResNet-50 that took half of the whole forward,
this takes a fortieth of that.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign

from streamcam.vision.cam.geometry import Size


def pool_by_rows(network: nn.Module) -> None:
    """Replace the RoIAlign of a torchvision detector, in place, if it has one."""
    heads = getattr(network, "roi_heads", None)
    if heads is not None and heads.box_roi_pool.sampling_ratio > 0:
        heads.box_roi_pool = RowRoIAlign(heads.box_roi_pool)


# As in torchvision: a box of exactly the canonical size gets its level despite rounding.
_EPS = 1e-6


class RowRoIAlign(nn.Module):
    """Equal to `MultiScaleRoIAlign` to rounding.

    Args:
        pooler: torchvision's, with a fixed number of sampling points.
    """

    def __init__(self, pooler: MultiScaleRoIAlign) -> None:
        super().__init__()
        self._names = pooler.featmap_names
        self._cells: Size = pooler.output_size
        self._points = pooler.sampling_ratio
        self._canonical_size = pooler.canonical_scale
        self._canonical_level = pooler.canonical_level

    def forward(
        self,
        levels: Mapping[str, Tensor],
        boxes: list[Tensor],
        image_shapes: Sequence[Size],
    ) -> Tensor:
        """Pool each box from the level that fits its size.

        Args:
            levels: Each [batch, channels, rows, columns].
            boxes: For each picture [found, 4]: x1, y1, x2, y2 in pixels of the network's input.
            image_shapes: Height and width of each picture in it.

        Returns:
            [all boxes, channels, cell rows, cell columns], in the levels' type.
        """
        maps = [levels[name] for name in self._names if name in levels]
        strides = [_stride(one, image_shapes) for one in maps]
        all_boxes = torch.cat(boxes)
        counts = torch.tensor([len(some) for some in boxes])
        pictures = torch.repeat_interleave(torch.arange(len(boxes)), counts)
        fitting = self._fitting_levels(all_boxes, strides)
        pooled = maps[0].new_empty((len(all_boxes), *self._cells, maps[0].shape[1]))
        for level, (activations, stride) in enumerate(zip(maps, strides, strict=True)):
            here = torch.where(fitting == level)[0]
            pooled[here] = self._pool(activations, all_boxes[here] / stride, pictures[here])
        return pooled.permute(0, 3, 1, 2)

    def _fitting_levels(self, boxes: Tensor, strides: Sequence[int]) -> Tensor:
        """Level of each box: formula 1 of https://arxiv.org/abs/1612.03144.

        Strides are assumed to double from level to level; where they do not (MobileNet's are both
        32) boxes are assigned to the first levels, as in torchvision.
        """
        sizes = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
        levels = torch.floor(
            self._canonical_level + torch.log2(sizes / self._canonical_size) + _EPS
        )
        first, last = (math.log2(stride) for stride in (strides[0], strides[-1]))
        return levels.clamp(first, last) - first

    def _pool(self, activations: Tensor, boxes: Tensor, pictures: Tensor) -> Tensor:
        """Boxes in cells of one level, to [boxes, cell rows, cell columns, channels]."""
        _, channels, height, width = activations.shape
        table = activations.permute(0, 2, 3, 1).reshape(-1, channels)
        rows, row_weights = self._samples(boxes[:, 1], boxes[:, 3], height, self._cells[0])
        columns, column_weights = self._samples(boxes[:, 0], boxes[:, 2], width, self._cells[1])
        rows = (rows + height * pictures[:, None, None]) * width
        places = rows[:, :, None, :, None] + columns[:, None, :, None, :]
        weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
        samples = places.shape[-1] * places.shape[-2]
        bags = functional.embedding_bag(
            places.reshape(-1, samples),
            table,
            mode="sum",
            per_sample_weights=weights.reshape(-1, samples).to(table.dtype),
        )
        return bags.reshape(len(boxes), *self._cells, channels)

    def _samples(
        self, starts: Tensor, ends: Tensor, size: int, cells: int
    ) -> tuple[Tensor, Tensor]:
        """Positions along one axis that contribute to each cell, and their weights.

        Returns:
            Two of [boxes, cells, 2 * points]: indices, and weights whose sum is 1 for each cell.
        """
        steps = (torch.arange(cells * self._points) + 0.5) / (cells * self._points)
        at = starts[:, None] + (ends - starts).clamp(min=1)[:, None] * steps
        outside = (at < -1) | (at > size)
        at = at.clamp(0, size - 1)
        before = at.floor()
        share = at - before
        weights = torch.stack([1 - share, share], dim=-1).masked_fill_(outside[..., None], 0)
        indices = torch.stack([before, (before + 1).clamp(max=size - 1)], dim=-1).long()
        shape = (len(starts), cells, 2 * self._points)
        return indices.reshape(shape), weights.reshape(shape) / self._points


def _stride(level: Tensor, image_shapes: Sequence[Size]) -> int:
    """Pixels from one position of a level to the next: a power of two."""
    tallest = max(height for height, _ in image_shapes)
    return int(2 ** round(math.log2(tallest / level.shape[-2])))
