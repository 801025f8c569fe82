"""Pictures of findings, cut from the annotated videos."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import cv2
import numpy as np

from streamcam.errors import SourceError
from streamcam.report.summary import Located
from streamcam.sources.inputs import open_source
from streamcam.types import Box, Picture

_log = logging.getLogger(__name__)

_WIDTH = 480
_QUALITY = 80

# Containers round timestamps, and a video of sampled frames has the frames' own.
_EARLY_SECONDS = 0.02

_MARK = (255, 255, 255)
_OUTLINE = (0, 0, 0)


@dataclass(slots=True)
class _AtTimes:
    """Selects the first frame at or after each of some ascending times, in seconds."""

    times: list[float]
    start: float = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.times[0]

    @property
    def next_due(self) -> float:
        return self.times[0] if self.times else inf

    def wants(self, index: int, time: float) -> bool:
        del index
        if time < self.next_due:
            return False
        while self.times and self.times[0] <= time:
            self.times.pop(0)
        return True


def pictures_of(findings: Sequence[Located]) -> Mapping[int, bytes]:
    """Return a JPEG for each finding whose video can be read, by its place in the sequence.

    The box in question has a white frame. Every video is read once, from its first finding to its
    last.
    """
    by_video: dict[Path, list[int]] = {}
    for place, one in enumerate(findings):
        if one.clip.video is not None:
            by_video.setdefault(one.clip.video, []).append(place)
    made: dict[int, bytes] = {}
    for video, places in by_video.items():
        try:
            made |= _from_video(video, {place: findings[place] for place in places})
        except SourceError as error:
            _log.warning("no pictures of %s: %s", video.name, error.message)
    return made


def _from_video(video: Path, findings: Mapping[int, Located]) -> dict[int, bytes]:
    """Cut pictures out of one video; those of frames that it lacks are left out."""
    shown = {place: _seconds_in_video(one) for place, one in findings.items()}
    made: dict[int, bytes] = {}
    with closing(open_source(str(video))) as source:
        for frame in source.frames(_AtTimes(sorted({*shown.values()}))):
            for place, time in shown.items():
                if place not in made and time <= frame.time:
                    made[place] = _jpeg(frame.picture, findings[place].finding.box)
    return made


def _seconds_in_video(one: Located) -> float:
    """Seconds from the video's first frame, which is the clip's first record's."""
    return max(0.0, one.since_first - _EARLY_SECONDS)


def _jpeg(picture: Picture, box: Box | None) -> bytes:
    height, width = picture.shape[:2]
    factor = min(1.0, _WIDTH / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    canvas = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if box is not None:
        x1, y1, x2, y2 = (round(edge * factor) for edge in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _OUTLINE, 5)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _MARK, 3)
    encoded, content = cv2.imencode(".jpg", canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert encoded, "OpenCV writes JPEG"
    return content.tobytes()
