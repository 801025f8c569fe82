"""Graph optimisations: folded batch norms, fused convolutions, RoIAlign as sums of rows.

Fusion is for CPUs (oneDNN's post-operations). An activation, or the sum at the end of a residual
block, is limited by memory bandwidth: a third of the time of a ResNet-50's backbone in bfloat16
(negligible in float32, where convolutions take five times longer). Fused, the convolution applies
it before writing. Its weights are also reordered into oneDNN's layout once for each size of input,
which torch does anew in every call. The operators are those of torch's own compiler, not a public
interface; they are therefore tested once, and the network is left unchanged where they are missing
or wrong.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck
from torchvision.ops import MultiScaleRoIAlign

from streamcam.vision.cam.geometry import Size


class Activation(NamedTuple):
    """An activation as oneDNN names it, with its numbers."""

    name: str = "none"
    numbers: tuple[float, ...] = ()


def _activation(module: nn.Module) -> Activation | None:
    """What fuses with the convolution before it."""
    if isinstance(module, nn.LeakyReLU):
        return Activation("leaky_relu", (module.negative_slope,))
    names = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Hardswish: "hardswish"}
    name = names.get(type(module))
    return None if name is None else Activation(name)


_RELU = Activation("relu")

# Number of input sizes for which a convolution caches its reordered weights.
_MAX_SIZES = 64


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place; for evaluation only.

    In evaluation mode a batch norm is a factor and an addend per channel, both of which can be part
    of a convolution's weights. Results are equal to rounding.
    """
    for module in list(network.modules()):
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if _is_pair(convolution, norm):
                folded = fuse_conv_bn_eval(
                    cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)
                )
                setattr(module, first, folded)
                setattr(module, second, nn.Identity())


def _is_pair(convolution: nn.Module, norm: nn.Module) -> bool:
    """Whether two successive children of a module are a convolution and its batch norm."""
    return (
        isinstance(convolution, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and convolution.out_channels == norm.num_features
    )


class FusedConvolution(nn.Module):
    """A convolution on a CPU, a sum if there is one, an activation. Not differentiable."""

    def __init__(self, convolution: nn.Conv2d, activation: Activation) -> None:
        super().__init__()
        self._shape = (
            convolution.padding,
            convolution.stride,
            convolution.dilation,
            convolution.groups,
        )
        self._activation = activation
        self.weight = convolution.weight.detach()
        self.bias = None if convolution.bias is None else convolution.bias.detach()
        self._by_input: dict[tuple[torch.Size, int], Tensor] = {}
        self._by_layout: dict[bytes, Tensor] = {}

    def forward(self, pixels: Tensor, addend: Tensor | None = None) -> Tensor:
        """Convolve `[B, C, H, W]`; the result has the input's type."""
        operator: Any = torch.ops.mkldnn._convolution_pointwise  # noqa: SLF001
        given = (self._ordered_for(pixels.shape), self.bias, *self._shape)
        name, numbers = self._activation
        if addend is None:
            return operator(pixels, *given, name, numbers, "")  # type: ignore[no-any-return]
        return operator.binary(  # type: ignore[no-any-return]
            pixels, addend, *given, "add", 1.0, name, numbers, ""
        )

    def _ordered_for(self, size: torch.Size) -> Tensor:
        """The weights in the layout that oneDNN prefers for an input of this size.

        In another layout they would be reordered element by element in every call: 6 ms where the
        convolution takes 0.1. There are many sizes but two or three layouts, each stored once.
        """
        key = (size, torch.get_num_threads())
        if key not in self._by_input:
            if len(self._by_input) == _MAX_SIZES:
                self._by_input.clear()
            self._by_input[key] = self._order(size)
        return self._by_input[key]

    def _order(self, size: torch.Size) -> Tensor:
        operators: Any = torch.ops.mkldnn
        with torch.no_grad():
            ordered = operators._reorder_convolution_weight(self.weight, *self._shape, list(size))  # noqa: SLF001
        layout = operators._get_mkldnn_serialized_md(ordered).numpy().tobytes()  # noqa: SLF001
        return self._by_layout.setdefault(layout, ordered)


class FusedBottleneck(nn.Module):
    """torchvision's residual block of three convolutions, its batch norms folded."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = FusedConvolution(block.conv1, _RELU)
        self.conv2 = FusedConvolution(block.conv2, _RELU)
        self.conv3 = FusedConvolution(block.conv3, _RELU)
        self.shortcut = nn.Identity() if block.downsample is None else block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv3(self.conv2(self.conv1(x)), self.shortcut(x))
        return out


def fuse_convolutions(part: nn.Module) -> None:
    """Fuse all convolutions of a module on a CPU with what follows them, in place.

    It is in evaluation mode, its batch norms folded. Gradients are lost.
    """
    if _operators_work():
        _fuse(part)


def _fuse(part: nn.Module) -> None:
    for name, child in part.named_children():
        if _is_folded_bottleneck(child):
            setattr(part, name, FusedBottleneck(child))
        _fuse(part.get_submodule(name))
    if isinstance(part, nn.Sequential | nn.ModuleDict):
        _fuse_neighbours(part)
        return
    # In other modules the order of the children is not that of the computation: their convolutions
    # only have their weights reordered.
    for name, child in part.named_children():
        if _is_plain(child):
            setattr(part, name, FusedConvolution(child, Activation()))


def _is_folded_bottleneck(part: nn.Module) -> bool:
    return isinstance(part, Bottleneck) and all(
        isinstance(norm, nn.Identity) for norm in (part.bn1, part.bn2, part.bn3)
    )


def _fuse_neighbours(chain: nn.Module) -> None:
    """Fuse each convolution of a chain with the activation that comes next."""
    links = [item for item in chain.named_children() if not isinstance(item[1], nn.Identity)]
    following = [*links[1:], ("", nn.Identity())]
    for (name, link), (next_name, following_link) in zip(links, following, strict=True):
        if not _is_plain(link):
            continue
        activation = _activation(following_link)
        setattr(chain, name, FusedConvolution(link, activation or Activation()))
        if activation is not None:
            setattr(chain, next_name, nn.Identity())


def _is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


@cache
def _operators_work() -> bool:
    """Whether this version of torch has the operators, with correct results."""
    convolution = nn.Conv2d(8, 8, 3, padding=1).requires_grad_(False)
    pixels, addend = torch.randn(2, 1, 8, 6, 5)
    expected = (convolution(pixels) + addend).relu()
    try:
        found = FusedConvolution(convolution, _RELU)(pixels, addend)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(found, expected, atol=1e-4)


def pool_by_rows(network: nn.Module) -> None:
    """Replace the RoIAlign of a torchvision detector, in place, if it has one."""
    heads = getattr(network, "roi_heads", None)
    if heads is not None and heads.box_roi_pool.sampling_ratio > 0:
        heads.box_roi_pool = RowRoIAlign(heads.box_roi_pool)


# As in torchvision: a box of exactly the canonical size gets its level despite rounding.
_EPS = 1e-6


class RowRoIAlign(nn.Module):
    """Equal to `MultiScaleRoIAlign`, with a fixed number of sampling points, to rounding.

    RoIAlign (He et al. 2017, https://arxiv.org/abs/1703.06870) samples a feature map bilinearly at
    a few points of every cell of a box, and averages them. With channels last a position of the map
    is a row of its channels, and a cell of a box is a weighted sum of 16 such rows: an embedding
    bag, which torch computes in any precision. torchvision's own copies the map to float32 and
    another layout and iterates over channels; for a thousand proposals of a ResNet-50 that took
    half of the whole forward, this takes a fortieth of that.
    """

    def __init__(self, pooler: MultiScaleRoIAlign) -> None:
        super().__init__()
        self._names = pooler.featmap_names
        self._cells: Size = pooler.output_size
        self._points = pooler.sampling_ratio
        self._canonical_size = pooler.canonical_scale
        self._canonical_level = pooler.canonical_level

    def forward(
        self, levels: Mapping[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[Size]
    ) -> Tensor:
        """Pool each box from the level that fits its size.

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
        # Without channels last, as OpenVINO gives levels, a row would lie scattered: 335 ms instead
        # of 60 for a ResNet-50.
        table = activations.permute(0, 2, 3, 1).contiguous().reshape(-1, channels)
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
