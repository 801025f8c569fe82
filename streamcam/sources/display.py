"""From decoded frames to displayed pictures: deinterlacing, rotation, pixel aspect, colours."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from struct import unpack_from
from typing import TypeAlias, cast

import cv2
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from streamcam.sources.colour_encoding import ColourEncoding, side_data
from streamcam.sources.tone_mapping import ToneMapper
from streamcam.types import Picture

NEUTRAL = 128
"""The grey that shows through transparent pixels."""

# Measured on a 1080p frame: 8-bit 4:2:0 and 4:2:2 keep swscale's fast path (0.6 ms, within 1.7
# levels of the exact colour), everything else becomes exact (0.5 levels). Exact rounding for all
# would take 19 ms. More threads make it slower.
_FLAGS = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT
_THREADS = 1

# AVColorSpace of a frame (ITU-T H.273) to what the reformatter calls it.
_COLOURSPACES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}

# Whether to transpose, then to mirror, then to flip; by the angle counterclockwise.
_UPRIGHT = (False, False, False)
_TURNS = {
    90: (True, False, True),
    180: (False, True, True),
    -180: (False, True, True),
    -90: (True, True, False),
}
_MAX_PIXEL_ASPECT = 8

_TICK = Fraction(1, 1000)  # any will do, since the filter's own times are not used
# One picture for each frame; frames that are not flagged as interlaced pass as they are.
_DEINTERLACE = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")

TimedFrame: TypeAlias = tuple[int, int, VideoFrame]
"""Index, presentation time in ticks, and the frame, whose own time a filter may change."""


class Display:
    """Converts the frames of one stream to pictures as displayed.

    Frames of another size, after a change in mid-stream, are resized to that of the first.
    `aspect` is the width of a pixel over its height, None or 0 where unknown.
    """

    def __init__(self, first: VideoFrame, aspect: Fraction | None) -> None:
        self._columns = max(1, round(first.width * _plausible(aspect)))
        self._rows = first.height
        self._transposed, self._mirrored, self._flipped = _orientation(first)
        self._reformatter = VideoReformatter()
        self._tone_mapper: ToneMapper | None = None
        self._profile = side_data(first, Type.ICC_PROFILE)
        sides = (self._columns, self._rows)
        self.width, self.height = sides[::-1] if self._transposed else sides

    def picture(self, frame: VideoFrame) -> Picture:
        """Return the frame as displayed: RGB, uint8, [height, width, 3]."""
        colours = self._tone_mapped(frame)
        if any(component.is_alpha for component in frame.format.components):
            pixels = self._pixels(frame, "rgba")
            if colours is not None:
                pixels[..., :3] = colours
            picture = over_neutral(pixels)
        else:
            picture = self._pixels(frame, "rgb24") if colours is None else colours
        if self._profile and colours is None:
            # Here, since readers of cameras start 10 ms sooner without Pillow.
            from streamcam.sources.colour_profile import picture_in_srgb

            picture = picture_in_srgb(picture, self._profile)
        if self._transposed:
            picture = cast("Picture", cv2.transpose(picture))
        if self._mirrored or self._flipped:
            both = self._mirrored and self._flipped
            picture = cast("Picture", cv2.flip(picture, -1 if both else int(self._mirrored)))
        return picture

    def _tone_mapped(self, frame: VideoFrame) -> Picture | None:
        """Return the colours of an HDR or wide-gamut frame, None for other frames."""
        encoding = ColourEncoding.of(frame)
        if encoding.is_bt709:
            return None
        if self._tone_mapper is None or not self._tone_mapper.fits(frame, encoding):
            self._tone_mapper = ToneMapper(frame, encoding, (self._columns, self._rows))
        return self._tone_mapper(frame)

    def _pixels(self, frame: VideoFrame, layout: str) -> Picture:
        encoding = ColourEncoding.of(frame)
        reformatted = self._reformatter.reformat(
            frame,
            width=self._columns,
            height=self._rows,
            format=layout,
            src_colorspace=_COLOURSPACES.get(encoding.matrix),
            src_color_range=ColorRange.JPEG if encoding.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_FLAGS,
            threads=_THREADS,
        )
        # Rows of a frame may be padded.
        return cast("Picture", np.ascontiguousarray(reformatted.to_ndarray()))


def over_neutral(pixels: Picture) -> Picture:
    """Blend RGBA pixels, [height, width, 4], over a neutral grey."""
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + NEUTRAL * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Return whether to transpose, then to mirror (left-right), then to flip (top-bottom).

    A display matrix, row by row (a, b, u, c, d, v, ...), takes a pixel (x, y) of the frame to
    (a x + c y, b x + d y) of the picture; only quarter turns and mirrorings are told apart.
    """
    matrix = side_data(frame, Type.DISPLAYMATRIX)
    if matrix is None:
        # Some matrices cannot be read, but PyAV still knows the angle.
        return _TURNS.get(frame.rotation, _UPRIGHT)
    a, b, _, c, d = unpack_from("=5i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def _plausible(aspect: Fraction | None) -> Fraction:
    if not aspect or not Fraction(1, _MAX_PIXEL_ASPECT) <= aspect <= _MAX_PIXEL_ASPECT:
        return Fraction(1)
    return aspect


def deinterlaced(frames: Iterable[TimedFrame]) -> Generator[TimedFrame, None, None]:
    """Yield the same frames with the same indices and times, as progressive pictures.

    Nothing is filtered before the first interlaced frame; from there on everything is, since the
    filter looks at the frames before and after.
    """
    filtering: _Deinterlacer | None = None
    for index, pts, frame in frames:
        if filtering is not None and not filtering.fits(frame):
            yield from filtering.finish()
            filtering = None
        if filtering is None and frame.interlaced_frame:
            filtering = _Deinterlacer(frame)
        if filtering is None:
            yield index, pts, frame
        else:
            yield from filtering.push(index, pts, frame)
    if filtering is not None:
        yield from filtering.finish()


class _Deinterlacer:
    """A filter graph for frames of one size and format."""

    def __init__(self, like: VideoFrame) -> None:
        self._shape = (like.width, like.height, like.format.name)
        self._pending: deque[tuple[int, int]] = deque()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=_TICK
        )
        source.link_to(filtered := self._graph.add(*_DEINTERLACE))
        filtered.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def fits(self, frame: VideoFrame) -> bool:
        return self._shape == (frame.width, frame.height, frame.format.name)

    def push(self, index: int, pts: int, frame: VideoFrame) -> Iterator[TimedFrame]:
        self._pending.append((index, pts))
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[TimedFrame]:
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[TimedFrame]:
        while self._pending:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield *self._pending.popleft(), frame
