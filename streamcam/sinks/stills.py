"""One annotated picture."""

from pathlib import Path

import cv2

from streamcam.errors import SinkError
from streamcam.files import write_file
from streamcam.sinks.base import FileSink
from streamcam.sinks.result_paths import ResultFile
from streamcam.types import Frame, Item, Picture

JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    # Full colour resolution: halved, it smears the edges of boxes and of the heat.
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]

_MAX_SIDE = 65_500
"""Pixels of the longest side of a JPEG, a limit of libjpeg."""


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
        """Consider an annotated picture; frames that were not explained are ignored."""
        if isinstance(item, Frame):
            return
        if picture is None:
            raise ValueError("StillSink needs the annotated picture")
        score = sum(detection.confidence for detection in item.detections)
        if self._best is None or score > self._score:
            self._best, self._score = picture, score

    def finish(self) -> Path:
        if self._best is None:
            raise SinkError(f"{self._path}: no frame was explained, so there is no picture")
        return write_file(self._path, _jpeg(self._path, self._best))

    def abort(self) -> None:
        self._best = None


def _jpeg(path: Path, picture: Picture) -> bytes:
    height, width = picture.shape[:2]
    if max(height, width) > _MAX_SIDE:
        raise SinkError(
            f"{path}: {width}x{height} pixels are more than a JPEG can hold",
            hint=f"Make the picture smaller than {_MAX_SIDE} pixels a side.",
        )
    _, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), JPEG)
    return content.tobytes()
