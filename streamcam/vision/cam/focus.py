"""How much of a map lies on each detection: localisation measured, not attribution.

The map is constant over each of its cells, and a cell that a box covers in part counts in part, so
the scores change smoothly with the box.
"""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.types import Box, Focus, HeatMap

Doubles = npt.NDArray[np.float64]


def map_peak(heat: HeatMap, width: int, height: int) -> tuple[float, float]:
    """Centre of the map's brightest cell: x, y in pixels of a frame of `width` x `height`."""
    rows, columns = heat.shape
    row, column = divmod(int(heat.argmax()), columns)
    return (column + 0.5) * width / columns, (row + 0.5) * height / rows


def measure_focus(heat: HeatMap, boxes: Sequence[Box], *, width: int, height: int) -> list[Focus]:
    """Score every box inside a frame of `width` x `height` pixels against a map of values >= 0.

    A map without any heat gives 0, 0 and False; so does an empty box.
    """
    total = float(heat.sum(dtype=np.float64))
    if not boxes:
        return []
    if total <= 0:
        return [Focus(0.0, 0.0, False)] * len(boxes)
    corners = np.asarray(boxes, dtype=np.float64)
    energy = np.clip(_sums_inside(heat, corners / [width, height, width, height]) / total, 0, 1)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1) / (width * height)
    lift = np.divide(energy, area, out=np.zeros_like(energy), where=area > 0)
    x, y = map_peak(heat, width, height)
    inside = (
        (corners[:, 0] <= x) & (x <= corners[:, 2]) & (corners[:, 1] <= y) & (y <= corners[:, 3])
    )
    return [
        Focus(float(e), float(n), bool(p)) for e, n, p in zip(energy, lift, inside, strict=True)
    ]


def _sums_inside(heat: HeatMap, boxes: Doubles) -> Doubles:
    """The map's sums inside boxes in units of the frame's sides, by the integral image.

    The integral of a map that is constant over cells is bilinear between the cells' corners.
    """
    rows, columns = heat.shape
    integral = np.asarray(cv2.integral(heat, sdepth=cv2.CV_64F), np.float64)
    x1, y1, x2, y2 = (boxes * [columns, rows, columns, rows]).T
    # All corners at once: what NumPy takes here is for calls, not for numbers.
    corners = _bilinear(integral, np.stack([y2, y1, y2, y1]), np.stack([x2, x2, x1, x1]))
    return cast("Doubles", corners[0] - corners[1] - corners[2] + corners[3])


def _bilinear(image: Doubles, y: Doubles, x: Doubles) -> Doubles:
    row = np.minimum(y.astype(np.intp), image.shape[0] - 2)
    column = np.minimum(x.astype(np.intp), image.shape[1] - 2)
    down, right = y - row, x - column
    upper = image[row, column] * (1 - right) + image[row, column + 1] * right
    lower = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    between: Doubles = upper * (1 - down) + lower * down
    return between
