from fractions import Fraction
from io import BytesIO
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamcam.sources.display import NEUTRAL, over_neutral
from streamcam.sources.file import FileSource
from streamcam.types import Picture
from tests.media import X264, flat, write_video
from tests.sources.selectors import Everything

RED, GREEN, BLUE, WHITE = (220, 40, 40), (40, 200, 60), (40, 60, 220), (240, 240, 240)
LOSSLESS = {"preset": "ultrafast", "qp": "0"}


def quarters(width: int = 64, height: int = 48) -> Picture:
    """Return a picture with a colour of its own in each corner."""
    picture = flat(width, height, WHITE)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    return picture


def first(path: Path) -> Picture:
    source = FileSource(path)
    picture = next(source.frames(Everything())).picture
    assert picture.shape == (source.info.height, source.info.width, 3)
    assert picture.flags.c_contiguous
    source.close()
    return picture


def encoded(
    path: Path,
    frame: av.VideoFrame,
    *,
    codec: str = "libx264",
    options: dict[str, str] = LOSSLESS,
    **context: object,
) -> Path:
    """Write a frame three times; `context` sets attributes of the encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        for key, value in context.items():
            setattr(stream.codec_context, key, value)
        for pts in range(3):
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("degrees", "hflip", "vflip"), list(product((0, 90, 180, -90), (False, True), (False, True)))
)
def test_rotation_and_mirroring(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=LOSSLESS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    expected = np.rot90(quarters(), degrees // 90)
    expected = np.fliplr(expected) if hflip else expected
    expected = np.flipud(expected) if vflip else expected
    picture = first(path)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= 4


@pytest.mark.parametrize(
    ("aspect", "width"),
    [(Fraction(2), 128), (Fraction(1, 2), 32), (Fraction(16, 11), 93), (Fraction(1), 64)],
)
def test_pixel_aspect_widens_the_picture(tmp_path: Path, aspect: Fraction, width: int) -> None:
    frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24").reformat(format="yuv444p")
    picture = first(encoded(tmp_path / "wide.mp4", frame, sample_aspect_ratio=aspect))
    assert picture.shape == (48, width, 3)
    for row, column, colour in ((5, 5, RED), (5, -6, GREEN), (-6, 5, BLUE), (-6, -6, WHITE)):
        assert np.abs(picture[row, column].astype(int) - colour).max() <= 4


def test_an_absurd_pixel_aspect_is_ignored(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24").reformat(format="yuv444p")
    path = encoded(tmp_path / "wide.mp4", frame, sample_aspect_ratio=Fraction(100))
    assert first(path).shape == (48, 64, 3)


MATRICES = {
    "bt709": (1, 0.2126, 0.0722),
    "bt601": (6, 0.299, 0.114),
    "bt470bg": (5, 0.299, 0.114),
    "bt2020": (9, 0.2627, 0.0593),
}


def in_yuv(
    colour: tuple[int, int, int], kr: float, kb: float, *, full: bool, bits: int
) -> tuple[int, int, int]:
    """Return a colour in YUV by the book."""
    r, g, b = (c / 255 for c in colour)
    luma = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - luma) / (2 - 2 * kb), (r - luma) / (2 - 2 * kr)
    scale = 1 << (bits - 8)
    if full:
        top = (1 << bits) - 1
        return tuple(
            round(value) for value in (luma * top, u * top + 128 * scale, v * top + 128 * scale)
        )
    return tuple(round(value * scale) for value in (16 + 219 * luma, 128 + 224 * u, 128 + 224 * v))


def of_yuv(
    layout: str, yuv: tuple[int, int, int], width: int = 64, height: int = 48
) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, layout)
    kind = np.uint16 if "10le" in layout else np.uint8
    for plane, value in zip(frame.planes, yuv, strict=True):
        count = plane.buffer_size // np.dtype(kind).itemsize
        plane.update(np.full(count, value, kind).tobytes())
    return frame


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, WHITE, (128, 128, 128)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_labelled_colours_are_exact(
    tmp_path: Path, layout: str, matrix: str, full: bool, colour: tuple[int, int, int]
) -> None:
    code, kr, kb = MATRICES[matrix]
    frame = of_yuv(layout, in_yuv(colour, kr, kb, full=full, bits=10 if "10" in layout else 8))
    path = encoded(tmp_path / "clip.mp4", frame, colorspace=code, color_range=2 if full else 1)
    assert np.abs(first(path).astype(int) - colour).max() <= 3


@pytest.mark.parametrize(
    ("height", "matrix"), [(48, "bt601"), (576, "bt601"), (720, "bt709"), (1080, "bt709")]
)
def test_unlabelled_colours_follow_the_size_as_in_players(
    tmp_path: Path, height: int, matrix: str
) -> None:
    _, kr, kb = MATRICES[matrix]
    yuv = in_yuv(RED, kr, kb, full=False, bits=8)
    path = encoded(tmp_path / "clip.mp4", of_yuv("yuv420p", yuv, height=height))
    assert np.abs(first(path).astype(int) - RED).max() <= 3


def test_full_range_formats_of_old(tmp_path: Path) -> None:
    yuv = in_yuv(RED, 0.299, 0.114, full=True, bits=8)
    frame = of_yuv("yuvj420p", yuv)
    path = encoded(tmp_path / "clip.avi", frame, codec="mjpeg", options={}, color_range=2)
    assert np.abs(first(path).astype(int) - RED).max() <= 4


@pytest.mark.parametrize("layout", ["gray", "rgb24", "bgr0", "gbrp", "rgb48le"])
def test_grey_and_rgb(tmp_path: Path, layout: str) -> None:
    frame = av.VideoFrame.from_ndarray(flat(64, 48, (77, 77, 77)), format="rgb24")
    path = encoded(
        tmp_path / "clip.nut", frame.reformat(format=layout), codec="rawvideo", options={}
    )
    assert np.abs(first(path).astype(int) - 77).max() <= 2


def test_transparency_shows_neutral_grey(tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[:, :32] = (*RED, 255)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
    picture = first(encoded(tmp_path / "clip.mov", frame, codec="png", options={}))
    assert picture[24, 8].tolist() == list(RED)
    assert picture[24, 56].tolist() == [NEUTRAL] * 3


def test_half_transparent_is_half_way() -> None:
    pixels = np.array([[[200, 0, 128, 128]]], np.uint8)
    assert over_neutral(pixels)[0, 0].tolist() == [164, 64, 128]


@pytest.mark.parametrize(("width", "height"), [(63, 47), (1, 1), (17, 2), (641, 3)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    frame = av.VideoFrame.from_ndarray(flat(width, height, GREEN), format="rgb24")
    path = encoded(
        tmp_path / "odd.mp4", frame.reformat(format="yuv444p"), codec="libx264", options=LOSSLESS
    )
    picture = first(path)
    assert picture.shape == (height, width, 3)
    assert np.abs(picture.astype(int) - GREEN).max() <= 4


def test_a_change_of_size_keeps_the_first_size(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / "a.ts", [flat(64, 48, RED)] * 5),
        write_video(tmp_path / "b.ts", [flat(128, 96, BLUE)] * 5),
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = FileSource(joined)
    pictures = [frame.picture for frame in source.frames(Everything())]
    source.close()
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    # The seam breaks the transport stream's packet count.
    assert len(pictures) + source.corrupt == 10
    assert source.corrupt <= 1
    assert np.abs(pictures[0].astype(int) - RED).max() <= 8
    assert np.abs(pictures[-1].astype(int) - BLUE).max() <= 8


def test_interlaced_video_becomes_whole_pictures(tmp_path: Path) -> None:
    """A bar that moves between two fields leaves a comb in a frame; no comb may be left."""
    frames = []
    for index in range(8):
        picture = flat(128, 96, (16, 16, 16))
        for field in (0, 1):
            left = 8 + 8 * (2 * index + field) % 96
            picture[field::2, left : left + 16] = 230
        frames.append(picture)
    options = {**X264, "x264-params": "tff=1"}
    woven = write_video(tmp_path / "woven.mp4", frames, options=options)
    source = FileSource(woven)
    shown = list(source.frames(Everything()))
    source.close()
    assert [frame.index for frame in shown] == list(range(8))
    assert [frame.time for frame in shown] == pytest.approx([step / 25 for step in range(8)])
    assert max(combing(picture) for picture in frames) > 100
    assert max(combing(frame.picture) for frame in shown[1:-1]) < 30


def combing(picture: Picture) -> float:
    """Return how much rows differ from both neighbours, where they do most."""
    rows = picture[..., 0].astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean(axis=0).max())


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_motion_jpeg_with_exif_orientation(tmp_path: Path, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = BytesIO()
    Image.fromarray(quarters()).save(jpeg, "JPEG", exif=exif, quality=95, subsampling=0)
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(jpeg.getvalue() * 3)
    expected = np.rot90(quarters(), turns)
    picture = first(path)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 4
