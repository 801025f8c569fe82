"""Colours of classes."""

from functools import cache
from typing import TypeAlias

import numpy as np

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


def colour_of(class_id: int) -> Colour:
    """Return a class's colour, the same in every frame and run."""
    return _CLASSES[class_id % len(_CLASSES)]


@cache
def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever stands out more from a background."""
    return max((BLACK, WHITE), key=lambda colour: contrast(colour, background))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of WCAG 2, 1..21; from 4.5 on, text reads well."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    srgb = np.asarray(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
