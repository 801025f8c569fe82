"""Layers over pictures, premultiplied: the one form that blends quickly in uint8."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.types import Picture

Mask = npt.NDArray[np.uint8]
"""uint8, [height, width]."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What covers a picture: picture * inverse_alpha / 255 + premultiplied.

    Attributes:
        premultiplied: Colour times opacity, RGB, uint8, [height, width, 3].
        inverse_alpha: 255 where the picture shows through unchanged, 0 where it is covered; of the
            same shape and dtype.
    """

    premultiplied: Picture
    inverse_alpha: Picture

    @property
    def width(self) -> int:
        return int(self.premultiplied.shape[1])

    @property
    def height(self) -> int:
        return int(self.premultiplied.shape[0])

    def over(self, picture: Picture) -> Picture:
        """Return a new picture of the same size with the layer on it."""
        blended = cv2.multiply(picture, self.inverse_alpha, scale=1 / 255)
        return cv2.add(blended, self.premultiplied, dst=blended)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A layer with its upper left corner at (x, y) of a canvas, in pixels."""

    layer: Layer
    x: int
    y: int

    @property
    def right(self) -> int:
        return self.x + self.layer.width

    @property
    def bottom(self) -> int:
        return self.y + self.layer.height

    def intersects(self, other: "Overlay") -> bool:
        columns = self.x < other.right and other.x < self.right
        return columns and self.y < other.bottom and other.y < self.bottom

    def draw(self, canvas: Picture) -> None:
        """Draw it on a canvas; what lies outside is cut off."""
        height, width = canvas.shape[:2]
        left, top = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        if right <= left or bottom <= top:
            return
        inside = np.s_[top - self.y : bottom - self.y, left - self.x : right - self.x]
        part = Layer(self.layer.premultiplied[inside], self.layer.inverse_alpha[inside])
        canvas[top:bottom, left:right] = part.over(canvas[top:bottom, left:right])
