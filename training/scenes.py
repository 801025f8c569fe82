"""Pictures of the drawn demo street, with its true boxes: training photos that never run out."""

from __future__ import annotations

import numpy as np

from streamcam.demo import DemoScene
from training.data import Photo

FIRST_SEED = 10_000
"""Training takes seeds from here on; those below are for the demo and for measuring it."""

_LATEST = 60.0


def street_photo(seed: int, time: float) -> Photo:
    """The street of a seed at a time in seconds."""
    street = DemoScene(seed)
    truth = street.truth(time)
    boxes = np.array([each.box for each in truth], dtype=np.float32).reshape(-1, 4)
    labels = np.array([each.class_id for each in truth], dtype=np.int64)
    return Photo(street.picture(time), boxes, labels)


def street_crops(count: int, seed: int = 0) -> list[Photo]:
    """Square crops of as many different streets.

    Whole frames would have to shrink so far to fit a training sample that their objects would be
    smaller than they ever are in use.
    """
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(count):
        photo = street_photo(FIRST_SEED + number, rng.uniform(0, _LATEST))
        crops.append(square_crop(photo, int(rng.integers(10_000))))
    return crops


def square_crop(photo: Photo, position: int) -> Photo:
    """A square as high as the picture; objects less than half in it are dropped."""
    height, width = photo.pixels.shape[:2]
    left = position % max(1, width - height + 1)
    pixels = np.ascontiguousarray(photo.pixels[:, left : left + height])
    boxes = photo.boxes - np.array([left, 0, left, 0], dtype=np.float32)
    visible = boxes.clip(0, [pixels.shape[1], height] * 2)
    keep = (visible[:, 2] - visible[:, 0]) > 0.5 * (boxes[:, 2] - boxes[:, 0])
    return Photo(pixels, visible[keep].astype(np.float32), photo.labels[keep])
