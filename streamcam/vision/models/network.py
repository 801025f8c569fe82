"""What streamcam asks of a detector: the base class that every detector family implements."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from streamcam.errors import UsageError
from streamcam.escapes import printable
from streamcam.vision.cam.geometry import Letterbox, LevelGrids, Size, Stride

if TYPE_CHECKING:
    from streamcam.vision.models.network_graph import NetworkGraph

Levels: TypeAlias = Mapping[str, Tensor]
"""Feature maps by the name of their level, each [batch, channels, rows, columns]."""

Raw: TypeAlias = Mapping[str, Tensor]
"""A network's outputs by name, before they are decoded; their meaning is the family's own."""


# A tenth of the pixels of a ResNet-50's usual canvas.
_TRIAL_SIDE = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How an image of bytes becomes a part of the network's canvas.

    A batch shares one canvas, as large as its largest image, rounded up to a multiple of `multiple`
    pixels.

    Attributes:
        shortest: Pixels that the image's shorter side is resized to, its proportions kept.
        longest: Bound of the longer side; where it would be exceeded, the shorter one gets less.
        stretch: Height and width of every resized image, whatever its proportions; None keeps them.
        multiple: The canvas's sides are multiples of it, in pixels.
        canvas: Height and width of every canvas, for networks that take no other; images are made
            small enough for it. None for any.
        mean: Of each channel, in grey levels 0..255; subtracted.
        std: Of each channel, in grey levels; divides what is left.
        pad: Grey level of the padding, 0..255; None for zeros after the normalisation.
        centred: Whether images lie in the middle of the canvas, else in its upper left corner.
        antialias: Whether every pixel counts where an image is shrunk, as in Pillow's filters and
            torchvision's transforms; else the nearest four, as in OpenCV.
        nearest: Whether resized sides are rounded to the nearest pixel, else down.
        rounded: Whether resized pixels are rounded to whole grey levels, as OpenCV's are.
        bgr: Whether the network's first channel is blue; `mean` and `std` are in its order.
    """

    shortest: int = 640
    longest: int = 640
    stretch: Size | None = None
    multiple: int = 32
    canvas: Size | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    pad: float | None = None
    centred: bool = False
    antialias: bool = False
    nearest: bool = False
    rounded: bool = False
    bgr: bool = False

    @property
    def max_pixels(self) -> int:
        """Pixels of the largest resized image."""
        height, width = self.stretch or (self.shortest, self.longest)
        return height * width

    def at(self, side: int) -> "Sizing":
        """The same for another length of the longer side, in pixels.

        Raises:
            UsageError: The network takes one size only.
        """
        if self.canvas is not None:
            height, width = self.canvas
            raise UsageError(
                f"this model's input is {width}x{height} pixels, no other size",
                hint="Leave --imgsz out.",
            )
        if self.stretch is None:
            return replace(self, shortest=side, longest=side)
        whole = math.ceil(side / self.multiple) * self.multiple
        return replace(self, stretch=(whole, whole))

    @property
    def trial_canvas(self) -> Size:
        """Height and width of a canvas for trials: small, and large enough for coarse levels."""
        side = max(1, _TRIAL_SIDE // self.multiple) * self.multiple
        return self.canvas or (side, side)

    def resized(self, size: Size) -> Size:
        """Height and width that an image of some height and width is resized to."""
        if self.stretch is not None:
            return self.stretch
        height, width = size
        scale = min(self.shortest / min(size), self.longest / max(size))
        if self.canvas is not None:
            scale = min(scale, self.canvas[0] / height, self.canvas[1] / width)
        whole = round if self.nearest else math.floor
        return max(1, whole(height * scale)), max(1, whole(width * scale))


@dataclass(frozen=True, slots=True)
class FeatureLevels:
    """The feature maps that a network gives, and where their cells lie on the canvas.

    Attributes:
        strides: Canvas pixels from one cell to the next by level, vertically and horizontally; any
            positive numbers. The stride of a level that is missing is a power of two, which follows
            from its size.
        centre: Where in its stride a cell's centre lies, 0..1, in every level.
        fine: The level whose grid maps have by default: the one whose stride is nearest to 16.
        pool: The level whose grid the published EigenCAM recipe uses: the coarsest useful one.
    """

    strides: Mapping[str, Stride]
    centre: float
    fine: str
    pool: str

    @classmethod
    def of(
        cls, strides: Mapping[str, float | Stride], centre: float = 0.5, pool: str | None = None
    ) -> "FeatureLevels":
        """Levels with the usual choices: `fine` nearest to stride 16, `pool` the coarsest."""
        pairs = {
            name: stride if isinstance(stride, tuple) else (float(stride), float(stride))
            for name, stride in strides.items()
        }
        fine = min(pairs, key=lambda name: max(pairs[name][0] / 16, 16 / pairs[name][0]))
        coarsest = max(pairs, key=lambda name: pairs[name][0])
        return cls(pairs, centre, fine, pool or coarsest)

    @property
    def pool_centre(self) -> float:
        """Where a cell's centre lies in the published recipe's grid.

        It samples finer levels in the middle of a cell, and the coarsest at its own centre: halfway
        between in all. Measured 0.18, 0.25 and 0.28 where `centre` is 0.
        """
        return (self.centre + 0.5) / 2

    def check(self, levels: Levels, canvas: Size) -> None:
        """Compare what a network declares with what it gives for a canvas.

        Raises:
            UsageError: A level is missing, or its cells do not lie as far apart as declared.
        """
        for name in dict.fromkeys((self.fine, self.pool, *self.strides)):
            if name not in levels:
                given = ", ".join(levels)
                raise UsageError(f"the network declares the level {name!r} and gives {given}")
        for name, strides in self.strides.items():
            for side, stride, cells in zip(canvas, strides, levels[name].shape[-2:], strict=True):
                if abs(cells - side / stride) > 1:
                    raise UsageError(
                        f"the network's level {name!r} has {cells} cells for {side} pixels, and "
                        f"declares a stride of {stride:g}"
                    )

    @property
    def grids(self) -> LevelGrids:
        return LevelGrids(self.centre, self.strides)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a network detected in one image, on its device, the graph attached if there is one."""

    boxes: Tensor  # float32 [count, 4]: x1, y1, x2, y2 in the original image's pixels
    scores: Tensor  # float32 [count], 0..1
    class_ids: Tensor  # int64 [count]


@dataclass(kw_only=True)
class Network(ABC):
    """A loaded detector of any family; it need not be made of torch modules.

    Attributes:
        sizing: How images become its canvas.
        levels: The feature maps that it gives.
        categories: Class names by class id; as text that can be shown, see `printable`.
        confidence: Recommended score from which a detection counts, 0..1.
        suppress: Overlap (intersection over union, 0..1) from which the weaker of two boxes of one
            class is dropped; None where `decode` gives each object once.
        differentiable: Whether `from_levels` and `decode` pass gradients to the levels. Gradient
            methods need it.
        replayable: Whether there is `from_levels`. Methods that change feature maps need it.
        replays_in_float32: Whether `from_levels` is of the network in float32 alone, whose feature
            maps are those that it gives `in_float32`.
        device: Where its tensors are.
        device_name: What people call the device that computes, where torch does not know it.
        dtype: The type that its convolutions compute in.
        weight_count: How many weights it has; small networks get fewer of a CPU's threads.
    """

    sizing: Sizing
    levels: FeatureLevels
    categories: Mapping[int, str]
    confidence: float = 0.5
    suppress: float | None = None
    differentiable: bool = False
    replayable: bool = False
    replays_in_float32: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    device_name: str = ""
    dtype: torch.dtype = torch.float32
    weight_count: int = 0

    def __post_init__(self) -> None:
        # Where they come from a file, they may hold anything.
        self.categories = {number: printable(name) for number, name in self.categories.items()}

    @abstractmethod
    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        """Run the network once.

        Args:
            canvas: float32 [batch, 3, height, width], normalised, on the network's device.
            placements: Where each image lies on the canvas.

        Returns:
            The raw outputs, and the feature maps, which the caller may overwrite.
        """

    @abstractmethod
    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        """Make boxes of what `forward` or `from_levels` gave, those of scores above a threshold.

        Returns:
            For each image its boxes; where `suppress` is a number, before suppression. Boxes may
            reach beyond the image: they are clipped after suppression.
        """

    def features(self, canvas: Tensor) -> Levels:
        """Only the feature maps of images that fill the canvas."""
        size = (canvas.shape[2], canvas.shape[3])
        return self.forward(canvas, [Letterbox(size, size, size)] * len(canvas))[1]

    def from_levels(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        """The raw outputs for feature maps that were changed, float32; the backbone is left out."""
        raise NotImplementedError(f"{type(self).__name__} has no from_levels")

    def graph(self) -> "NetworkGraph | None":
        """What another runtime can compute of it; None where it has no such part."""
        return None

    def release_graph(self) -> None:  # noqa: B027 - most networks hold nothing for speed alone
        """Release what only makes the graph's part quicker: another runtime computes it now."""

    def weights(self) -> Sequence[Tensor]:
        """The weights as they are used, which may be changed in place; empty without access.

        The audit shuffles them for a while, to see whether maps depend on them.
        """
        return ()

    def in_float32(self) -> AbstractContextManager[None]:
        """Compute in float32 for a while, where that can be chosen."""
        return nullcontext()

    def close(self) -> None:  # noqa: B027 - most networks hold nothing to release
        """Release what the network holds. Idempotent."""


def to_original(boxes: Tensor, placement: Letterbox) -> Tensor:
    """Boxes [count, 4] in canvas pixels, as boxes in the original image's pixels."""
    height, width = (
        torch.tensor(original, dtype=torch.float32, device=boxes.device)
        / torch.tensor(resized, dtype=torch.float32, device=boxes.device)
        for original, resized in zip(placement.original, placement.resized, strict=True)
    )
    if placement.offset != (0, 0):
        top, left = placement.offset
        boxes = boxes - boxes.new_tensor([left, top, left, top])
    return boxes * torch.stack([width, height, width, height])
