"""The common part of the families whose networks are torch modules: precision and CPU tuning."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.optimize import (
    add_half_precision_copies,
    convolution_chains,
    drop_half_precision_copies,
    fold_batch_norms,
    fuse_convolutions,
    half_precision_copies,
)
from streamcam.vision.models.network import FeatureLevels, Levels, Network, Raw, Sizing


class TorchNetwork(Network):
    """A torch module with a backbone that gives levels and heads that make boxes of them.

    It takes the module over: evaluation mode, batch norms folded, channels-last weights (a
    ResNet-50's forward takes a third less on a CPU with bfloat16 units), and half precision's
    convolutions fused with what follows them on a CPU.

    Args:
        module: In float32, its `backbone` gives an ordered dictionary of levels.
        sizing: How images become its canvas.
        levels: The levels that the backbone gives.
        categories: Class names by class id.
        confidence: Recommended score from which a detection counts.
        suppress: See `Network`.
        device: Where it runs.
        dtype: The type of its convolutions: float32, float16 or bfloat16 (by autocast).
        fuse: Fuse convolutions on a CPU in half precision. Their weights can then neither be read
            nor changed.
        heads: Paths of the modules whose outputs become boxes and scores. Eight bits of mantissa
            are enough for convolutions, not for coordinates: from here on everything is float32.
        heavy: Paths of modules, beside the backbone, that hold about as many weights.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        sizing: Sizing,
        levels: FeatureLevels,
        categories: Mapping[int, str],
        confidence: float,
        suppress: float | None = None,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        fuse: bool = True,
        heads: Sequence[str] = (),
        heavy: Sequence[str] = (),
    ) -> None:
        super().__init__(
            sizing=sizing,
            levels=levels,
            categories=categories,
            confidence=confidence,
            suppress=suppress,
            differentiable=True,
            replayable=True,
            device=device,
            dtype=dtype,
            weight_count=sum(weight.numel() for weight in module.parameters()),
        )
        self.module = module.eval().requires_grad_(False).to(device)
        fold_batch_norms(module)
        module.to(memory_format=torch.channels_last)
        if dtype != torch.float32:
            paths = ["backbone", *heavy, *convolution_chains(module, heads)]
            add_half_precision_copies(module, paths, dtype)
            _end_half_precision_at(module, heads)
        if device.type == "cpu" and fuse:
            # Float32 gains nothing from it, and gradients pass through its heads.
            for part in half_precision_copies(module):
                fuse_convolutions(part)

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        with self.autocast():
            levels = self._backbone(canvas)
            return self.heads(levels, placements), levels

    def features(self, canvas: Tensor) -> Levels:
        with self.autocast():
            return self._backbone(canvas)

    def from_levels(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        return self.heads(levels, placements)

    def _backbone(self, canvas: Tensor) -> Levels:
        levels: Levels = self.module.get_submodule("backbone")(canvas)
        return levels

    def heads(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        """The raw outputs of the module's heads, float32."""
        raise NotImplementedError

    def autocast(self) -> torch.autocast:
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=half)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Compute in float32 for a while."""
        own, self.dtype = self.dtype, torch.float32
        try:
            yield
        finally:
            self.dtype = own

    def stay_in_float32(self) -> None:
        """Compute in float32 from now on."""
        self.dtype = torch.float32
        drop_half_precision_copies(self.module)


def torch_module(network: Network) -> nn.Module:
    """The module of a network, of torchvision's interface.

    Raises:
        UsageError: The network is not made of torch modules.
    """
    if not isinstance(network, TorchNetwork):
        raise UsageError(
            "this works only with detectors that are torch modules",
            hint="Use nano or one of torchvision's detectors.",
        )
    return network.module


def _end_half_precision_at(module: nn.Module, heads: Sequence[str]) -> None:
    parts = dict(module.named_modules())
    for path in heads:
        if path in parts:
            parts[path].register_forward_hook(_give_floats)


def _give_floats(_module: nn.Module, _inputs: object, output: object) -> object:
    return _to_float(output)


def _to_float(value: object) -> object:
    """Every tensor of a head's output in float32."""
    if isinstance(value, Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: _to_float(item) for key, item in value.items()}
    if type(value) is list:
        return [_to_float(item) for item in value]
    if type(value) is tuple:
        return tuple(_to_float(item) for item in value)
    return value
