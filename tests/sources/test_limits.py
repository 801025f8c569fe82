"""Files that ask for more than the limits allow."""

import random
import struct
import zlib
from contextlib import closing, suppress
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamcam.config import Settings
from streamcam.errors import SourceError
from streamcam.sources import decoder
from streamcam.sources.file import FileSource
from streamcam.sources.image import ImageSource, is_image
from streamcam.sources.inputs import open_source
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.live import Address
from streamcam.sources.live.capture_process import open_capture
from streamcam.types import Frame, Picture
from tests.media import flat, number_of, numbered, textured, write_video
from tests.sources.selectors import Everything

SMALL = Limits(picture_pixels=1000, frame_pixels=1000, pages=3)


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def first_picture(source: FileSource | ImageSource) -> Picture:
    frame = next(source.frames(Everything()))
    source.close()
    return frame.picture


def test_the_settings_have_the_same_defaults() -> None:
    assert Limits(**Settings().limits.model_dump()) == DEFAULT_LIMITS


@pytest.mark.parametrize("ending", ["png", "webp", "bmp", "tif", "gif", "ppm"])
def test_a_picture_that_is_too_large_is_refused_by_the_limits_name(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(flat(40, 30, (1, 2, 3))).save(path)
    open_source(str(path), Limits(picture_pixels=1200)).close()
    with pytest.raises(SourceError, match=r"40x30 pixels .* limits\.picture_pixels") as caught:
        open_source(str(path), SMALL)
    assert "raise the limit" in (caught.value.hint or "")


def test_a_picture_of_gigabytes_in_a_few_bytes_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "huge.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows)
    assert is_image(path)
    with pytest.raises(SourceError, match=r"are 3600 MP, more than limits\.picture_pixels"):
        open_source(str(path))


@pytest.mark.parametrize(("limit", "size"), [(30_000, (200, 150)), (2_000, (50, 38))])
def test_a_large_jpeg_is_decoded_smaller(tmp_path: Path, limit: int, size: tuple[int, int]) -> None:
    path = tmp_path / "photo.jpg"
    picture = np.repeat(flat(400, 150, (200, 100, 50)), 2, axis=0)
    picture[:, 200:] = (20, 40, 220)
    Image.fromarray(picture).save(path, quality=95)
    source = ImageSource(path, Limits(picture_pixels=limit))
    assert (source.info.width, source.info.height) == size
    shown = first_picture(source).astype(int)
    assert shown.shape == (size[1], size[0], 3)
    assert np.abs(shown[:, : size[0] // 2 - 8] - (200, 100, 50)).max() < 5
    assert np.abs(shown[:, size[0] // 2 + 8 :] - (20, 40, 220)).max() < 5


@pytest.mark.parametrize(("progressive", "limit"), [(True, 30_000), (False, 1000)])
def test_a_jpeg_that_cannot_be_decoded_small_enough_is_refused(
    tmp_path: Path, progressive: bool, limit: int
) -> None:
    """libjpeg holds all of a progressive picture; an eighth of the size is its smallest."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(flat(400, 300, (200, 100, 50))).save(path, progressive=progressive)
    with pytest.raises(SourceError, match=r"limits\.picture_pixels"):
        ImageSource(path, Limits(picture_pixels=limit))


def test_an_animation_of_too_many_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "moving.webp"
    first, *others = (Image.fromarray(picture) for picture in numbered(4, 20, 10))
    first.save(path, save_all=True, append_images=others, lossless=True)
    with pytest.raises(SourceError, match=r"has 4 pictures, more than limits\.pages allows \(3\)"):
        ImageSource(path, SMALL)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.h264", "moving.gif"])
def test_a_video_of_large_frames_is_refused_by_the_limits_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".gif":
        first, second = (Image.fromarray(picture) for picture in textured(2))
        first.save(path, save_all=True, append_images=[second])
    else:
        write_video(path, textured(20))
    open_source(str(path), Limits(frame_pixels=128 * 96)).close()
    with pytest.raises(SourceError, match=r"128x96 pixels .* limits\.frame_pixels"):
        open_source(str(path), SMALL)


def test_the_limit_is_for_the_displayed_frame_too(tmp_path: Path) -> None:
    """A few pixels may be told to be eight times as wide."""
    path = write_video(tmp_path / "wide.mp4", numbered(2), aspect=Fraction(6))
    with pytest.raises(SourceError, match=r"384x48 pixels .* limits\.frame_pixels"):
        FileSource(path, Limits(frame_pixels=64 * 48))


def test_frames_that_become_too_large_are_refused_by_the_decoder(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.h264", numbered(200)).read_bytes()
    large = write_video(tmp_path / "large.h264", textured(5)).read_bytes()
    path = tmp_path / "growing.h264"
    path.write_bytes(small + large)
    frames, corrupt = frames_of(FileSource(path, Limits(frame_pixels=64 * 48)))
    assert [number_of(frame.picture) for frame in frames] == [index % 70 for index in range(200)]
    assert corrupt > 0
    frames, corrupt = frames_of(FileSource(path))
    assert len(frames) == 205
    assert corrupt == 0


def frames_of(source: FileSource) -> tuple[list[Frame], int]:
    frames = list(source.frames(Everything()))
    source.close()
    return frames, source.corrupt


def test_a_file_that_gives_no_frame_for_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30))
    source = FileSource(path, Limits(frame_timeout=60))
    frames = source.frames(Everything())
    next(frames)
    seconds = count(0, 10)
    monkeypatch.setattr(decoder.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(decoder.Decoder, "_try_decode", lambda *_: [])
    with pytest.raises(SourceError, match=r"for 60 s \(limits\.frame_timeout\)"):
        list(frames)
    source.close()


def test_the_time_in_which_a_frame_waits_to_be_explained_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30))
    now = [0.0]
    monkeypatch.setattr(decoder.time, "monotonic", lambda: now[0])
    source = FileSource(path, Limits(frame_timeout=60))
    for _ in source.frames(Everything()):
        now[0] += 1000
    assert source.decoded == 30
    source.close()


@pytest.mark.parametrize(
    ("address", "reported"),
    [
        (Address("testsrc2=size=40x30:rate=25", "lavfi"), "40x30"),
        (Address("testsrc2=size=30x30:rate=25,setsar=2", "lavfi"), "60x30"),
        (Address("demo://street?width=160&height=90"), "160x90"),
    ],
)
def test_a_camera_whose_frames_are_too_large_is_refused(address: Address, reported: str) -> None:
    """As they are coded, as they are displayed, as they are drawn."""
    with pytest.raises(SourceError, match=rf"cam: {reported} pixels .* limits\.frame_pixels"):
        next(filter(None, open_capture(address, "cam", None, SMALL).frames())).picture()


def test_a_camera_whose_frames_become_too_large_sends_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "camera.mjpeg"
    pictures = [flat(*size, (1, 2, 3)) for size in [(32, 24)] * 3 + [(400, 300)] * 5]
    with path.open("wb") as file:
        for picture in pictures:
            Image.fromarray(picture).save(file, "jpeg")
    camera = open_capture(Address(str(path)), "cam", None, Limits(frame_pixels=30_000))
    shown = [frame.picture().shape for frame in camera.frames() if frame is not None]
    camera.close()
    assert shown == [(24, 32, 3)] * 3
    assert camera.corrupt == 5


def memory(kind: str) -> float:
    """Return a size of this process in megabytes: "VmRSS", or "VmHWM", its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{kind}:"))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tif", "gif", "avi", "mkv"])
def test_large_numbers_in_a_file_cost_no_more_memory_than_the_limits_allow(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"file.{ending}"
    if ending in ("avi", "mkv"):
        write_video(path, textured(5), codec="mpeg4", options={})
    else:
        Image.fromarray(textured(1)[0]).save(path)
    data = path.read_bytes()
    chance = random.Random(1)
    limits = Limits(picture_pixels=10**6, frame_pixels=10**6)
    Path("/proc/self/clear_refs").write_text("5")  # begins a new peak
    before = memory("VmRSS")
    for _ in range(20):
        mutant = bytearray(data)
        for _ in range(2):
            at = chance.randrange(4, min(len(data) - 4, 300))
            number = chance.choice((0x3FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
            mutant[at : at + 4] = number.to_bytes(4, chance.choice(("big", "little")))
        path.write_bytes(mutant)
        with suppress(SourceError), closing(open_source(str(path), limits)) as source:
            list(source.frames(Everything()))
    assert memory("VmHWM") - before < 150
