"""Moving average of the weights: steadier than the weights (Polyak and Juditsky 1992)."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

_Model = TypeVar("_Model", bound=nn.Module)


class MovingAverage(Generic[_Model]):
    """Keeps `model` as a slowly moving copy of the trained one."""

    def __init__(self, model: _Model, decay: float = 0.998, warm_up: int = 10) -> None:
        self.model = copy.deepcopy(model).eval()
        self.model.requires_grad_(False)
        self.decay = decay
        self.warm_up = warm_up

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model`; faster in the first steps, when the average is of nothing yet."""
        decay = min(self.decay, (1 + step) / (self.warm_up + step))
        averages = [t for t in _tensors(self.model) if t.is_floating_point()]
        currents = [t for t in _tensors(model) if t.is_floating_point()]
        torch._foreach_lerp_(averages, currents, 1 - decay)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
