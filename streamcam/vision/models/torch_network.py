"""The common part of the families whose networks are torch modules: precision and CPU tuning."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.optimize import fold_batch_norms, fuse_convolutions
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import FeatureLevels, Levels, Network, Raw, Sizing
from streamcam.vision.models.network_graph import Named, NetworkGraph, joined, pixels_alone, split

_CHAIN_MODULES = (nn.Conv2d, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.SiLU)


class TorchNetwork(Network):
    """A torch module with a backbone that gives levels and heads that make boxes of them.

    It takes the module over: evaluation mode, batch norms folded, channels-last weights (a
    ResNet-50's forward takes a third less on a CPU with bfloat16 units), and half precision's
    convolutions fused with what follows them on a CPU.

    Args:
        module: In float32, its `backbone` gives an ordered dictionary of levels.
        levels: Those that the backbone gives; as for what is not named here, see `Network`.
        options: The device, the type of the convolutions: float32, float16 or bfloat16 (by
            autocast), and whether to fuse them on a CPU in half precision. Their weights can then
            neither be read nor changed.
        heads: Paths of the modules whose outputs become boxes and scores. Eight bits of mantissa
            are enough for convolutions, not for coordinates: from here on everything is float32.
        heavy: Paths of modules, beside the backbone, that hold about as many weights.

    Attributes:
        after_graph: Paths of the modules that are no part of `graph`.
    """

    after_graph: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        module: nn.Module,
        *,
        sizing: Sizing,
        levels: FeatureLevels,
        categories: Mapping[int, str],
        confidence: float = 0.5,
        suppress: float | None = None,
        options: LoadOptions,
        heads: Sequence[str] = (),
        heavy: Sequence[str] = (),
    ) -> None:
        device, dtype = options.device, options.dtype
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
            _add_half_precision_copies(module, paths, dtype)
            _end_half_precision_at(module, heads)
        if device.type == "cpu" and options.fuse:
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
        return self.completed(self.predictions(levels), levels, placements)

    def predictions(self, levels: Levels) -> Raw:
        """What the heads' convolutions make of the levels, float32."""
        raise NotImplementedError

    def completed(self, predictions: Raw, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        """The raw outputs: what the heads' convolutions gave, and what is made without those."""
        raise NotImplementedError

    def graph(self) -> NetworkGraph | None:
        return NetworkGraph(
            model=_Convolutions(self),
            trial=self.sizing.trial_canvas,
            channels_last=bool(self.after_graph),
            inputs=pixels_alone,
            results=self._results,
        )

    def release_graph(self) -> None:
        parts = self.module.named_modules()
        _release_copies(part for path, part in parts if not path.startswith(self.after_graph))

    def _results(
        self, runs: Sequence[Named], placements: Sequence[Letterbox]
    ) -> tuple[Raw, Levels]:
        levels, predictions = split(runs[0])
        with self.autocast():
            return self.completed(predictions, levels, placements), levels

    def autocast(self) -> torch.autocast:
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=half)

    def weights(self) -> Sequence[Tensor]:
        return list(self.module.parameters())

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        own, self.dtype = self.dtype, torch.float32
        try:
            yield
        finally:
            self.dtype = own

    def stay_in_float32(self) -> None:
        """Compute in float32 from now on."""
        self.dtype = torch.float32
        _release_copies(self.module.modules())


class _Convolutions(nn.Module):
    """A network's backbone and the convolutions of its heads, in float32."""

    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        levels = self.module.get_submodule("backbone")(pixels)
        return joined(levels, self._network.predictions(levels))


class DenseNetwork(TorchNetwork):
    """A network with a box for each place of its levels, of which the best are chosen."""

    @property
    def overlap(self) -> float:
        """The intersection over union above which two boxes are one object, 0..1."""
        raise NotImplementedError

    def places(self, raw: Raw) -> tuple[Tensor, Tensor]:
        """All boxes and scores, for exports: tensor operations alone, whatever the canvas's size.

        Returns:
            Corners in canvas pixels, [batch, places, 4], and scores 0..1, [batch, places, classes].
        """
        raise NotImplementedError


def _end_half_precision_at(module: nn.Module, heads: Sequence[str]) -> None:
    parts = dict(module.named_modules())
    for path in heads:
        if path in parts:
            parts[path].register_forward_hook(lambda _module, _inputs, output: _to_float(output))


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


class HalfPrecisionCopy(nn.Module):
    """A module and a copy of it with weights in half precision.

    The copy is used under autocast, elsewhere the module itself. Autocast alone would cast all
    weights again for every batch. It is in evaluation mode, its weights without gradients.
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


def _add_half_precision_copies(module: nn.Module, paths: Sequence[str], dtype: torch.dtype) -> None:
    """Replace parts of a module by `HalfPrecisionCopy`, those of the paths that it has."""
    parts = dict(module.named_modules())
    for path in paths:
        if path in parts:
            parent, _, name = path.rpartition(".")
            setattr(parts[parent], name, HalfPrecisionCopy(parts[path], dtype))


def _release_copies(parts: Iterable[nn.Module]) -> None:
    for part in parts:
        if isinstance(part, HalfPrecisionCopy):
            part.reduced = None


def half_precision_copies(network: nn.Module) -> list[nn.Module]:
    parts = [part.reduced for part in network.modules() if isinstance(part, HalfPrecisionCopy)]
    return [part for part in parts if part is not None]
