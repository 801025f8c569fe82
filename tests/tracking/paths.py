"""Objects on known paths, as a detector would find them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from streamcam.types import Box, Detection, Explanation, Focus, Frame, FrameResult

WIDTH, HEIGHT = 640, 360
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
HEAT = np.zeros((4, 6), np.float32)
CLASS_IDS = {"person": 1, "car": 3, "truck": 8}


def at(x: float, foot: float = 200.0, *, width: float = 40.0, height: float = 100.0) -> Box:
    """The box of an object whose foot point is at x, foot, in pixels."""
    return (x - width / 2, foot - height, x + width / 2, foot)


def found(box: Box, label: str = "person") -> Detection:
    return Detection(label, CLASS_IDS[label], 0.8, box, Focus(0.5, 2.0, True))


def seen(
    time: float, *detections: Detection, new_shot: bool = False, discontinuity: bool = False
) -> FrameResult:
    pts = round(time * 1000)
    frame = Frame("yard", pts, pts, Fraction(1, 1000), time, PICTURE, discontinuity=discontinuity)
    explanation = Explanation("eigencam", HEAT, 0.9, 0.1, (1.0, 1.0))
    return FrameResult(frame, detections, explanation, new_shot=new_shot)


def numbers(results: Sequence[FrameResult]) -> list[list[int | None]]:
    return [[each.track_id for each in result.detections] for result in results]


def by_label(result: FrameResult) -> Mapping[str, int | None]:
    return {each.label: each.track_id for each in result.detections}
