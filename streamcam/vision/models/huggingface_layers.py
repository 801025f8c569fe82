"""Feature maps that are outputs of layers in the middle of a model of transformers."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Size

LAYERS: Mapping[str, Sequence[str]] = {"yolos": ["vit.layernorm"]}
"""By the type of the model, for models that are not cut in two: what their boxes are made of runs
beside these layers, so that nothing can go on from changed feature maps."""

# Pixels of a cell that are searched for.
_STRIDES = range(4, 129)


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers whose outputs are feature maps, or tokens of patches."""

    names: Sequence[str]
    others: int = 0  # tokens that belong to no patch, behind all that do
    centre: float = 0.25  # where in its stride a cell's centre lies; 0.5 for patches


def as_grid(output: object, canvas: Size, others: int = 0) -> Tensor | None:
    """A layer's output as a feature map; None if it is none.

    Args:
        output: A map, or tokens [batch, count, channels]: one for each patch of the canvas in
            rows, with a class token before them or none.
        canvas: Height and width of the model's input.
        others: How many tokens that belong to no patch come after them.

    Returns:
        [batch, channels, rows, columns].
    """
    if not isinstance(output, Tensor) or output.ndim not in {3, 4}:
        return None
    for stride in _STRIDES:
        if output.ndim == 4:
            if all(
                _fits(c, side, stride) for c, side in zip(output.shape[2:], canvas, strict=True)
            ):
                return output
            continue
        rows, columns = canvas[0] // stride, canvas[1] // stride
        first = output.shape[1] - others - rows * columns
        if first in {0, 1} and rows and columns:
            patches = output[:, first : first + rows * columns].mT
            return patches.reshape(*patches.shape[:2], rows, columns)
    return None


def _fits(cells: int, side: int, stride: int) -> bool:
    return cells > 1 and cells in {side // stride, -(-side // stride)}


@contextmanager
def watching(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, object]]:
    """Record what some layers give, by name, in the order in which they run last."""
    given: dict[str, object] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            given.pop(name, None)
            given[name] = output[0] if isinstance(output, tuple | list) and output else output

        return hook

    handles = [module.get_submodule(name).register_forward_hook(watch(name)) for name in names]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


def found_layers(module: nn.Module, others: int, canvas: Size) -> Layers:
    """The layers of a model whose outputs look like a detector's feature maps, finest first.

    They are the last one that gives feature maps, and the last ones before it that give as many
    channels at other strides. Maps go before tokens.

    Raises:
        UsageError: There are none.
    """
    every = [name for name, _ in module.named_modules() if name]
    with torch.no_grad(), watching(module, every) as given:
        module(pixel_values=torch.zeros(1, 3, *canvas))
    grids = {name: as_grid(output, canvas, others) for name, output in given.items()}
    found = {name: grid for name, grid in grids.items() if grid is not None}
    maps = {name: grid for name, grid in found.items() if grid is given[name]} or found
    if not maps:
        raise UsageError("no layer of this model gives feature maps", hint="Name one by --layer.")
    channels = list(maps.values())[-1].shape[1]
    last = {grid.shape[2]: name for name, grid in maps.items() if grid.shape[1] == channels}
    return Layers([last[rows] for rows in sorted(last, reverse=True)], others)


def check_layers(module: nn.Module, names: Sequence[str]) -> None:
    """Raise `UsageError` for a name that no layer of a module has."""
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            raise UsageError(
                f"the model has no layer {name!r}",
                hint=f"Did you mean {' or '.join(near)}?" if near else None,
            )
