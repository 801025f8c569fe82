"""Graph optimisations: folded batch norms, copies of weights in half precision, fused convolutions.

Fusion is for CPUs (oneDNN's post-operations). An activation, or the sum at the end of a residual
block, is limited by memory bandwidth: a third of the time of a ResNet-50's backbone in bfloat16
(negligible in float32, where convolutions take five times longer). Fused, the convolution applies
it before writing. Its weights are also reordered into oneDNN's layout once for each size of input,
which torch does anew in every call. The operators are those of torch's own compiler, not a public
interface; they are therefore tested once, and the network is left unchanged where they are missing
or wrong.
"""

import copy
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck

_CHAIN_MODULES = (nn.Conv2d, nn.Identity, nn.ReLU, nn.SiLU)

_ACTIVATION_NAMES = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Hardswish: "hardswish"}
"""oneDNN's names of the activations."""

_NONE = "none"

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


class HalfPrecisionCopy(nn.Module):
    """A module and a copy of it with weights in half precision.

    The copy is used under autocast, elsewhere the module itself. Autocast alone would cast all
    weights again for every batch.

    Args:
        part: In evaluation mode, its weights without gradients.
        dtype: The half precision.
    """

    def __init__(self, part: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.original = part
        self.reduced: nn.Module | None = copy.deepcopy(part).to(dtype)
        self._dtype = dtype

    def forward(self, pixels: Tensor) -> object:
        kind = pixels.device.type
        if self.reduced is None or not torch.is_autocast_enabled(kind):
            return self.original(pixels)
        with torch.autocast(kind, enabled=False):
            return self.reduced(pixels.to(self._dtype))


def convolution_chains(network: nn.Module, heads: Sequence[str]) -> list[str]:
    """Paths of the longest chains of only convolutions and activations in some modules.

    Chains with group norms are left out: those need float32.
    """
    parts = dict(network.named_modules())
    chains = [
        path
        for path, part in parts.items()
        if path.startswith(tuple(f"{head}." for head in heads)) and _is_chain(part)
    ]
    return [path for path in chains if path.rpartition(".")[0] not in chains]


def _is_chain(part: nn.Module) -> bool:
    leaves = [module for module in part.modules() if not list(module.children())]
    return isinstance(part, nn.Sequential) and all(
        isinstance(leaf, _CHAIN_MODULES) for leaf in leaves
    )


def add_half_precision_copies(network: nn.Module, paths: Sequence[str], dtype: torch.dtype) -> None:
    """Replace modules of a network by `HalfPrecisionCopy`, those of the paths that it has."""
    parts = dict(network.named_modules())
    for path in paths:
        if path in parts:
            parent, _, name = path.rpartition(".")
            setattr(parts[parent], name, HalfPrecisionCopy(parts[path], dtype))


def half_precision_copies(network: nn.Module) -> list[nn.Module]:
    parts = [part.reduced for part in network.modules() if isinstance(part, HalfPrecisionCopy)]
    return [part for part in parts if part is not None]


def drop_half_precision_copies(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, HalfPrecisionCopy):
            module.reduced = None


class FusedConvolution(nn.Module):
    """A convolution, then a sum if there is one, then an activation. Not differentiable.

    Args:
        convolution: On a CPU.
        activation: oneDNN's name for it.
    """

    def __init__(self, convolution: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self._shape = (
            convolution.padding,
            convolution.stride,
            convolution.dilation,
            convolution.groups,
        )
        self._activation = activation
        self._weight = convolution.weight.detach()
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        self._by_input: dict[tuple[torch.Size, int], Tensor] = {}
        self._by_layout: dict[bytes, Tensor] = {}

    def forward(self, pixels: Tensor, addend: Tensor | None = None) -> Tensor:
        """Convolve `[B, C, H, W]`; the result has the input's type."""
        operator: Any = torch.ops.mkldnn._convolution_pointwise  # noqa: SLF001
        given = (self._ordered_for(pixels.shape), self._bias, *self._shape)
        if addend is None:
            name = self._activation
            return operator(pixels, *given, name, [], "")  # type: ignore[no-any-return]
        return operator.binary(  # type: ignore[no-any-return]
            pixels, addend, *given, "add", 1.0, self._activation, [], ""
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
            ordered = operators._reorder_convolution_weight(self._weight, *self._shape, list(size))  # noqa: SLF001
        layout = operators._get_mkldnn_serialized_md(ordered).numpy().tobytes()  # noqa: SLF001
        return self._by_layout.setdefault(layout, ordered)


class FusedBottleneck(nn.Module):
    """torchvision's residual block of three convolutions, its batch norms folded.

    Args:
        block: Its convolutions are used, the block itself is not changed.
    """

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = FusedConvolution(block.conv1, "relu")
        self.conv2 = FusedConvolution(block.conv2, "relu")
        self.conv3 = FusedConvolution(block.conv3, "relu")
        self.shortcut = nn.Identity() if block.downsample is None else block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv3(self.conv2(self.conv1(x)), self.shortcut(x))
        return out


def fuse_convolutions(part: nn.Module) -> None:
    """Fuse all convolutions of a module with the operations that follow them, in place.

    Args:
        part: On a CPU, in evaluation mode, its batch norms folded. Gradients are lost.
    """
    if _operators_work():
        _fuse(part)


def _fuse(part: nn.Module) -> None:
    for name, child in part.named_children():
        if _is_folded_bottleneck(child):
            setattr(part, name, FusedBottleneck(child))
        _fuse(part.get_submodule(name))
    # In other modules the order of the children is not that of the computation.
    if isinstance(part, nn.Sequential | nn.ModuleDict):
        _fuse_neighbours(part)


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
        activation = _ACTIVATION_NAMES.get(type(following_link), _NONE)
        setattr(chain, name, FusedConvolution(link, activation))
        if activation != _NONE:
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
        found = FusedConvolution(convolution, "relu")(pixels, addend)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(found, expected, atol=1e-4)
