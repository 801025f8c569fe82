"""Tracked results for tests of events: frames five times a second with objects by their tracks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np

from streamcam.types import Detection, Explanation, Focus, Frame, FrameResult

BEGIN = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
PICTURE = np.zeros((36, 64, 3), np.uint8)
MAP = np.zeros((4, 6), np.float32)


def found(
    track: int | None = 1,
    label: str = "person",
    confidence: float = 0.8,
    lift: float = 2.0,
    zones: tuple[str, ...] = (),
) -> Detection:
    focus = Focus(0.5, lift, True)
    box = (1.0, 2.0, 30.0, 34.0)
    return Detection(label, 1, confidence, box, focus, track_id=track, zones=zones)


def result(
    index: int,
    *detections: Detection,
    time: float | None = None,
    discontinuity: bool = False,
    live: bool = True,
    source: str = "yard",
) -> FrameResult:
    """Return an explained frame; by default the one of that number at five a second."""
    seconds = index / 5 if time is None else time
    frame = Frame(
        source,
        index,
        round(seconds * 1000),
        Fraction(1, 1000),
        seconds,
        PICTURE,
        time_utc=BEGIN + timedelta(seconds=seconds) if live else None,
        discontinuity=discontinuity,
    )
    return FrameResult(frame, detections, Explanation("eigencam", MAP, 0.9, 0.1, (1.0, 1.0)))


def stretch(begin: int, end: int, *detections: Detection) -> Sequence[FrameResult]:
    """Return the frames from one number to before another, all with the same objects."""
    return [result(index, *detections) for index in range(begin, end)]
