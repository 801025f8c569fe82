"""Pictures in files, and the animations that FFmpeg cannot play."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from math import inf
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image, ImageOps

from streamcam.clock import Clock
from streamcam.errors import CorruptMediaError, NotMediaError, SourceError
from streamcam.files import readable
from streamcam.media_errors import opening
from streamcam.sources.base import Selector
from streamcam.sources.display import over_neutral
from streamcam.types import Frame, Picture, SourceInfo

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


def is_picture(path: Path) -> bool:
    """Tell whether a file holds a picture, or an animation, that `ImageSource` reads."""
    try:
        if not path.is_file() or path.suffix.lower() in _JOINED:
            return False
        with _quiet(), _image(path) as image:
            return not (image.format in _PLAYED_BY_FFMPEG and _pages(image) > 1)
    except (OSError, *_DAMAGE):
        return False


class ImageSource:
    """A picture as it is meant to be seen, or an animated WebP.

    EXIF orientation is applied, transparency laid over neutral grey, any depth brought to 8 bits.

    Args:
        path: The file.

    Raises:
        NotMediaError: It is no picture, or a damaged one.
        SourceUnavailableError: It is not there or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self._name = readable(path)
        self._interrupted = Event()
        self._clock = Clock()
        self._decoded = 0
        with ExitStack() as opened:
            with opening(self._name), _damage_named(self._name, NotMediaError), _quiet():
                self._image = opened.enter_context(_image(path))
                self._count = _count(self._image)
                self._first = _displayed(self._image)
            self._opened = opened.pop_all()
        height, width = self._first.shape[:2]
        self._info = SourceInfo(
            id=self._name,
            width=width,
            height=height,
            time_base=_TIME_BASE,
            frame_count=self._count,
            still=self._count == 1,
            path=path,
        )

    @property
    def info(self) -> SourceInfo:
        """What is known of the picture."""
        return self._info

    @property
    def decoded(self) -> int:
        """How many frames have been decoded so far."""
        return self._decoded

    @property
    def corrupt(self) -> int:
        """Always 0: a damaged picture is not opened, a damaged animation ends."""
        return 0

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the picture, or the wanted frames of the animation; see `Source.frames`.

        Raises:
            CorruptMediaError: A frame of the animation is damaged.
        """
        fresh = True
        for index, pts, picture in self._pictures():
            if self._interrupted.is_set() or selector.next_due == inf:
                return
            time = float(pts * _TIME_BASE)
            if time < selector.start:
                continue
            sampled = selector.wants(index, time)
            if sampled or every:
                yield Frame(
                    source=self._name,
                    index=index,
                    pts=pts,
                    time_base=_TIME_BASE,
                    time=time,
                    picture=picture,
                    sampled=sampled,
                    discontinuity=fresh,
                    arrival=self._clock.monotonic(),
                )
                fresh = False

    def interrupt(self) -> None:
        """Make `frames` end before its next frame, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._opened.close()

    def _pictures(self) -> Iterator[tuple[int, int, Picture]]:
        """Yield index, presentation time in milliseconds, and picture."""
        self._decoded = 1
        yield 0, 0, self._first
        pts = 0
        for index in range(1, self._count):
            pts += max(1, int(self._image.info.get("duration", 0)))
            with _damage_named(self._name, CorruptMediaError), _quiet():
                self._image.seek(index)
                picture = _displayed(self._image)
            self._decoded += 1
            yield index, pts, picture


def _image(path: Path) -> Image.Image:
    return Image.open(path, formats=_FORMATS)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow from warning: large pictures are welcome, odd tags do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _pages(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def _count(image: Image.Image) -> int:
    return _pages(image) if image.format in _ANIMATED else 1


@contextmanager
def _damage_named(name: str, kind: type[SourceError]) -> Iterator[None]:
    """Tell a damaged picture from a file that cannot be read."""
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
        return over_neutral(np.array(shown.convert("RGBA")))
    return np.array(shown.convert("RGB"))


def _from_levels(levels: np.ndarray) -> Picture:
    grey = np.clip(np.nan_to_num(levels) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
