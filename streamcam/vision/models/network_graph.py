"""The part of a network that another runtime than its own can compute."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Levels, Raw

if TYPE_CHECKING:
    from onnx import ModelProto

PIXELS = "pixels"
"""The input of a graph that is a torch module: a canvas, [batch, 3, height, width]."""

_LEVEL, _RAW = "level.", "raw."

Named: TypeAlias = Mapping[str, Tensor]
"""All inputs, or all outputs, of one run of a graph by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGraph:
    """What a runtime computes of a network, what goes in, and what is made of the outputs.

    Attributes:
        model: A torch module that takes `PIXELS` and returns its outputs by name, or an ONNX model.
        trial: Height and width of a canvas to try it with.
        canvas: The only canvas that it takes; None for any that the network's sizing makes.
        channels_last: Whether feature maps should be given channels last, for what the network
            computes of them.
        inputs: The inputs of each run for what `Network.forward` is given.
        results: What `Network.forward` returns, of the outputs of each run.
    """

    model: "nn.Module | ModelProto"
    trial: Size
    canvas: Size | None = None
    channels_last: bool = False
    inputs: Callable[[Tensor, Sequence[Letterbox]], Sequence[Named]]
    results: Callable[[Sequence[Named], Sequence[Letterbox]], tuple[Raw, Levels]]


def pixels_alone(canvas: Tensor, placements: Sequence[Letterbox]) -> Sequence[Named]:
    """The inputs of a graph that takes a canvas and nothing else, in one run."""
    del placements
    return [{PIXELS: canvas}]


def joined(levels: Levels, raw: Raw) -> dict[str, Tensor]:
    """Levels and raw outputs as the outputs of one graph."""
    return {_LEVEL + name: level for name, level in levels.items()} | {
        _RAW + name: value for name, value in raw.items()
    }


def is_output(name: str) -> bool:
    """Whether it is a name that `joined` gives."""
    return name.startswith((_LEVEL, _RAW))


def is_level(name: str) -> bool:
    """Whether it is the name of a level among the outputs."""
    return name.startswith(_LEVEL)


def split(outputs: Named) -> tuple[Levels, Raw]:
    """The levels and the raw outputs that `joined` joined."""
    levels = {
        name.removeprefix(_LEVEL): value
        for name, value in outputs.items()
        if name.startswith(_LEVEL)
    }
    raw = {
        name.removeprefix(_RAW): value for name, value in outputs.items() if name.startswith(_RAW)
    }
    return levels, raw
