"""A map on 8 x 8 cells: small enough for every record, enough to tell where the heat lies."""

import base64
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.types import HeatMap

CELLS = 8
"""Cells along each side: with 8 of them a record grows by 105 bytes."""

CoarseMap: TypeAlias = npt.NDArray[np.uint8]
"""uint8, [8, 8], mean of the map in each cell times 255; spans the frame as the map does."""


def coarse_map(heat: HeatMap) -> CoarseMap:
    """Return the means of a map over cells of equal size."""
    means = cv2.resize(heat, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(means, 0.0, 1.0) * 255).astype(np.uint8)


def encoded(cells: CoarseMap) -> str:
    """Return the cells as base64, row by row from the top left: 88 characters."""
    return base64.b64encode(cells.tobytes()).decode()


def decoded(text: str) -> CoarseMap | None:
    """Return the cells of a record, None where the text holds no such map."""
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except ValueError:
        return None
    return values.reshape(CELLS, CELLS) if values.size == CELLS**2 else None
