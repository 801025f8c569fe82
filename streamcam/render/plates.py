"""Texts on plates."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from streamcam.render.blend import Layer, Mask
from streamcam.render.palette import Colour, text_colour
from streamcam.render.text import text_mask
from streamcam.types import Picture


def plate(
    texts: Sequence[str], size: int, gap: int, background: Colour, opacity: float = 1.0
) -> Layer:
    """Return a line of texts on a plate.

    Args:
        texts: What it says. Parts that come back are best given apart: each is drawn only once.
        size: Of the font, in pixels.
        gap: Left and right of the texts, and twice as much between them, in pixels.
        background: The plate's colour; text on it is black or white.
        opacity: Of the plate, 0..1; text is always opaque.
    """
    mask = _line([text_mask(text, size) for text in texts], gap)
    ink, keep = _tables(background, opacity)
    return Layer(
        cv2.applyColorMap(mask, ink),  # type: ignore[arg-type]
        cv2.applyColorMap(mask, keep),  # type: ignore[arg-type]
    )


def _line(masks: Sequence[Mask], gap: int) -> Mask:
    width = sum(mask.shape[1] + 2 * gap for mask in masks)
    line = np.zeros((masks[0].shape[0], width), np.uint8)
    x = gap
    for mask in masks:
        line[:, x : x + mask.shape[1]] = mask
        x += mask.shape[1] + 2 * gap
    return line


@lru_cache(maxsize=64)
def _tables(background: Colour, opacity: float) -> tuple[Picture, Picture]:
    """Return ink and keep for each opacity of the text, uint8, [256, 1, 3]."""
    text = np.linspace(0, 1, 256)[:, None, None]
    ink = np.asarray(background) * opacity * (1 - text) + np.asarray(text_colour(background)) * text
    keep = 255 * (1 - opacity) * (1 - text) * np.ones(3)
    return np.rint(ink).astype(np.uint8), np.rint(keep).astype(np.uint8)
