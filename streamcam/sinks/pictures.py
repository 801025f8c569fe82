"""Annotated pictures: the best one as a file, the newest one of a camera for the live page."""

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.files import write_file
from streamcam.sinks.base import FileSink, ResultFile
from streamcam.types import Frame, FrameResult, Item, Picture

_STILL_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    # Full colour resolution: halved, it smears the edges of boxes and of the heat.
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]

_MAX_SIDE = 65_500
"""Pixels of the longest side of a JPEG, a limit of libjpeg."""

LONGEST_SIDE = 1280
"""Pixels of a preview's longest side: more than a tile of the live page has."""

# A street with heat at 1280x720: 3 ms and 125 kB; at 1920x1080, resized: 8 ms and 115 kB. Quality
# 92, as of stills, takes half as much again.
_PREVIEW_QUALITY = 80
_PREVIEW_JPEG = [cv2.IMWRITE_JPEG_QUALITY, _PREVIEW_QUALITY]


class StillSink(FileSink):
    """Writes one annotated picture as a JPEG: the one with the highest sum of confidences.

    Of equal ones the first is written.
    """

    result_file = ResultFile("picture", ".heatmap.jpg", "still picture", "image/jpeg")
    needs_picture = True

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._best: Picture | None = None
        self._score = 0.0

    def write(self, item: Item, picture: Picture | None) -> None:
        if isinstance(item, Frame):
            return
        if picture is None:
            raise ValueError("StillSink needs the annotated picture")
        score = still_score(item)
        if self._best is None or score > self._score:
            self._best, self._score = picture, score

    def finish(self) -> Path:
        if self._best is None:
            raise SinkError(f"{self._path}: no frame was explained, so there is no picture")
        return write_still(self._path, self._best)

    def abort(self) -> None:
        self._best = None


@dataclass(frozen=True, slots=True, eq=False)
class LatestResult:
    """A camera's newest explained frame."""

    number: int  # counts the pictures, from 1
    result: FrameResult
    picture: Picture | None  # the annotated picture, where another sink needed it
    since: float  # monotonic seconds when it came


@dataclass(frozen=True, slots=True)
class Preview:
    """A camera's newest annotated picture, encoded; the rest as in `LatestResult`."""

    number: int
    jpeg: bytes
    since: float


class PreviewSink:
    """Holds a camera's newest explained frame, and annotates and encodes it on demand.

    It is always there and no `Sink` of the registry: nothing is written, and it is read back. The
    camera's thread only stores a reference; encoding happens on the clients' threads. Nothing is
    queued: a slow client gets the newest picture, and pictures nobody asks for are not encoded.

    Args:
        draw: Annotates an explained frame, on any thread.

    Attributes:
        latest: The newest explained frame; None before the first.
    """

    def __init__(self, draw: Callable[[FrameResult], Picture], clock: Clock | None = None) -> None:
        self._draw = draw
        self._clock = clock or Clock()
        self.latest: LatestResult | None = None
        self._encoding = threading.Lock()
        self._encoded: Preview | None = None
        self.encodings = 0

    def write(self, item: Item, picture: Picture | None = None) -> None:
        """Take the newest item; frames that were not explained are ignored."""
        if isinstance(item, Frame):
            return
        number = 1 if self.latest is None else self.latest.number + 1
        self.latest = LatestResult(number, item, picture, self._clock.monotonic())

    def preview(self) -> Preview | None:
        """Return the newest picture, encoded once for all clients; None before the first."""
        with self._encoding:
            latest = self.latest
            if latest is None:
                return None
            if self._encoded is None or self._encoded.number != latest.number:
                self._encoded = self._encode(latest)
            return self._encoded

    def _encode(self, latest: LatestResult) -> Preview:
        picture = self._draw(latest.result) if latest.picture is None else latest.picture
        self.encodings += 1
        height, width = picture.shape[:2]
        scale = LONGEST_SIDE / max(height, width)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return Preview(latest.number, _jpeg(picture, _PREVIEW_JPEG), latest.since)


def still_score(result: FrameResult) -> float:
    """Return how well a frame suits as the still of its source: the sum of its confidences."""
    return sum(detection.confidence for detection in result.detections)


def write_still(path: Path, picture: Picture) -> Path:
    """Write a picture as a JPEG of high quality, and return its path; raises `SinkError`."""
    height, width = picture.shape[:2]
    if max(height, width) > _MAX_SIDE:
        raise SinkError(
            f"{path}: {width}x{height} pixels are more than a JPEG can hold",
            hint=f"Make the picture smaller than {_MAX_SIDE} pixels a side.",
        )
    return write_file(path, _jpeg(picture, _STILL_JPEG))


def reduced(path: Path, width: int) -> bytes | None:
    """Return a JPEG file's picture as one of at most `width` pixels; None where it is none.

    It is decoded at a half, a quarter or an eighth of its size where that is enough.
    """
    encoded = io.BytesIO()
    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            picture.thumbnail((width, _MAX_SIDE), reducing_gap=1.0)
            picture.save(encoded, "JPEG", quality=_PREVIEW_QUALITY)
    except OSError:
        return None
    return encoded.getvalue()


def _jpeg(picture: Picture, options: Sequence[int]) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, options)[1].tobytes()
