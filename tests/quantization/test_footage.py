from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.quantization.footage import FEWEST, FramePool, sample_footage
from streamcam.sources.limits import DEFAULT_LIMITS
from streamcam.types import Picture
from tests.media import flat, number_of, numbered, write_video


def numbers_of(pictures: Sequence[Picture]) -> list[int]:
    return sorted(number_of(picture) for picture in pictures)


def write_pictures(folder: Path, pictures: Sequence[Picture]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:03}.png"), picture[..., ::-1])
    return folder


def test_no_frame_of_one_part_is_next_to_one_of_the_other(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", numbered(64))
    footage = sample_footage(str(video), DEFAULT_LIMITS)
    calibration, held_out = numbers_of(footage.calibration), numbers_of(footage.held_out)
    assert 44 <= len(calibration) <= 48
    assert 10 <= len(held_out) <= 12
    gaps = np.abs(np.subtract.outer(calibration, held_out))
    assert gaps.min() >= 2


def test_frames_are_spread_over_the_whole_of_a_long_video(tmp_path: Path) -> None:
    # Rows of grey: each frame has its own look, and neighbours look alike.
    pictures = [flat(32, 18, [shade // 5] * 3) for shade in range(1200)]
    footage = sample_footage(
        str(write_video(tmp_path / "long.mp4", pictures, rate=50)), DEFAULT_LIMITS
    )
    shades = [float(picture.mean()) for picture in footage.calibration]
    assert 60 <= len(shades) <= 160
    assert np.histogram(shades, bins=8, range=(0, 240))[0].min() > 0


def test_one_look_is_taken_once(tmp_path: Path) -> None:
    distinct = numbered(40)
    folder = write_pictures(tmp_path / "photos", [*distinct, *[flat(64, 48, [240] * 3)] * 40])
    footage = sample_footage(str(folder), DEFAULT_LIMITS)
    assert footage.files == 80
    for part in (footage.calibration, footage.held_out):
        looks = [round(float(picture.mean())) for picture in part]
        assert len(looks) == len(set(looks))
        assert looks.count(240) <= 1


def test_the_most_different_are_chosen_first() -> None:
    pool = FramePool()
    pool.add_different([flat(64, 48, [grey] * 3) for grey in (100, 102, 200, 104, 0)], 3)
    assert [round(float(picture.mean())) for picture in pool] == [100, 200, 0]


def test_a_picture_comes_back_as_it_was() -> None:
    random = np.random.default_rng(0)
    picture = np.kron(random.integers(0, 255, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    pool = FramePool()
    pool.add_different([picture], 1)
    assert pool[0].shape == picture.shape
    assert np.abs(pool[0].astype(int) - picture).mean() < 5


def test_the_fingerprint_is_that_of_the_files_contents(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", numbered(32))
    before = sample_footage(str(folder), DEFAULT_LIMITS).fingerprint
    (tmp_path / "photos").rename(tmp_path / "renamed")
    moved = sample_footage(str(tmp_path / "renamed"), DEFAULT_LIMITS).fingerprint
    write_pictures(tmp_path / "renamed", [flat(64, 48, [255, 0, 0])])
    changed = sample_footage(str(tmp_path / "renamed"), DEFAULT_LIMITS).fingerprint
    assert before == moved
    assert before != changed


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "photos", numbered(40))
    (folder / "000.png").write_bytes(b"no picture")
    footage = sample_footage(str(folder), DEFAULT_LIMITS)
    assert footage.files == 39


def test_too_few_frames_are_told_with_how_many_are_needed(tmp_path: Path) -> None:
    video = write_video(tmp_path / "short.mp4", numbered(10))
    with pytest.raises(SourceError, match=rf"short\.mp4: \d+ frames .* needs {FEWEST}"):
        sample_footage(str(video), DEFAULT_LIMITS)
    with pytest.raises(SourceUnavailableError, match=r"missing\.mp4"):
        sample_footage(str(tmp_path / "missing.mp4"), DEFAULT_LIMITS)
