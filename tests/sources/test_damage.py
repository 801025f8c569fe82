import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamcam.demo import DemoScene
from streamcam.errors import CorruptMediaError, NotMediaError
from streamcam.sources import decoder as decoder_module
from streamcam.sources.file import FileSource
from streamcam.types import Frame
from tests.media import number_of, numbered, write_video
from tests.sources.selectors import Everything

CODECS = {
    "h264.ts": ("libx264", {"preset": "ultrafast", "g": "10"}),
    "h264.mkv": ("libx264", {"preset": "ultrafast", "g": "10"}),
    "mpeg4.avi": ("mpeg4", {"g": "10", "qscale": "4"}),
    "mpeg2.ts": ("mpeg2video", {"g": "10"}),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Videos of fifty frames, each a copy to be damaged."""
    folder = tmp_path_factory.mktemp("clips")
    street = DemoScene(1, 320, 180)
    pictures = [street.picture(step / 12.5) for step in range(50)]
    return {
        name: write_video(folder / name, pictures, codec=codec, options=options).read_bytes()
        for name, (codec, options) in CODECS.items()
    }


def survived(path: Path, data: bytes) -> tuple[list[Frame], FileSource]:
    path.write_bytes(data)
    source = FileSource(path)
    frames = list(source.frames(Everything()))
    source.close()
    return frames, source


@pytest.mark.parametrize("name", CODECS)
def test_a_truncated_tail_gives_what_is_good(
    tmp_path: Path, clips: dict[str, bytes], name: str
) -> None:
    data = clips[name]
    whole, _ = survived(tmp_path / name, data)
    frames, _ = survived(tmp_path / f"cut-{name}", data[: len(data) * 2 // 3])
    assert len(whole) == 50
    assert 15 <= len(frames) < 50
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for frame, original in zip(frames, whole, strict=False):
        assert np.array_equal(frame.picture, original.picture)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CODECS)
def test_flipped_bits_cost_frames_and_are_counted(
    tmp_path: Path, clips: dict[str, bytes], name: str, seed: int
) -> None:
    dice = random.Random(seed)
    data = bytearray(clips[name])
    for _ in range(12):
        data[dice.randrange(len(data) // 5, len(data))] ^= 1 << dice.randrange(8)
    frames, source = survived(tmp_path / name, bytes(data))
    assert len(frames) >= 10
    assert all(a.index < b.index and a.time < b.time for a, b in pairwise(frames))
    assert len(frames) + source.corrupt >= 45
    assert source.decoded >= len(frames)


def test_a_hole_in_the_middle_is_passed_over(tmp_path: Path, clips: dict[str, bytes]) -> None:
    data = bytearray(clips["h264.ts"])
    middle = len(data) // 2
    data[middle : middle + 5000] = bytes(5000)
    frames, source = survived(tmp_path / "hole.ts", bytes(data))
    assert source.corrupt > 0
    assert frames[-1].time == pytest.approx(49 / 25, abs=0.05)


def test_frames_marked_as_damaged_are_never_yielded(tmp_path: Path) -> None:
    """In intra-only video every yielded picture must be the original, whatever was damaged."""
    pictures = numbered(40, 96, 64)
    path = write_video(tmp_path / "intra.ts", pictures, options={"g": "1", "crf": "5"})
    data = bytearray(path.read_bytes())
    dice = random.Random(5)
    for _ in range(10):
        data[dice.randrange(len(data) // 4, len(data))] ^= 0xFF
    frames, source = survived(tmp_path / "damaged.ts", bytes(data))
    assert source.corrupt > 0
    assert 20 <= len(frames) < 40
    shown = [number_of(frame.picture) for frame in frames]
    assert (
        sum(number != round(frame.time * 25) for number, frame in zip(shown, frames, strict=True))
        <= 1
    )


def test_endless_damage_ends_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "MAX_FAILURES", 8)
    street = DemoScene(2, 320, 180)
    pictures = [street.picture(step / 25) for step in range(60)]
    path = write_video(
        tmp_path / "clip.avi", pictures, codec="mjpeg", pix_fmt="yuvj420p", options={}
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    noise = np.random.default_rng(0).integers(1, 200, len(data), np.uint8).tobytes()
    start, end = middle, data.index(b"idx1")
    while (start := data.find(b"00dc", start, end)) >= 0:
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        data[start + 8 : start + 8 + size] = noise[:size]
        start += 8 + size
    path.write_bytes(data)
    source = FileSource(path)
    frames: list[Frame] = []
    with pytest.raises(CorruptMediaError) as caught:
        frames.extend(source.frames(Everything()))
    assert 20 <= len(frames) < 40
    assert "8 failures in a row" in caught.value.message
    assert f"at {frames[-1].time:.1f} s" in caught.value.message
    assert "clip.avi" in caught.value.message
    assert source.corrupt == 8
    source.close()


def test_a_video_without_one_good_frame(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "clip.avi", numbered(3), codec="mjpeg", pix_fmt="yuvj420p", options={}
    )
    data = bytearray(path.read_bytes())
    start = data.index(b"00dc")
    end = data.index(b"idx1")
    data[start + 8 : end] = b"\x01" * (end - start - 8)
    path.write_bytes(data)
    with pytest.raises(NotMediaError) as caught:
        FileSource(path)
    assert "clip.avi" in caught.value.message
