import gc
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import OutputContainer

from streamcam.errors import SinkError
from streamcam.sinks.encoder import nvenc_works
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.types import Picture, SourceInfo
from tests.sinks.items import MILLISECONDS, explained, frame, info, picture


def write(
    path: Path,
    pts: Sequence[int],
    time_base: Fraction = MILLISECONDS,
    *,
    source: SourceInfo | None = None,
    pictures: Sequence[Picture] | None = None,
) -> Path:
    sink = VideoSink(path, source or info(time_base=time_base))
    for index, ticks in enumerate(pts):
        shown = pictures[index] if pictures else picture(index)
        sink.write(explained(frame(index, ticks, time_base=time_base)), shown)
    return sink.finish()


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [f.pts * f.time_base for f in container.decode(video=0)]


def pictures_of(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def duration(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def uneven(step: int, start: int) -> list[int]:
    steps = np.random.default_rng(0).integers(1, 2 * step, 20)
    return [start, *(start + np.cumsum(steps)).tolist()]


@pytest.mark.parametrize(
    "time_base",
    [
        Fraction(1, 90_000),
        Fraction(1001, 30_000),
        Fraction(1, 1000),
        Fraction(1, 12_800),
        Fraction(1, 100),
        Fraction(1, 25),
        Fraction(1, 10_000_000),
        Fraction(3, 7),
    ],
)
@pytest.mark.parametrize("start", [0, 12_345, 95_443 * 90_000 + 17])
def test_uneven_timestamps_are_kept_exactly(
    tmp_path: Path, time_base: Fraction, start: int
) -> None:
    pts = uneven(max(1, int(Fraction(1, 5) / time_base)), start)
    path = write(tmp_path / "x.mp4", pts, time_base)
    assert times(path) == [ticks * time_base for ticks in pts]


def test_nanoseconds_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    time_base = Fraction(1, 1_000_000_000)
    pts = uneven(200_000_000, 5_000_000_123)
    path = write(tmp_path / "x.mp4", pts, time_base)
    for written, wanted in zip(times(path), pts, strict=True):
        assert abs(written - wanted * time_base) <= Fraction(1, 2_000_000)


def test_hours_between_frames_survive(tmp_path: Path) -> None:
    pts = [0, 3_600_000, 20_000_000]
    assert times(write(tmp_path / "x.mp4", pts)) == [0, 3600, 20_000]


def test_a_clock_that_begins_below_zero_is_moved_to_zero(tmp_path: Path) -> None:
    assert times(write(tmp_path / "x.mp4", [-80, -40, 0, 60])) == [
        Fraction(ms, 1000) for ms in (0, 40, 80, 140)
    ]


def test_a_live_source_begins_at_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [70_000, 70_040], source=info(live=True))
    assert times(path) == [0, Fraction(1, 25)]


def test_timestamps_that_repeat_are_moved_by_the_least(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [0, 40, 40, 39, 80])
    assert times(path) == [Fraction(ms, 1000) for ms in (0, 40, 41, 42, 80)]


def test_a_clock_that_begins_anew_goes_on_where_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [5000, 5040, 0, 40, 100])
    assert times(path) == [Fraction(ms, 1000) for ms in (5000, 5040, 5080, 5120, 5180)]


@pytest.mark.parametrize("denominator", [3, 1000, 90_000, 10_000_000])
def test_a_jump_that_mp4_cannot_tell_is_left_out(tmp_path: Path, denominator: int) -> None:
    time_base = Fraction(1, denominator)
    for jump in (2**26, 2**30, 2**33):
        path = write(tmp_path / "x.mp4", [0, 4, 4 + jump, jump + 9], time_base)
        *_, before, after, last = times(path)
        assert after - before in (4 * time_base, jump * time_base)
        assert last - after == 5 * time_base


def test_the_last_frame_is_shown_as_long_as_the_one_before(tmp_path: Path) -> None:
    assert duration(write(tmp_path / "x.mp4", [0, 40, 240])) == pytest.approx(0.44)


def test_the_last_frame_is_not_shown_beyond_the_source(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [0, 200, 400], source=info(duration=0.44))
    assert duration(path) == pytest.approx(0.44)


def test_an_only_frame_is_shown_for_one_frame(tmp_path: Path) -> None:
    assert duration(write(tmp_path / "x.mp4", [5])) == pytest.approx(0.04)


COLOURS = [(255, 255, 255), (0, 0, 0), (200, 30, 40), (20, 180, 60), (30, 60, 210), (252, 255, 164)]


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (101, 75)])
def test_colours_survive_within_a_few_levels(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    flat = [np.full((height, width, 3), colour, np.uint8) for colour in COLOURS]
    pts = [index * 200 for index in range(len(flat))]
    path = write(tmp_path / "x.mp4", pts, source=info(size), pictures=flat)
    for shown, colour in zip(pictures_of(path), COLOURS, strict=True):
        assert np.abs(shown.astype(int) - colour).max() <= 6


@pytest.mark.parametrize(("height", "matrix"), [(480, 6), (720, 1)])
def test_the_file_tells_how_its_colours_are_meant(tmp_path: Path, height: int, matrix: int) -> None:
    size = (height, height)
    path = write(tmp_path / "x.mp4", [0], source=info(size), pictures=[picture(0, size)])
    with av.open(str(path)) as container:
        shown = next(container.decode(video=0))
        assert (shown.colorspace, shown.color_range) == (matrix, 1)
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc) == (1, 1)


def test_odd_sizes_get_their_last_column_and_row_twice(tmp_path: Path) -> None:
    shown = np.zeros((75, 101, 3), np.uint8)
    shown[:, 80:] = (200, 30, 40)
    path = write(tmp_path / "x.mp4", [0], source=info((101, 75)), pictures=[shown])
    (written,) = pictures_of(path)
    assert written.shape == (76, 102, 3)
    np.testing.assert_allclose(written[:, -1].astype(int), written[:, -8].astype(int), atol=4)
    assert np.abs(written[:75, :70].astype(int)).max() <= 6
    # Padded, not stretched: the edge between the colours is where it was.
    assert np.abs(np.diff(written[37, :, 0].astype(int))).argmax() in (78, 79, 80)


def test_a_browser_can_play_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [0, 40, 80])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert "mp4" in container.format.name
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width % 2, context.height % 2) == (0, 0)
        assert context.has_b_frames == 0
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "it can start before it is loaded"


def test_every_frame_is_there_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", [index * 40 for index in range(60)])
    written = pictures_of(path)
    assert len(written) == 60
    for index, shown in enumerate(written):
        np.testing.assert_allclose(shown[30, 40], picture(index)[0, 0], atol=8)


def test_passing_frames_are_written_too(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "x.mp4", info())
    sink.write(explained(frame(0)), picture(0))
    sink.write(frame(1, sampled=False), picture(1))
    assert len(times(sink.finish())) == 2


def test_a_picture_is_demanded(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "x.mp4", info())
    with pytest.raises(ValueError, match="picture"):
        sink.write(explained(frame(0)), None)
    sink.abort()


@pytest.mark.skipif(nvenc_works(), reason="NVENC works here")
def test_an_encoder_that_is_demanded_and_missing_is_a_clear_error(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "x.mp4", info(), VideoSettings(encoder="h264_nvenc"))
    with pytest.raises(SinkError, match="h264_nvenc does not work here"):
        sink.write(explained(frame(0)), picture(0))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_cannot_be_encoded_is_a_clear_error(tmp_path: Path) -> None:
    size = (20_000, 2)
    sink = VideoSink(tmp_path / "x.mp4", info(size))
    with pytest.raises(SinkError, match="20000x2"):
        sink.write(explained(frame(0)), picture(0, size))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_auto_takes_an_encoder_that_works_here(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "x.mp4", info(), VideoSettings(encoder="auto", threads=1))
    sink.write(explained(frame(0)), picture(0))
    assert len(times(sink.finish())) == 1
    assert isinstance(nvenc_works(), bool)


@pytest.mark.parametrize("end", [VideoSink.finish, VideoSink.abort])
def test_its_encoder_is_freed_at_its_end(
    tmp_path: Path, end: Callable[[VideoSink], object]
) -> None:
    """Not when the garbage is collected: an encoder holds 60 MB at 720p."""
    gc.collect()
    gc.disable()
    try:
        before = open_containers()
        sink = VideoSink(tmp_path / "x.mp4", info())
        sink.write(explained(frame(0)), picture(0))
        assert open_containers() == before + 1
        end(sink)
        assert open_containers() == before
    finally:
        gc.enable()


def open_containers() -> int:
    return sum(issubclass(type(found), OutputContainer) for found in gc.get_objects())
