"""Augmentation: square samples made of one photo, or of four (mosaic, YOLOv4, arXiv:2004.10934).

Every function takes the random generator that it uses, so that a sample depends on its seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import Photo

_GREY = 114
# What a crop leaves of an object must be this much of it and this many pixels to count as one.
_LEAST_VISIBLE = 0.25
_LEAST_PIXELS = 4.0
# A mosaic's photos are this much smaller: each has but a quarter of the sample, on average.
_MOSAIC_ZOOM = 0.75


@dataclass(frozen=True)
class Recipe:
    """How strongly to augment."""

    mosaic: float
    """Share of the samples that are made of four photos."""
    smallest: float
    """Minimum size of a photo, as a factor of the size that just fits the sample."""
    largest: float
    """Greatest size, the same."""
    colour: float
    """0 leaves colours as they are, 1 is strong."""


def make_sample(
    draw: Callable[[], Photo], size: int, recipe: Recipe, rng: np.random.Generator
) -> Photo:
    """A sample of `size` by `size` pixels; `draw` gives photos."""
    canvas = np.full((size, size, 3), _GREY, dtype=np.uint8)
    if rng.random() < recipe.mosaic:
        parts = _mosaic(canvas, draw, recipe, rng)
    else:
        parts = [_place(canvas, (0, 0, size, size), (0.5, 0.5), draw(), recipe, rng)]
    boxes = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
        boxes[:, [0, 2]] = size - boxes[:, [2, 0]]
    return Photo(_colour(canvas, recipe.colour, rng), boxes, labels)


_Objects = tuple[NDArray[np.float32], NDArray[np.int64]]
_Window = tuple[int, int, int, int]


def _mosaic(
    canvas: NDArray[np.uint8],
    draw: Callable[[], Photo],
    recipe: Recipe,
    rng: np.random.Generator,
) -> list[_Objects]:
    size = canvas.shape[0]
    x, y = (int(v) for v in rng.uniform(0.3 * size, 0.7 * size, 2))
    quarters = {
        (1.0, 1.0): (0, 0, x, y),
        (0.0, 1.0): (x, 0, size, y),
        (1.0, 0.0): (0, y, x, size),
        (0.0, 0.0): (x, y, size, size),
    }
    return [
        _place(canvas, window, towards, draw(), recipe, rng) for towards, window in quarters.items()
    ]


def _place(
    canvas: NDArray[np.uint8],
    window: _Window,
    towards: tuple[float, float],
    photo: Photo,
    recipe: Recipe,
    rng: np.random.Generator,
) -> _Objects:
    """Draw a photo at a random size into a window of the canvas; what sticks out is cropped.

    A photo larger than the window is placed at random, a smaller one leans `towards` a corner
    (0.5 is the middle, and then at random).
    """
    x1, y1, x2, y2 = window
    height, width = photo.pixels.shape[:2]
    zoom = np.exp(rng.uniform(np.log(recipe.smallest), np.log(recipe.largest)))
    if (x2 - x1, y2 - y1) != canvas.shape[:2]:
        zoom *= _MOSAIC_ZOOM
    scale = zoom * canvas.shape[0] / max(height, width)
    aspect = np.exp(rng.uniform(-0.15, 0.15))
    scales = np.array([scale * aspect, scale / aspect])
    space = np.array([x2 - x1, y2 - y1]) - scales * (width, height)
    pairs = zip(space, towards, strict=True)
    lean = np.array([rng.random() if r < 0 or t == 0.5 else t for r, t in pairs])
    shift = space * lean
    matrix = np.array([[scales[0], 0, shift[0]], [0, scales[1], shift[1]]])
    canvas[y1:y2, x1:x2] = cv2.warpAffine(
        photo.pixels,
        matrix,
        (x2 - x1, y2 - y1),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_GREY, _GREY, _GREY),
    )
    whole = photo.boxes * np.tile(scales, 2) + np.tile(shift, 2)
    visible = whole.clip([0, 0, 0, 0], [x2 - x1, y2 - y1] * 2)
    keep = _still_an_object(whole, visible)
    return (visible[keep] + [x1, y1, x1, y1]).astype(np.float32), photo.labels[keep]


def _still_an_object(
    whole: NDArray[np.floating], visible: NDArray[np.floating]
) -> NDArray[np.bool_]:
    sides = visible[:, 2:] - visible[:, :2]
    share = sides.prod(axis=1) / (whole[:, 2:] - whole[:, :2]).prod(axis=1).clip(1e-6)
    return np.asarray(
        (sides.min(axis=1, initial=np.inf) >= _LEAST_PIXELS) & (share >= _LEAST_VISIBLE)
    )


def _colour(
    pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Hue, saturation, brightness, contrast and white balance; now and then grey or soft."""
    if strength == 0:
        return pixels
    if rng.random() < 0.5:
        pixels = _hue_and_saturation(pixels, strength, rng)
    levels = np.arange(256, dtype=np.float32)[:, None]
    gain = 1 + strength * (rng.uniform(-0.35, 0.35) + rng.uniform(-0.08, 0.08, 3))
    contrast = (levels - 128) * gain + 128 + strength * rng.uniform(-40, 40)
    table = contrast.clip(0, 255).astype(np.uint8).reshape(1, 256, 3)
    pixels = np.asarray(cv2.LUT(pixels, table), dtype=np.uint8)
    if rng.random() < 0.05 * strength:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        pixels = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if rng.random() < 0.1 * strength:
        pixels = np.asarray(cv2.blur(pixels, (3, 3)), dtype=np.uint8)
    return pixels


def _hue_and_saturation(
    pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    levels = np.arange(256)
    hue = (levels + rng.uniform(-5, 5) * strength) % 180
    saturation = (levels * (1 + rng.uniform(-0.6, 0.6) * strength)).clip(0, 255)
    table = np.stack([hue, saturation, levels], axis=-1).astype(np.uint8).reshape(1, 256, 3)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB), dtype=np.uint8)
