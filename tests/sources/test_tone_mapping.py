"""HDR and wide-gamut video looks as FFmpeg's own tone mapping shows it."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamcam.errors import NotMediaError
from streamcam.sources.colour_encoding import (
    BT709,
    BT2020,
    DISPLAY_P3,
    HLG,
    PQ,
    SDR,
    UNSPECIFIED,
    ColourEncoding,
)
from streamcam.sources.display import Display
from streamcam.sources.file import FileSource
from streamcam.sources.live.capture_connection import Address
from streamcam.sources.live.ffmpeg_capture import FFmpegCapture
from streamcam.sources.tone_mapping import to_bt709
from streamcam.types import Picture
from tests.sources.selectors import Everything
from tests.sources.test_display import encoded

GREYS = [(grey,) * 3 for grey in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1)]
PATCHES = [
    *((0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6), (0.6, 0.6, 0.2), (0.2, 0.6, 0.6)),
    *((0.6, 0.2, 0.6), (0.7, 0.55, 0.5), (0.45, 0.5, 0.3), (0.4, 0.5, 0.65), (0.8, 0.4, 0.3)),
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0.9, 0.8, 0.2)),
]
COLOURS = np.array(GREYS + PATCHES)
"""Coded RGB, 0..1."""

REFERENCES = {
    (HLG, BT2020): """
        000000 1d1d1d 393939 565656 727272 8f8f8f afafaf cccccc d9d9d9 e4e4e4 f5f5f5 ffffff bc0038
        00b11d 28399e b1ae00 00b2ab bc00a3 d5857f 7d9055 578cba eb383e ff0000 00ff00 0000f8 fff900
        f8ac00""",
    (PQ, BT2020): """
        000000 121212 282828 494949 777777 b3b3b3 dcdcdc f0f0f0 f6f6f6 f9f9f9 fdfdfd ffffff e80000
        00df00 000fdf ddd900 00dfd6 e700c6 f55e57 7ab61c 007eea fc0000 ff0000 00ff00 0000ff fff900
        fe8a00""",
    (SDR, BT2020): """
        000000 1a1a1a 333333 4d4d4d 666666 7f7f7f 999999 b2b2b2 bfbfbf cccccc e5e5e5 ffffff bb002e
        00a100 1131a0 9d9a00 00a09a b8009f c7877d 6d8143 4882aa f44a43 ff0000 00ff00 0000ff ffff00
        f9c900""",
    (SDR, DISPLAY_P3): """
        000000 1a1a1a 333333 4d4d4d 666666 7f7f7f 999999 b2b2b2 bfbfbf cccccc e5e5e5 ffffff a6252d
        009c00 33339e 999900 009b9a a6259d ba8a7d 708045 5f80a9 db5e43 ff0000 00ff00 0000ff ffff00
        eacb00""",
}
"""What FFmpeg 5.1 with zimg 3.0.4 makes of `COLOURS` in 10 bits, limited range:
zscale=transfer=linear:npl=203:agamma=0,format=gbrpf32le,zscale=primaries=bt709,
tonemap=mobius:desat=0:peak=PEAK,zscale=transfer=bt709:matrix=gbr:range=full,format=gbrp
with 10000 / 203 as PEAK of PQ and 1000 / 203 of HLG; SDR without tonemap."""

MATRICES = {BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}
SIDE = 16
NAL_START = b"\0\0\1"


def distance(picture: Picture, reference: Picture) -> np.ndarray:
    """Return the CIE76 colour distance (CIE 15, in L*a*b*) of two pictures of BT.709 RGB."""
    return np.linalg.norm(lab(picture) - lab(reference), axis=-1)


def lab(picture: Picture) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.moveaxis((picture / 255) ** 2.4 @ (to_xyz / to_xyz.sum(1)[:, None]).T, -1, 0)
    x, y, z = (np.where(v > 0.008856, np.cbrt(v), 7.787 * v + 16 / 116) for v in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def in_yuv(
    colours: np.ndarray, *, matrix: int = BT2020, bits: int = 10, full: bool = False
) -> av.VideoFrame:
    """Return coded RGB, [rows, columns, 3], as a frame of patches in YUV 4:2:0."""
    kr, kb = MATRICES[matrix]
    luma = colours @ np.array([kr, 1 - kr - kb, kb])
    blue, red = (colours[..., 2] - luma) / (2 - 2 * kb), (colours[..., 0] - luma) / (2 - 2 * kr)
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    white, black, span = (top, 0, top) if full else (219 * unit, 16 * unit, 224 * unit)
    planes = (luma * white + black, blue * span + 128 * unit, red * span + 128 * unit)
    rows, columns = colours.shape[:2]
    layout = f"yuv420p{bits}le" if bits > 8 else "yuv420p"
    frame = av.VideoFrame(columns * SIDE, rows * SIDE, layout)
    for plane, levels, side in zip(frame.planes, planes, (SIDE, SIDE // 2, SIDE // 2), strict=True):
        kind = np.uint16 if bits > 8 else np.uint8
        data = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
        data[:, : plane.width] = np.round(levels).clip(0, top).repeat(side, 0).repeat(side, 1)
        plane.update(data.tobytes())
    return frame


def tagged(
    frame: av.VideoFrame, transfer: int, primaries: int, matrix: int = BT2020
) -> av.VideoFrame:
    frame.color_trc, frame.color_primaries, frame.colorspace = transfer, primaries, matrix
    frame.color_range = 1
    return frame


def clip(path: Path, transfer: int, primaries: int, *, matrix: int = BT2020) -> Path:
    """Write the colours as a video, losslessly."""
    frame = in_yuv(COLOURS[None], matrix=matrix)
    tags = {"color_trc": transfer, "color_primaries": primaries, "colorspace": matrix}
    return encoded(path, frame, color_range=1, **tags)


def patches(picture: Picture) -> Picture:
    """Return the middle of each patch."""
    return picture[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]


def first_patches(path: Path) -> Picture:
    source = FileSource(path)
    picture = next(source.frames(Everything())).picture
    source.close()
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    return patches(picture)[0]


def reference(transfer: int, primaries: int) -> Picture:
    codes = REFERENCES[transfer, primaries].split()
    return np.array([list(bytes.fromhex(code)) for code in codes], np.uint8)


@pytest.mark.parametrize(("transfer", "primaries"), REFERENCES)
def test_videos_look_as_ffmpeg_tone_maps_them(
    tmp_path: Path, transfer: int, primaries: int
) -> None:
    matrix = BT709 if primaries == DISPLAY_P3 else BT2020
    shown = first_patches(clip(tmp_path / "clip.mp4", transfer, primaries, matrix=matrix))
    expected = reference(transfer, primaries)
    assert distance(shown, expected).max() <= 3
    assert np.abs(shown.astype(int) - expected)[: len(GREYS)].max() <= 2


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_greys_grow_from_black_to_white(transfer: int) -> None:
    ramp = np.linspace(0, 1, 200)[None, :, None].repeat(3, axis=2)
    frame = tagged(in_yuv(ramp), transfer, BT2020)
    levels = patches(Display(frame, None).picture(frame))[0].astype(int)
    assert levels[0].tolist() == [0, 0, 0]
    assert levels[-1].tolist() == [255, 255, 255]
    assert np.ptp(levels, axis=1).max() <= 1
    assert all(after >= before for before, after in pairwise(levels[:, 1]))


@pytest.mark.parametrize(("transfer", "primaries"), [*REFERENCES, (PQ, DISPLAY_P3), (PQ, BT709)])
def test_any_colour_is_as_the_formulas_say(transfer: int, primaries: int) -> None:
    colours = np.random.default_rng(1).random((16, 32, 3))
    frame = tagged(in_yuv(colours, bits=12), transfer, primaries)
    shown = patches(Display(frame, None).picture(frame))
    expected = to_bt709(colours, ColourEncoding(transfer, primaries)) * 255
    assert distance(shown, expected).max() <= 3


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_depths_and_ranges(bits: int, full: bool) -> None:
    frame = tagged(in_yuv(COLOURS[None], bits=bits, full=full), HLG, BT2020)
    frame.color_range = 2 if full else 1
    shown = patches(Display(frame, None).picture(frame))[0]
    assert distance(shown, reference(HLG, BT2020)).max() <= (6 if bits == 8 else 3)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_without_further_labels_is_bt2020(transfer: int) -> None:
    frame = tagged(in_yuv(COLOURS[None]), transfer, UNSPECIFIED, UNSPECIFIED)
    shown = patches(Display(frame, None).picture(frame))[0]
    assert distance(shown, reference(transfer, BT2020)).max() <= 3


def test_transparent_hdr_shows_neutral_grey() -> None:
    frame = tagged(in_yuv(COLOURS[None]), HLG, BT2020).reformat(format="yuva420p10le")
    opaque, clear = np.uint16(1023), np.uint16(0)
    alpha = frame.planes[3]
    levels = np.full((alpha.height, alpha.line_size // 2), opaque)
    levels[:, : SIDE * 20] = clear
    alpha.update(levels.tobytes())
    shown = patches(Display(frame, None).picture(frame))[0]
    assert (shown[:20] == 128).all()
    assert distance(shown[20:], reference(HLG, BT2020)[20:]).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (35, 2), (500, 6), (427, 5)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    width, height = size
    white = np.ones((2, 3, 3))
    frame = in_yuv(white).reformat(width=width, height=height, format="yuv444p10le")
    picture = Display(tagged(frame, HLG, BT2020), None).picture(frame)
    assert picture.shape == (height, width, 3)
    assert picture.min() >= 254


@pytest.mark.parametrize("transfer", [UNSPECIFIED, BT709, 6, 13, 14, 15])
@pytest.mark.parametrize("primaries", [UNSPECIFIED, BT709, 5, 6])
def test_ordinary_video_stays_as_it_is(transfer: int, primaries: int) -> None:
    frame = tagged(in_yuv(COLOURS[None], matrix=BT709, bits=8), transfer, primaries, BT709)
    assert ColourEncoding.of(frame).is_bt709
    shown = patches(Display(frame, None).picture(frame))[0]
    assert np.abs(shown - COLOURS * 255).max() <= 3


def test_labels_may_change_on_the_way() -> None:
    frame = in_yuv(COLOURS[None])
    display = Display(tagged(frame, SDR, BT709), None)
    for transfer, primaries in (*REFERENCES, *reversed(REFERENCES)):
        if primaries == BT2020:
            shown = patches(display.picture(tagged(frame, transfer, primaries)))[0]
            assert distance(shown, reference(transfer, primaries)).max() <= 3


def test_cameras_are_tone_mapped_too(tmp_path: Path) -> None:
    path = clip(tmp_path / "camera.ts", HLG, BT2020)
    camera = FFmpegCapture(Address(str(path)), "camera", None)
    shown = next(frame for frame in camera.frames() if frame is not None).picture()
    camera.close()
    assert distance(patches(shown)[0], reference(HLG, BT2020)).max() <= 3


def dolby_vision_rpu(profile: int) -> bytes:
    """Return the head of a reference processing unit (RPU) of a vdr_rpu_profile, a NAL unit.

    Its type is not the usual one (2), so that FFmpeg hands it on without looking for the rest.
    """
    bits = f"{3:06b}{18:011b}{profile:04b}".ljust(32, "0")
    return bytes((62 << 1, 1, 25)) + int(bits, 2).to_bytes(4, "big") + b"\x40\x80"


def with_dolby_vision(path: Path, rpu_profile: int) -> Path:
    """Write PQ as HEVC whose frames carry a reference processing unit."""
    frame = in_yuv(COLOURS[None])
    tags = {"color_trc": PQ, "color_primaries": BT2020, "colorspace": BT2020, "color_range": 1}
    options = {"preset": "ultrafast", "x265-params": "lossless=1:log-level=none"}
    encoded(path, frame, codec="libx265", options=options, **tags)
    units = path.read_bytes().split(NAL_START)
    for index, unit in enumerate(units):
        if len(unit) > 1 and unit[0] >> 1 & 0x3F < 32:  # a picture
            units[index] += NAL_START + dolby_vision_rpu(rpu_profile)
    path.write_bytes(NAL_START.join(units))
    return path


def test_dolby_vision_of_profile_5_is_refused(tmp_path: Path) -> None:
    path = with_dolby_vision(tmp_path / "clip.hevc", 0)
    with pytest.raises(NotMediaError, match=r"clip\.hevc: its colours are Dolby Vision without"):
        FileSource(path)
    with pytest.raises(NotMediaError, match="profile 5"):
        next(filter(None, FFmpegCapture(Address(str(path)), "camera", None).frames()))


def test_colours_that_ffmpeg_cannot_convert_are_refused(tmp_path: Path) -> None:
    ictcp = 14
    path = encoded(tmp_path / "clip.mp4", in_yuv(COLOURS[None]), colorspace=ictcp, color_trc=PQ)
    with pytest.raises(NotMediaError, match=r"clip\.mp4: its colours are ICtCp, which cannot"):
        FileSource(path)


@pytest.mark.parametrize("matrix", [0, 3, 12, 13])
def test_meaningless_matrices_are_taken_for_the_primaries_own(matrix: int) -> None:
    frame = tagged(in_yuv(COLOURS[None]), HLG, BT2020, matrix)
    shown = patches(Display(frame, None).picture(frame))[0]
    assert distance(shown, reference(HLG, BT2020)).max() <= 3


@pytest.mark.parametrize("layout", ["gbrp10le", "rgb48le", "gbrp12le"])
def test_rgb_needs_no_matrix(layout: str) -> None:
    frame = av.VideoFrame.from_ndarray(
        np.round(COLOURS[None] * 65535).astype(np.uint16).repeat(9, 0), format="rgb48le"
    )
    frame = tagged(frame.reformat(format=layout), PQ, BT2020, 0)
    shown = Display(frame, None).picture(frame)[4]
    assert distance(shown, reference(PQ, BT2020)).max() <= 3


def test_compatible_dolby_vision_plays_as_hdr10(tmp_path: Path) -> None:
    shown = first_patches(with_dolby_vision(tmp_path / "clip.hevc", 1))
    assert distance(shown, reference(PQ, BT2020)).max() <= 3
