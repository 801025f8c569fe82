"""Explained frames made by hand."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

import numpy as np

from streamcam.types import Detection, Explanation, Focus, Frame, FrameResult, HeatMap, Picture

GREY = 100


def plain(width: int = 640, height: int = 360, level: int = GREY) -> Picture:
    return np.full((height, width, 3), level, np.uint8)


def frame(
    picture: Picture,
    *,
    time: float = 7.2,
    sampled: bool = True,
    time_utc: datetime | None = None,
    discontinuity: bool = False,
) -> Frame:
    return Frame(
        "clip.mp4",
        index=72,
        pts=72,
        time_base=Fraction(1, 10),
        time=time,
        picture=picture,
        sampled=sampled,
        time_utc=time_utc,
        discontinuity=discontinuity,
    )


def spot(rows: int = 18, columns: int = 32, *, row: int = 4, column: int = 8) -> HeatMap:
    """A map that is hot in one block of four cells and cold elsewhere."""
    heat = np.zeros((rows, columns), np.float32)
    heat[row : row + 2, column : column + 2] = 1
    return heat


def cold() -> HeatMap:
    return np.zeros((18, 32), np.float32)


def detection(
    box: Sequence[float], label: str = "person", class_id: int = 1, confidence: float = 0.87
) -> Detection:
    x1, y1, x2, y2 = box
    return Detection(label, class_id, confidence, (x1, y1, x2, y2), Focus(0.3, 3.2, True))


def explained(
    picture: Picture,
    heat: HeatMap | None = None,
    detections: Sequence[Detection] = (),
    *,
    time: float = 7.2,
    time_utc: datetime | None = None,
) -> FrameResult:
    heat = cold() if heat is None else heat
    explanation = Explanation("eigencam", heat, 0.4, 0.01, (1.0, 1.0))
    shown = frame(picture, time=time, time_utc=time_utc)
    return FrameResult(shown, tuple(detections), explanation)
