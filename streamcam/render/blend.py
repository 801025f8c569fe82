"""Layers over pictures, in the one form that is quick in uint8."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.records import Picture

Mask = npt.NDArray[np.uint8]
"""uint8, [height, width]."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What covers a picture: picture * keep / 255 + ink.

    Attributes:
        ink: Colour times opacity, RGB, uint8, [height, width, 3].
        keep: 255 where the picture shows through unchanged, 0 where it is covered; as `ink`.
    """

    ink: Picture
    keep: Picture

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.ink.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.ink.shape[0])

    def over(self, picture: Picture) -> Picture:
        """Return a new picture of the same size with the layer on it."""
        kept = cv2.multiply(picture, self.keep, scale=1 / 255)
        return cv2.add(kept, self.ink, dst=kept)  # type: ignore[return-value]


def paste(canvas: Picture, layer: Layer, x: int, y: int) -> None:
    """Put a layer on a canvas with its corner at (x, y); what lies outside is cut off."""
    height, width = canvas.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + layer.width, width), min(y + layer.height, height)
    if right <= left or bottom <= top:
        return
    inside = np.s_[top - y : bottom - y, left - x : right - x]
    part = Layer(layer.ink[inside], layer.keep[inside])
    canvas[top:bottom, left:right] = part.over(canvas[top:bottom, left:right])
