"""Pictures in files, and the animations that FFmpeg cannot play."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from streamcam.errors import CorruptMediaError, NotMediaError, SourceError
from streamcam.files import readable
from streamcam.media_errors import opening
from streamcam.sources.base import DecodedFrame, FiniteSource, Selector
from streamcam.sources.colour_profile import in_srgb
from streamcam.sources.display import over_neutral
from streamcam.types import Picture, SourceInfo

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
# FFmpeg plays these itself; several pages of a TIFF are no animation.
_PLAYED_BY_FFMPEG = ("PNG", "GIF")
_ANIMATED = ("WEBP",)
# Joined JPEGs look like their first one.
_JOINED = (".mjpeg", ".mjpg")

_TIME_BASE = Fraction(1, 1000)
_DAMAGE = (
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_LEVELS_16_BIT = 257  # 65535 / 255


def is_image(path: Path) -> bool:
    """Return whether a file holds a picture or animation that `ImageSource` reads."""
    try:
        if not path.is_file() or path.suffix.lower() in _JOINED:
            return False
        with _no_warnings(), _image(path) as image:
            return not (image.format in _PLAYED_BY_FFMPEG and _pages(image) > 1)
    except (OSError, *_DAMAGE):
        return False


class ImageSource(FiniteSource):
    """An image as displayed, or an animated WebP.

    EXIF orientation and ICC profiles are applied, transparency is blended over neutral grey, any
    depth is converted to 8 bits.

    Raises:
        NotMediaError: It is no picture, or a damaged one.
        SourceUnavailableError: It is not there or may not be read.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        path = Path(path)
        self._name = readable(path)
        with ExitStack() as opened:
            with opening(self._name), _damage_as(NotMediaError, self._name), _no_warnings():
                self._image = opened.enter_context(_image(path))
                animated = self._image.format in _ANIMATED
                self._count = _pages(self._image) if animated else 1
                self._first = _displayed(self._image)
            self._opened = opened.pop_all()
        height, width = self._first.shape[:2]
        self.info = SourceInfo(
            id=self._name,
            width=width,
            height=height,
            time_base=_TIME_BASE,
            frame_count=self._count,
            still=self._count == 1,
            path=path,
        )

    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:  # noqa: ARG002
        pts = 0
        for index in range(self._count):
            if index:  # milliseconds after the frame before
                pts += max(
                    1, int(self._image.info.get("duration", 0))
                )  # of the frame before, in ms
            picture = partial(np.asarray, self._picture(index))
            yield DecodedFrame(index, pts, _TIME_BASE, float(pts * _TIME_BASE), picture)

    def close(self) -> None:
        self._opened.close()

    def _picture(self, index: int) -> Picture:
        if index == 0:
            return self._first
        with _damage_as(CorruptMediaError, self._name), _no_warnings():
            self._image.seek(index)
            return _displayed(self._image)


def _image(path: Path) -> Image.Image:
    return Image.open(path, formats=_FORMATS)


def _no_warnings() -> warnings.catch_warnings:
    """Silence Pillow's warnings of large pictures and unknown tags."""
    return warnings.catch_warnings(action="ignore")


def _pages(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


@contextmanager
def _damage_as(kind: type[SourceError], name: str) -> Iterator[None]:
    """Raise `kind` for a damaged picture; other errors of reading pass."""
    try:
        yield
    except (OSError, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise kind(
            f"{name}: the picture is damaged: {reason}", hint="Was it copied completely?"
        ) from error


def _displayed(image: Image.Image) -> Picture:
    shown = ImageOps.exif_transpose(image)
    if shown.mode.startswith("I"):
        return _from_levels(np.asarray(shown).astype(np.float32) / _LEVELS_16_BIT)
    if shown.mode == "F":
        levels = np.asarray(shown)
        return _from_levels(levels * 255 if levels.max(initial=0) <= 1 else levels)
    if shown.has_transparency_data:
        return over_neutral(np.array(in_srgb(shown.convert("RGBA"))))
    return np.array(in_srgb(shown).convert("RGB"))


def _from_levels(levels: np.ndarray) -> Picture:
    grey = np.clip(np.nan_to_num(levels) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
