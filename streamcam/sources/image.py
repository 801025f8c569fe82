"""Pictures in files, and the animations that FFmpeg cannot play."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from streamcam.errors import CorruptMediaError, NotMediaError, SourceError
from streamcam.files import readable
from streamcam.media_errors import opening
from streamcam.sources.base import DecodedFrame, FiniteSource, Selector
from streamcam.sources.colour_profile import in_srgb
from streamcam.sources.display import over_neutral
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.storage.object_reader import RemoteObject
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
)
# Pillow's own limit, which is not one that can be set for a file; `Limits` take its place.
Image.MAX_IMAGE_PIXELS = None

_LEVELS_16_BIT = 257  # 65535 / 255
_BYTES_PER_PIXEL = 4
_UPRIGHT = 1  # of EXIF's orientations
_PIXELS_AT_ONCE = 2**20

# libjpeg decodes at these fractions of the size, and needs memory for the smaller picture only.
_JPEG_DIVISORS = (1, 2, 4, 8)


def is_image(path: Path) -> bool:
    """Return whether a file holds a picture or animation that `ImageSource` reads."""
    try:
        return path.is_file() and path.suffix.lower() not in _JOINED and _is_read_here(path)
    except OSError:
        return False


def is_remote_image(content: RemoteObject) -> bool:
    """Return the same of an object in storage; raises `SourceUnavailableError`."""
    return not content.url.lower().endswith(_JOINED) and _is_read_here(content.reader())


def _is_read_here(medium: Path | BinaryIO) -> bool:
    try:
        with _no_warnings(), _image(medium) as image:
            played = image.format in _PLAYED_BY_FFMPEG and getattr(image, "is_animated", False)
            return not played
    except (OSError, *_DAMAGE):
        return False


class ImageSource(FiniteSource):
    """An image as displayed, or an animated WebP.

    EXIF orientation and ICC profiles are applied, transparency is blended over neutral grey, any
    depth is converted to 8 bits.

    Raises:
        NotMediaError: It is no picture, or a damaged one.
        SourceError: It is larger than the limits allow.
        SourceUnavailableError: It is not there or may not be read.
    """

    def __init__(self, medium: Path | str | RemoteObject, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        content: Path | BinaryIO
        if isinstance(medium, RemoteObject):
            self._name, content = medium.name, _whole(medium, limits)
        else:
            self._name, content = readable(medium), Path(medium)
        with ExitStack() as opened:
            with opening(self._name), _damage_as(NotMediaError, self._name), _no_warnings():
                image = opened.enter_context(_image(content))
                _fit(image, limits, self._name)
                self._count = _pages(image) if image.format in _ANIMATED else 1
                limits.check_pages(self._count, self._name)
                self._first: Picture | None = _displayed(image)
                height, width = self._first.shape[:2]
            self._animation = image if self._count > 1 else None
            if self._animation is None:
                # Pillow's copy of a picture takes four bytes a pixel.
                opened.close()
            self._opened = opened.pop_all()
        self.info = SourceInfo(
            id=self._name,
            width=width,
            height=height,
            time_base=_TIME_BASE,
            frame_count=self._count,
            still=self._count == 1,
            path=content if isinstance(content, Path) else None,
        )

    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:  # noqa: ARG002
        pts = 0
        for index in range(self._count):
            if self._animation is not None and index:
                # Of the frame before, in milliseconds.
                pts += max(1, int(self._animation.info.get("duration", 0)))
            picture = partial(np.asarray, self._picture(index))
            yield DecodedFrame(index, pts, _TIME_BASE, float(pts * _TIME_BASE), picture)

    def close(self) -> None:
        self._opened.close()

    def _picture(self, index: int) -> Picture:
        if self._first is not None:
            # The source keeps no picture that it has given.
            first, self._first = self._first, None
            return first
        assert self._animation is not None
        with _damage_as(CorruptMediaError, self._name), _no_warnings():
            self._animation.seek(index)
            return _displayed(self._animation)


def _image(medium: Path | BinaryIO) -> Image.Image:
    return Image.open(medium, formats=_FORMATS)


def _whole(content: RemoteObject, limits: Limits) -> BinaryIO:
    """Fetch a picture, as long as it is not larger than the largest would be uncompressed."""
    allowed = _BYTES_PER_PIXEL * limits.picture_pixels
    if content.size > allowed:
        raise SourceError(
            f"{content.name}: {content.size} bytes are more than a picture of limits.picture_pixels"
            " needs",
            hint="Raise the limit in the configuration to explain it.",
        )
    return io.BytesIO(content.read())


def _fit(image: Image.Image, limits: Limits, name: str) -> None:
    """Have a picture that is not loaded yet decoded within the limits.

    A JPEG that is larger is decoded at a half, a quarter or an eighth of its size, unless it is
    progressive: libjpeg holds all of such a picture.

    Raises:
        SourceError: It is larger and cannot be decoded smaller.
    """
    width, height = image.size
    if isinstance(image, JpegImageFile) and not image.info.get("progressive"):
        for divisor in _JPEG_DIVISORS:
            if limits.allow_picture(math.ceil(width / divisor), math.ceil(height / divisor)):
                # The size of the draft is rounded up.
                image.draft(None, (max(1, width // divisor), max(1, height // divisor)))
                break
    if not limits.allow_picture(*image.size):
        raise limits.picture_error(width, height, name)


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
    """Return a picture as displayed, converted in parts: whole copies take four bytes a pixel."""
    image.load()
    turned = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT) != _UPRIGHT
    shown = ImageOps.exif_transpose(image) if turned else image
    # Levels of 0..1 are those of HDR pictures.
    factor = 255 if shown.mode == "F" and np.nanmax(shown.getextrema()) <= 1 else 1
    picture = np.empty((shown.height, shown.width, 3), np.uint8)
    rows = max(1, _PIXELS_AT_ONCE // shown.width)
    for top in range(0, shown.height, rows):
        part = shown.crop((0, top, shown.width, min(top + rows, shown.height)))
        picture[top : top + rows] = _rgb(part, factor)
    return picture


def _rgb(image: Image.Image, factor: int) -> Picture:
    """Return RGB levels; `factor` is for those of mode "F"."""
    if image.mode.startswith("I"):
        return _from_levels(np.asarray(image).astype(np.float32) / _LEVELS_16_BIT)
    if image.mode == "F":
        return _from_levels(np.asarray(image) * factor)
    if image.has_transparency_data:
        return over_neutral(np.asarray(in_srgb(image.convert("RGBA"))))
    return np.asarray(in_srgb(image).convert("RGB"))


def _from_levels(levels: np.ndarray) -> Picture:
    grey = np.clip(np.nan_to_num(levels) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
