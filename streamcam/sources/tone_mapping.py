"""From HDR and wide-gamut frames to pictures in BT.709.

HDR pictures are tone-mapped as by FFmpeg's
`zscale=transfer=linear:npl=203,zscale=primaries=bt709,tonemap=mobius:desat=0,zscale=transfer=bt709`:
what an SDR camera would show keeps its colours, and only highlights are compressed. Detectors
know pictures like that.
"""

from itertools import count
from typing import TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange

from streamcam.sources.colour_encoding import BT709, BT2020, DISPLAY_P3, HLG, PQ, ColourEncoding
from streamcam.types import Picture

Colours: TypeAlias = npt.NDArray[np.float64]
"""RGB, [..., 3]: coded values 0..1, or linear light."""

# Linear RGB to linear RGB of BT.709; of BT.2020 by BT.2087, of Display P3 by SMPTE EG 432-1.
_TO_BT709 = {
    BT709: np.eye(3),
    BT2020: np.array(
        [
            [1.66049100, -0.58764114, -0.07284986],
            [-0.12455047, 1.13289990, -0.00834942],
            [-0.01815076, -0.10057890, 1.11872966],
        ]
    ),
    DISPLAY_P3: np.array(
        [
            [1.22494018, -0.22494018, 0.0],
            [-0.04205695, 1.04205695, 0.0],
            [-0.01963755, -0.07863605, 1.09827360],
        ]
    ),
}

_SDR_GAMMA = 2.4  # BT.1886
_WHITE = 203.0  # cd/m², a white page in HDR, by BT.2408
# BT.2100: what PQ can hold, and the display that HLG is meant for. A picture's own peak (HDR10's
# metadata) would change little: with one of 1000, white is 217 of 255 levels instead of 214.
_PQ_PEAK = 10_000.0
_HLG_PEAK = 1000.0
_HLG_GAMMA = 1.2
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])

# Up to this share of white the tone curve is a straight line.
_KNEE = 0.3

# A table of level n has n² colours a side. On random colours of PQ, the worst case, its largest
# error is a CIE76 distance of 2.4 with level 8, and 3.8 with level 6, which is no faster. Level 8
# takes 60 ms to make.
_CLUT_LEVEL = 8

# swscale expands limited range to this, not to 1, in formats of more than 8 bits.
_LIMITED_RANGE_WHITE = 255 / 256


class ToneMapper:
    """Converts frames of one size, format and encoding to pictures in BT.709.

    FFmpeg's `haldclut` interpolates between the colours of a table (tetrahedrally). It is fast for
    floats only and takes integers' planes in the wrong order; and its frames must come from
    another filter, because it crashes where their rows are not aligned.

    Args:
        like: A frame.
        encoding: Its encoding.
        size: Width and height of the pictures.
    """

    def __init__(self, like: VideoFrame, encoding: ColourEncoding, size: tuple[int, int]) -> None:
        self._encoding = encoding
        self._shape = _shape(like)
        self._ticks = count()
        self._graph = Graph()
        self._graph.threads = 1
        table = _colour_table(encoding)
        frames, tables = (self._add_source(frame) for frame in (self._labelled(like), table))
        width, height = size
        resized = self._graph.add(
            "scale", w=str(width), h=str(height), flags="bilinear+full_chroma_int", threads="1"
        )
        floats = self._graph.add("format", "gbrpf32le")
        self._graph.link_nodes(frames, resized, floats)
        mapped = self._graph.add("haldclut", "clut=first")
        floats.link_to(mapped, 0, 0)
        tables.link_to(mapped, 0, 1)
        mapped.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        self._graph.vpush(table, at=1)
        self._graph.vpush(None, at=1)

    def fits(self, frame: VideoFrame, encoding: ColourEncoding) -> bool:
        return (encoding, _shape(frame)) == (self._encoding, self._shape)

    def __call__(self, frame: VideoFrame) -> Picture:
        """Return a frame as a picture, RGB, uint8, [height, width, 3]; completes its labels."""
        frame = self._labelled(frame)
        frame.pts = next(self._ticks)
        self._graph.vpush(frame, at=0)
        green, blue, red = (_levels(plane) for plane in self._graph.vpull().planes)
        return cast("Picture", cv2.merge([red, green, blue]))

    def _labelled(self, frame: VideoFrame) -> VideoFrame:
        frame.colorspace = self._encoding.matrix
        frame.color_range = ColorRange.JPEG if self._encoding.full_range else ColorRange.MPEG
        return frame

    def _add_source(self, like: VideoFrame) -> FilterContext:
        return self._graph.add(
            "buffer",
            video_size=f"{like.width}x{like.height}",
            pix_fmt=like.format.name,
            time_base="1/1000",  # any will do, since the filters' times are not used
            colorspace=str(int(like.colorspace)),
            range=str(int(like.color_range)),
        )


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _levels(plane: VideoPlane) -> Picture:
    """Return a plane of floats, 0..1, as levels, 0..255; its rows may be padded."""
    values = np.frombuffer(cast("memoryview", plane), np.float32).reshape(plane.height, -1)
    return cast("Picture", cv2.convertScaleAbs(values[:, : plane.width], alpha=255))


def _colour_table(encoding: ColourEncoding) -> VideoFrame:
    """Return a square picture of all colours, red changing fastest, converted to BT.709."""
    white = 1.0 if encoding.full_range else _LIMITED_RANGE_WHITE
    levels = np.linspace(0, 1 / white, _CLUT_LEVEL**2)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")
    colours = to_bt709(np.stack([red, green, blue], axis=-1), encoding)
    side = _CLUT_LEVEL**3
    table = np.round(colours * 65535).astype(np.uint16).reshape(side, side, 3)
    frame = VideoFrame.from_ndarray(table, format="rgb48le")
    frame.pts = 0
    return frame


def to_bt709(colours: Colours, encoding: ColourEncoding) -> Colours:
    """Convert coded RGB to coded RGB of BT.709, both 0..1; colours out of its gamut are clipped."""
    coded = np.clip(colours, 0, 1)
    to_bt709_primaries = _TO_BT709[encoding.primaries].T
    if encoding.transfer == PQ:
        light = _tone_mapped(_pq_light(coded) @ to_bt709_primaries / _WHITE, _PQ_PEAK / _WHITE)
    elif encoding.transfer == HLG:
        light = _tone_mapped(_hlg_light(coded) @ to_bt709_primaries / _WHITE, _HLG_PEAK / _WHITE)
    else:
        light = coded**_SDR_GAMMA @ to_bt709_primaries
    return np.clip(light, 0, 1) ** (1 / _SDR_GAMMA)


def _pq_light(coded: Colours) -> Colours:
    """Return light in cd/m² (BT.2100, table 4: EOTF of PQ)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = coded ** (1 / m2)
    light: Colours = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return _PQ_PEAK * light


def _hlg_light(coded: Colours) -> Colours:
    """Return light in cd/m² (BT.2100, table 5: inverse OETF and OOTF of HLG)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    light: Colours = scene * (scene @ _BT2020_LUMA)[..., None] ** (_HLG_GAMMA - 1)
    return _HLG_PEAK * light


def _tone_mapped(light: Colours, peak: float) -> Colours:
    """Scale each colour so that its brightest part, up to `peak` times white, is at most white.

    The curve is a Möbius transform beyond the knee, with the slope 1 there, as in FFmpeg's filter
    `tonemap` (libavfilter/vf_tonemap.c) and mpv.
    """
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / (peak - 1)
    scale = (b**2 + 2 * b * _KNEE + _KNEE**2) / (b - a)
    mapped = np.where(brightest <= _KNEE, brightest, scale * (brightest + a) / (brightest + b))
    compressed: Colours = light * (mapped / brightest)
    return compressed
