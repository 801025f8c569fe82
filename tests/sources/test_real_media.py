"""Odd files from elsewhere: each is read properly or refused with a reason."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamcam.errors import NotMediaError
from streamcam.sources.inputs import open_source
from streamcam.types import Frame, SourceInfo
from tests.sources.selectors import Everything, Periodic

pytestmark = pytest.mark.data

ODD = {
    # name: frames, width, height, seconds from the first frame to the last
    "mtx_emptyvideoaudio.mkv": (300, 1920, 1080, 59.8),
    "mtx_offline_vp9.mp4": (30, 1920, 1080, 29 / 30),
    "tc_av1_video.mkv": (125, 640, 360, 4.96),
    "tc_bt601_full_range.mp4": (60, 320, 240, 59 / 30),
    "tc_discard_first_keyframe.mp4": (25, 64, 64, 0.96),
    "tc_gradient.gif": (1, 1280, 720, 0.0),
    "tc_h265_10bits.mp4": (30, 200, 200, 29 / 30),
    "tc_nasa_13013.mp4": (390, 480, 270, 389 * 1001 / 30000),
    "tc_nasa_13013_rotated.mp4": (17, 270, 480, 16 * 1001 / 30000),
    "tc_sine_stereo_mp2.mpg": (100, 128, 128, 3.96),
    "tc_test_non_zero_start.mp4": (12, 199, 112, 11 / 30),
    "tc_testsrc2_mpeg4.avi": (30, 1280, 720, 29 / 30),
    "tc_testsrc2_mpeg4.mp4": (1, 64, 64, 0.0),
    "tc_testsrc2_odd_height_and_width_444.mp4": (25, 321, 241, 0.96),
    "tc_testsrc2_odd_width_mpeg2.mp4": (10, 121, 80, 0.36),
    "tc_testsrc2_vp8.webm": (30, 1280, 720, 0.967),
}


def read(path: Path) -> tuple[SourceInfo, list[Frame]]:
    source = open_source(str(path))
    frames = list(source.frames(Everything()))
    source.close()
    assert source.corrupt == 0
    return source.info, frames


@pytest.mark.parametrize("name", ODD)
def test_odd_files(test_data: Path, name: str) -> None:
    count, width, height, span = ODD[name]
    info, frames = read(test_data / "odd" / name)
    assert (info.width, info.height) == (width, height)
    assert {frame.picture.shape for frame in frames} == {(height, width, 3)}
    assert [frame.index for frame in frames] == list(range(count))
    assert frames[0].time == 0.0
    assert frames[-1].time == pytest.approx(span, abs=2e-3)
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert info.frame_count == pytest.approx(count, abs=2)


def test_sound_alone_is_refused(test_data: Path) -> None:
    with pytest.raises(NotMediaError, match="has no video in it"):
        open_source(str(test_data / "odd/tc_audio_only.mp3"))


def test_rotation_agrees_with_the_upright_file(test_data: Path) -> None:
    """Both show the same film; turned back, the frames must be the same picture."""
    _, turned = read(test_data / "odd/tc_nasa_13013_rotated.mp4")
    _, upright = read(test_data / "odd/tc_nasa_13013.mp4")
    back = np.rot90(turned[0].picture, -1).astype(int)
    likeness = min(np.abs(back - frame.picture).mean() for frame in upright[:60])
    assert likeness < 3


@pytest.mark.parametrize(
    "name", ["tc_bt601_full_range.mp4", "tc_h265_10bits.mp4", "tc_nasa_13013.mp4"]
)
def test_colours_agree_with_ffmpegs_own_scaler(test_data: Path, name: str) -> None:
    path = test_data / "odd" / name
    _, frames = read(path)
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert stream is not None
        graph = av.filter.Graph()
        source = graph.add_buffer(template=stream, time_base=stream.time_base)
        scale = graph.add("scale", "out_range=full:flags=bilinear+accurate_rnd+full_chroma_int")
        source.link_to(scale)
        scale.link_to(layout := graph.add("format", "gbrp"))
        layout.link_to(graph.add("buffersink"))
        graph.configure()
        graph.vpush(next(container.decode(stream)))
        expected = graph.vpull().to_ndarray(format="rgb24").astype(int)
    difference = np.abs(frames[0].picture - expected)
    # Colours are interpolated differently along edges only.
    assert np.percentile(difference, 75) <= 2


@pytest.mark.parametrize(
    ("name", "count", "rate"),
    [
        ("intel_one-by-one-person-detection.mp4", 1394, Fraction(10)),
        ("intel_car-detection.mp4", 377, Fraction(25, 2)),
        ("intel_bottle-detection.mp4", 1189, Fraction(179, 6)),
        ("udacity_solidWhiteRight.mp4", 221, Fraction(25)),
        ("intel_preview_people-detection.gif", 23, Fraction(25, 2)),
    ],
)
def test_footage(test_data: Path, name: str, count: int, rate: Fraction) -> None:
    source = open_source(str(test_data / "videos" / name))
    selector = Periodic(1.0)
    frames = list(source.frames(selector))
    source.close()
    assert (source.info.frame_count, source.info.frame_rate) == (count, rate)
    assert len(frames) == pytest.approx(count / rate, abs=1)
    assert all(0.85 <= b.time - a.time <= 1.15 for a, b in pairwise(frames))
    assert source.corrupt == 0


def test_uneven_delays_of_a_gif_are_kept(test_data: Path) -> None:
    _, frames = read(test_data / "videos/intel_preview_classroom.gif")
    steps = {round(100 * (b.time - a.time)) for a, b in pairwise(frames)}
    assert steps == {6, 7}
