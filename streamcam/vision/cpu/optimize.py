"""The same network with less to do for each picture: folded batch norms, weights cast once."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place; for evaluation only.

    A batch norm that evaluates is a factor and an addend for each channel: a convolution can have
    both in its weights. The results are the same to rounding.
    """
    for module in list(network.modules()):
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if _fit(convolution, norm):
                folded = fuse_conv_bn_eval(
                    cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)
                )
                setattr(module, first, folded)
                setattr(module, second, nn.Identity())


def _fit(convolution: nn.Module, norm: nn.Module) -> bool:
    """Whether two neighbours in a module are a convolution and its norm, as torchvision's are."""
    return (
        isinstance(convolution, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and convolution.out_channels == norm.num_features
    )


_TOWER = (nn.Conv2d, nn.Identity, nn.ReLU, nn.SiLU)


class CastOnce(nn.Module):
    """A part of a network, and a copy of it with weights in half precision.

    Under autocast the copy works, elsewhere the part itself. Autocast alone would cast all weights
    again for every batch.

    Args:
        part: Takes and gives floats; evaluating, its weights without gradients.
        dtype: The half precision.
    """

    def __init__(self, part: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.plain = part
        self.cast: nn.Module | None = copy.deepcopy(part).to(dtype)
        self._dtype = dtype

    def forward(self, pixels: Tensor) -> object:
        """What the part makes of its input."""
        kind = pixels.device.type
        if self.cast is None or not torch.is_autocast_enabled(kind):
            return self.plain(pixels)
        with torch.autocast(kind, enabled=False):
            return self.cast(pixels.to(self._dtype))


def towers(network: nn.Module, heads: Sequence[str]) -> list[str]:
    """Paths of the longest chains of nothing but convolutions and activations in some modules.

    Normalisations over groups are not among them: they want float32.
    """
    parts = dict(network.named_modules())
    chains = [
        path
        for path, part in parts.items()
        if path.startswith(tuple(f"{head}." for head in heads)) and _is_tower(part)
    ]
    return [path for path in chains if path.rpartition(".")[0] not in chains]


def _is_tower(part: nn.Module) -> bool:
    leaves = [module for module in part.modules() if not list(module.children())]
    return isinstance(part, nn.Sequential) and all(isinstance(leaf, _TOWER) for leaf in leaves)


def cast_once(network: nn.Module, paths: Sequence[str], dtype: torch.dtype) -> None:
    """Give parts of a network, those that it has, copies in half precision."""
    parts = dict(network.named_modules())
    for path in paths:
        if path in parts:
            parent, _, name = path.rpartition(".")
            setattr(parts[parent], name, CastOnce(parts[path], dtype))


def casts(network: nn.Module) -> list[nn.Module]:
    """The copies in half precision."""
    parts = [part.cast for part in network.modules() if isinstance(part, CastOnce)]
    return [part for part in parts if part is not None]


def drop_casts(network: nn.Module) -> None:
    """Let go of the copies in half precision."""
    for module in network.modules():
        if isinstance(module, CastOnce):
            module.cast = None
