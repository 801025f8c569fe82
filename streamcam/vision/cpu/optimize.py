"""Graph optimisations: folded batch norms, copies of weights in half precision."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


_CHAIN_MODULES = (nn.Conv2d, nn.Identity, nn.ReLU, nn.SiLU)


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
