"""Copies of a picture in which rectangles are filled: what a detector sees without them.

What fills them is what the literature on perturbation calls the baseline. None is neutral: a
black rectangle is an object of its own to some detectors, a blurred one still has its colours. So
there are three to compare (Sturmfels, Lundberg and Lee 2020, https://doi.org/10.23915/distill.00022).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from streamcam.types import Box, Picture

# Of a picture that is shrunk until the blur takes this many of its pixels; finer detail than that
# is lost in the blur anyway.
_SMALL_BLUR = 4.0


class Fill(StrEnum):
    BLUR = "blur"
    MEAN = "mean"
    BLACK = "black"


FILLS: Mapping[Fill, str] = {
    Fill.BLUR: "Blurred: shapes are gone, colours stay",
    Fill.MEAN: "The mean colour of the picture",
    Fill.BLACK: "Black",
}
"""What each fill does, for people."""


@dataclass(frozen=True, slots=True)
class MaskedPictures:
    """Makes masked copies of one picture, which is never written to.

    Args:
        picture: RGB, uint8, [height, width, 3].
        blur: Standard deviation of the blur, in pixels of the picture.
    """

    fillings: Mapping[Fill, Picture]
    picture: Picture

    @classmethod
    def of(cls, picture: Picture, blur: float) -> "MaskedPictures":
        mean = np.rint(picture.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
        fillings = {
            Fill.BLUR: _blurred(picture, blur),
            Fill.MEAN: np.broadcast_to(mean, picture.shape),
            Fill.BLACK: np.broadcast_to(np.zeros(3, np.uint8), picture.shape),
        }
        return cls(fillings, picture)

    def masked(self, boxes: Sequence[Box], fill: Fill) -> Picture:
        """Return a copy with rectangles filled; parts of them outside of the picture are ignored.

        A pixel is filled if its centre lies in a rectangle.
        """
        copy = self.picture.copy()
        filling = self.fillings[fill]
        for x1, y1, x2, y2 in boxes:
            rows, columns = _pixels(y1, y2), _pixels(x1, x2)
            copy[rows, columns] = filling[rows, columns]
        return copy


def _pixels(low: float, high: float) -> slice:
    """The pixels whose centres lie between two edges."""
    return slice(max(0, int(np.ceil(low - 0.5))), max(0, int(np.ceil(high - 0.5))))


def _blurred(picture: Picture, deviation: float) -> Picture:
    height, width = picture.shape[:2]
    factor = min(1.0, _SMALL_BLUR / deviation)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), deviation * factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]
