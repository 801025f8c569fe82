"""What a file may ask for: half a megabyte may name a picture that takes gigabytes of memory."""

from dataclasses import dataclass

from streamcam.errors import SourceError

_MEGAPIXEL = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a file's demands; the settings `[limits]` tell what each is for.

    The defaults are those of the settings.

    Attributes:
        picture_pixels: Of a picture, or of one of an animation.
        frame_pixels: Of a video's frame, as it is coded and as it is displayed.
        pages: Pictures in an animated WebP.
        frame_timeout: Seconds of reading and decoding without a frame.
    """

    picture_pixels: int = 64 * _MEGAPIXEL
    frame_pixels: int = 36 * _MEGAPIXEL
    pages: int = 10_000
    frame_timeout: float = 60.0

    def allow_picture(self, width: int, height: int) -> bool:
        return width * height <= self.picture_pixels

    def picture_error(self, width: int, height: int, name: str) -> SourceError:
        """Return the error of a picture that is larger than `picture_pixels`."""
        return _too_large(name, (width, height), "picture_pixels", self.picture_pixels)

    def check_pages(self, count: int, name: str) -> None:
        """Raise `SourceError` for an animation of more pictures than `pages`."""
        if count > self.pages:
            raise SourceError(
                f"{name}: has {count} pictures, more than limits.pages allows ({self.pages})",
                hint="Raise the limit in the configuration to explain it.",
            )

    def check_frame(self, width: int, height: int, name: str) -> None:
        """Raise `SourceError` for a video whose frames are larger than `frame_pixels`."""
        if width * height > self.frame_pixels:
            raise _too_large(name, (width, height), "frame_pixels", self.frame_pixels)

    def no_frame_in_time(self, name: str) -> SourceError:
        """Return the error of a file that was read for `frame_timeout` without a frame."""
        return SourceError(
            f"{name}: no frame could be decoded for {self.frame_timeout:g} s "
            "(limits.frame_timeout)",
            hint="It may be damaged. What was read before is kept.",
        )


DEFAULT_LIMITS = Limits()


def _too_large(name: str, size: tuple[int, int], limit: str, allowed: int) -> SourceError:
    width, height = size
    return SourceError(
        f"{name}: {width}x{height} pixels are {width * height / _MEGAPIXEL:.0f} MP, more than "
        f"limits.{limit} allows ({allowed / _MEGAPIXEL:g} MP)",
        hint="Make it smaller, or raise the limit in the configuration.",
    )
