"""What annotated pictures look like: options, sizes, and the colours of classes."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, get_args

import numpy as np

from streamcam.regions import Line, Zone

Colormap: TypeAlias = Literal["inferno", "magma", "viridis", "turbo", "jet"]
COLORMAPS: tuple[Colormap, ...] = get_args(Colormap)

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0..255."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

# Okabe and Ito's palette, which all common kinds of colour vision tell apart, without its black;
# then lighter and darker ones between them. Neighbouring ids lie far apart in hue and lightness.
_CLASSES: tuple[Colour, ...] = (
    (0, 158, 115),
    (86, 180, 233),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
    (160, 230, 200),
    (213, 94, 0),
    (190, 170, 255),
    (120, 200, 60),
    (255, 190, 200),
    (120, 90, 200),
)

_TEXT = 1 / 38
"""Height of a line of text, as a share of the frame's short side."""

_MIN_TEXT = 11
"""Pixels; below it DejaVu's digits run into each other."""

_LINE = 1 / 300
"""Thickness of a box's edge, as a share of the frame's short side."""


@dataclass(frozen=True, slots=True)
class Style:
    """What annotated pictures look like.

    Attributes:
        opacity: How much of the picture the hottest places cover, 0..1.
        legend: Whether a corner tells what the heat is, how its colours read, and the age of a map
            that is not the frame's own.
        zones, lines: Whose outlines are drawn.

    Raises:
        ValueError: The colormap is unknown or the opacity out of its range.
    """

    colormap: Colormap = "inferno"
    opacity: float = 0.7
    legend: bool = True
    timestamp: bool = True
    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()

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
        gap: Between a text and the edge of its background, and between texts and the frame's edge.
    """

    text: int
    line: int
    gap: int

    @classmethod
    def of(cls, width: int, height: int) -> "Scale":
        # The short side, so that a portrait's texts fit its width.
        short = min(width, height)
        text = max(_MIN_TEXT, round(short * _TEXT))
        return cls(text=text, line=max(2, round(short * _LINE)), gap=max(2, text // 4))


def colour_of(class_id: int) -> Colour:
    """Return a class's colour, the same in every frame and run."""
    return _CLASSES[class_id % len(_CLASSES)]


@cache
def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever has the higher contrast to a background."""
    return max((BLACK, WHITE), key=lambda colour: contrast(colour, background))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of WCAG 2, 1..21; from 4.5 on, text reads well."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    srgb = np.asarray(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
