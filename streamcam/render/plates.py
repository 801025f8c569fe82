"""Texts on plates."""

import cv2
import numpy as np

from streamcam.render.blend import Layer
from streamcam.render.palette import Colour, text_colour
from streamcam.render.text import text_mask


def plate(text: str, size: int, gap: int, background: Colour, opacity: float = 1.0) -> Layer:
    """Return a line of text on a plate.

    Args:
        text: What it says.
        size: Of the font, in pixels.
        gap: Left and right of the text, in pixels.
        background: The plate's colour; the text is black or white, whichever reads better on it.
        opacity: Of the plate, 0..1; the text is always opaque.
    """
    mask = cv2.copyMakeBorder(text_mask(text, size), 0, 0, gap, gap, cv2.BORDER_CONSTANT)
    share = (mask / np.float32(255))[:, :, None]
    foreground = np.asarray(text_colour(background), np.float32)
    back = np.asarray(background, np.float32) * opacity
    ink = back * (1 - share) + foreground * share
    keep = 255 * (1 - opacity) * (1 - share) * np.ones(3, np.float32)
    return Layer(np.rint(ink).astype(np.uint8), np.rint(keep).astype(np.uint8))
