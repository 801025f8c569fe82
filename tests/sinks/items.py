"""Items as they arrive at sinks."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

import numpy as np

from streamcam.types import (
    Detection,
    Explanation,
    Focus,
    Frame,
    FrameResult,
    Picture,
    SourceInfo,
)

SIZE = (96, 64)
MILLISECONDS = Fraction(1, 1000)

PERSON = Detection("person", 1, 0.87654, (10.123, 5.0, 60.456, 64.0), Focus(0.3, 3.2, True))


def picture(index: int, size: tuple[int, int] = SIZE) -> Picture:
    """A picture of one colour that depends on its index, and that H.264 preserves."""
    width, height = size
    return np.full((height, width, 3), (30 + index * 7 % 200, 90, 200 - index * 5 % 150), np.uint8)


def info(
    size: tuple[int, int] = SIZE,
    time_base: Fraction = MILLISECONDS,
    *,
    live: bool = False,
    duration: float | None = None,
) -> SourceInfo:
    return SourceInfo("dir/clip.mp4", *size, time_base, Fraction(25), duration=duration, live=live)


def frame(
    index: int,
    pts: int | None = None,
    *,
    time_base: Fraction = MILLISECONDS,
    shown: Picture | None = None,
    sampled: bool = True,
    time_utc: datetime | None = None,
) -> Frame:
    pts = index * 40 if pts is None else pts
    shown = picture(index) if shown is None else shown
    time = float(pts * time_base)
    return Frame("dir/clip.mp4", index, pts, time_base, time, shown, sampled, time_utc)


def explained(
    of: Frame, detections: Sequence[Detection] = (PERSON,), flicker: float | None = 0.0123456
) -> FrameResult:
    heat = np.zeros((4, 6), np.float32)
    explanation = Explanation("eigencam", heat, 0.4567891, flicker, (12.3456, 7.0))
    return FrameResult(of, tuple(detections), explanation)
