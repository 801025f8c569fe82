"""What annotated pictures look like."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Colormap: TypeAlias = Literal["inferno", "magma", "viridis", "turbo", "jet"]
COLORMAPS: tuple[Colormap, ...] = get_args(Colormap)


@dataclass(frozen=True, slots=True)
class Style:
    """What annotated pictures look like.

    Attributes:
        colormap: The colours of the heat, from cold to hot.
        opacity: How much of the picture the hottest places cover, 0..1.
        legend: Whether a corner tells what the heat is, how its colours read, and the age of a map
            that is not the frame's own.
        timestamp: Whether a corner tells the frame's time.

    Raises:
        ValueError: The colormap is unknown or the opacity out of its range.
    """

    colormap: Colormap = "inferno"
    opacity: float = 0.7
    legend: bool = True
    timestamp: bool = True

    def __post_init__(self) -> None:
        if self.colormap not in COLORMAPS:
            raise ValueError(f"colormap {self.colormap!r} is not one of {', '.join(COLORMAPS)}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity {self.opacity} is not within 0..1")


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in pixels that suit a frame.

    Attributes:
        text: Height of a line of text.
        line: Thickness of a box's edge.
        gap: Between a text and its plate's edge, and between plates and the frame's edge.
    """

    text: int
    line: int
    gap: int

    @classmethod
    def of(cls, width: int, height: int) -> "Scale":
        """Return the sizes for a frame of `width` x `height` pixels."""
        # The short side, so that a portrait's texts fit its width.
        short = min(width, height)
        text = max(_LEAST_TEXT, round(short * _TEXT))
        return cls(text=text, line=max(2, round(short * _LINE)), gap=max(2, text // 4))


_TEXT = 1 / 38
_LEAST_TEXT = 11
"""Pixels; below it DejaVu's digits run into each other."""
_LINE = 1 / 300
