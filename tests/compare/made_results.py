"""Results of engines, made by hand."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from streamcam.types import Box, Detection, Explanation, Focus, Frame, FrameResult, HeatMap

SIZE = (64, 96)  # height and width


def detection(label: str, confidence: float, box: Box, lift: float = 2.0) -> Detection:
    return Detection(label, 1, confidence, box, Focus(0.5, lift, peak_inside=True))


def result(
    time: float,
    detections: Sequence[Detection],
    heat: HeatMap | None = None,
    *,
    flicker: float | None = None,
    source: str = "clip.mp4",
) -> FrameResult:
    """A result of a grey frame at that time, five frames a second."""
    index = round(time * 5)
    picture = np.full((*SIZE, 3), 90, np.uint8)
    frame = Frame(source, index, index, Fraction(1, 5), time, picture)
    shown = np.zeros((8, 12), np.float32) if heat is None else heat
    explanation = Explanation("eigencam", shown, 0.5, flicker, (0.0, 0.0))
    return FrameResult(frame, tuple(detections), explanation)
