"""A single annotated picture."""

from pathlib import Path
from typing import ClassVar

import cv2

from streamcam.errors import SinkError
from streamcam.records import Frame, Item, Picture
from streamcam.sinks.atomic import write_file

JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    # Full colour resolution: halved, it smears the edges of boxes and of the heat.
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


class StillSink:
    """Writes the annotated picture of a single-picture source as a JPEG.

    Args:
        path: Where it goes.
    """

    kind: ClassVar[str] = "picture"
    needs_picture: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: bytes | None = None

    def write(self, item: Item, picture: Picture | None) -> None:
        """Take the annotated picture; frames that only passed are ignored.

        Raises:
            SinkError: There was a picture before, or this one cannot be coded.
        """
        if isinstance(item, Frame):
            return
        if picture is None:
            raise ValueError("StillSink needs the annotated picture")
        if self._content is not None:
            raise SinkError(f"cannot write a second picture to {self._path}")
        self._content = _jpeg(self._path, picture)

    def finish(self) -> Path:
        """Write and publish the picture, and return its path.

        Raises:
            SinkError: There is no picture, or it cannot be written.
        """
        if self._content is None:
            raise SinkError(f"no picture was explained, so {self._path} was not written")
        return write_file(self._path, self._content).absolute()

    def abort(self) -> None:
        """Leave no trace."""
        self._content = None


def _jpeg(path: Path, picture: Picture) -> bytes:
    try:
        coded, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), JPEG)
    except cv2.error as error:
        raise SinkError(f"cannot code {path} as JPEG: {error}") from error
    if not coded:
        raise SinkError(f"cannot code {path} as JPEG")
    return content.tobytes()
