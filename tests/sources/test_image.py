from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from streamcam.errors import CorruptMediaError, NotMediaError, SourceUnavailableError
from streamcam.sources.display import NEUTRAL
from streamcam.sources.image import ImageSource, is_image
from streamcam.sources.inputs import open_source
from streamcam.types import Frame, Picture
from tests.media import flat
from tests.sources.selectors import Everything, Periodic

COLOUR = (200, 100, 50)


def shown(path: Path) -> Picture:
    source = open_source(str(path))
    assert source.info.still
    (frame,) = source.frames(Everything())
    assert frame.picture.shape == (source.info.height, source.info.width, 3)
    assert frame.picture.dtype == np.uint8
    source.close()
    return frame.picture


def close_to(picture: Picture, colour: tuple[int, ...], tolerance: int = 3) -> bool:
    return bool(np.abs(picture.astype(int) - colour).max() <= tolerance)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tif", "gif", "ppm"])
def test_formats(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(flat(40, 30, COLOUR)).save(path)
    assert is_image(path)
    picture = shown(path)
    assert picture.shape == (30, 40, 3)
    assert close_to(picture, COLOUR)


@pytest.mark.parametrize(
    ("mode", "ending", "expected"),
    [
        ("1", "png", (0, 0, 0)),
        ("L", "png", (124, 124, 124)),
        ("LA", "png", (124, 124, 124)),
        ("P", "png", COLOUR),
        ("RGBA", "png", COLOUR),
        ("CMYK", "jpg", COLOUR),
        ("CMYK", "tif", COLOUR),
        ("YCbCr", "tif", COLOUR),
    ],
)
def test_modes(tmp_path: Path, mode: str, ending: str, expected: tuple[int, int, int]) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(flat(40, 30, COLOUR)).convert(mode, dither=Image.Dither.NONE).save(path)
    assert close_to(shown(path), expected, 4)


def test_sixteen_bits(tmp_path: Path) -> None:
    grey = np.full((30, 40), 40000, np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert close_to(shown(tmp_path / "grey.png"), (round(40000 / 257),) * 3, 1)
    cv2.imwrite(str(tmp_path / "grey.tif"), grey)
    assert close_to(shown(tmp_path / "grey.tif"), (round(40000 / 257),) * 3, 1)
    colour = np.full((30, 40, 3), (10000, 30000, 65535), np.uint16)
    cv2.imwrite(str(tmp_path / "colour.png"), colour[..., ::-1])
    assert close_to(shown(tmp_path / "colour.png"), (39, 117, 255), 1)


def test_floating_point(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None].repeat(30, axis=0)
    Image.fromarray(ramp).save(tmp_path / "ramp.tif")
    assert shown(tmp_path / "ramp.tif")[0, [0, -1]].tolist() == [[0] * 3, [255] * 3]


def test_transparency_shows_neutral_grey(tmp_path: Path) -> None:
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[:, :20] = (*COLOUR, 255)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    picture = shown(tmp_path / "picture.png")
    assert picture[0, 0].tolist() == list(COLOUR)
    assert picture[0, -1].tolist() == [NEUTRAL] * 3


def test_a_transparent_palette(tmp_path: Path) -> None:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([0, 255, 0, 255, 0, 0])
    image.save(tmp_path / "picture.png", transparency=0)
    assert close_to(shown(tmp_path / "picture.png"), (NEUTRAL,) * 3, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    upright = flat(40, 24, (30, 30, 30))
    upright[:12, :20] = (230, 230, 230)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright.transpose(1, 0, 2), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(shown(path), upright)


def test_what_is_known_of_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(flat(41, 31, COLOUR)).save(path)
    source = ImageSource(path)
    info = source.info
    assert (info.id, info.path, info.width, info.height) == (str(path), path, 41, 31)
    assert (info.frame_count, info.frame_rate, info.duration) == (1, None, None)
    (frame,) = source.frames(Everything())
    assert (frame.index, frame.pts, frame.time, frame.discontinuity) == (0, 0, 0.0, True)
    assert (source.decoded, source.corrupt) == (1, 0)
    source.close()
    source.close()


def animation(path: Path) -> Path:
    first, *others = [Image.fromarray(flat(40, 30, (60 * step, 100, 50))) for step in range(4)]
    durations = [100, 250, 50, 100]
    first.save(path, save_all=True, append_images=others, duration=durations, lossless=True)
    return path


@pytest.mark.parametrize("ending", ["webp", "gif", "png"])
def test_animations_are_videos(tmp_path: Path, ending: str) -> None:
    source = open_source(str(animation(tmp_path / f"moving.{ending}")))
    assert not source.info.still
    frames: list[Frame] = list(source.frames(Everything()))
    source.close()
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.35, 0.4])
    reds = [int(frame.picture[0, 0, 0]) for frame in frames]
    assert reds == pytest.approx([0, 60, 120, 180], abs=3)


def test_an_animation_is_sampled(tmp_path: Path) -> None:
    path = animation(tmp_path / "moving.webp")
    source = ImageSource(path)
    frames = list(source.frames(Periodic(0.2), every=True))
    assert [frame.sampled for frame in frames] == [True, False, True, True]
    source.close()
    source = ImageSource(path)
    assert [frame.index for frame in source.frames(Everything(start=0.3))] == [2, 3]
    source.close()


def test_an_animation_can_be_interrupted(tmp_path: Path) -> None:
    source = ImageSource(animation(tmp_path / "moving.webp"))
    frames = source.frames(Everything())
    next(frames)
    source.interrupt()
    assert list(frames) == []
    source.close()


def test_a_damaged_animation_keeps_what_was_good(tmp_path: Path) -> None:
    path = animation(tmp_path / "moving.webp")
    data = bytearray(path.read_bytes())
    last = data.rindex(b"ANMF")
    body = last + 8 + 16 + 8 + 5  # behind the headers of the chunk, the frame and the bitstream
    data[body:] = b"\xff" * (len(data) - body)
    path.write_bytes(data)
    source = ImageSource(path)
    frames: list[Frame] = []
    with pytest.raises(CorruptMediaError, match=r"moving\.webp: the picture is damaged"):
        frames.extend(source.frames(Everything()))
    assert len(frames) == 3
    source.close()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tif"])
def test_a_truncated_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(NotMediaError) as caught:
        open_source(str(path))
    assert path.name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_missing_picture(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="no such file"):
        ImageSource(tmp_path / "gone.jpg")
    assert not is_image(tmp_path / "gone.jpg")
    assert not is_image(tmp_path)


def test_text_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("no picture at all\n" * 20)
    assert not is_image(path)
    with pytest.raises(NotMediaError):
        open_source(str(path))
