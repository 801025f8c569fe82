"""What every source that can be read to its end keeps, whatever it reads."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamcam.sources.base import Source
from streamcam.sources.inputs import open_source
from tests.media import flat, numbered, write_video
from tests.sources.assertions import assert_as_announced, assert_in_order
from tests.sources.selectors import Everything, Periodic

Maker = Callable[[Path], str]


def video(name: str, **options: object) -> Maker:
    return lambda folder: str(write_video(folder / name, numbered(40), **options))  # type: ignore[arg-type]


def moving(name: str) -> Maker:
    def make(folder: Path) -> str:
        first, *others = [Image.fromarray(picture) for picture in numbered(12)]
        first.save(folder / name, save_all=True, append_images=others, duration=100, lossless=True)
        return str(folder / name)

    return make


def still(name: str) -> Maker:
    def make(folder: Path) -> str:
        Image.fromarray(flat(64, 48, (90, 120, 150))).save(folder / name)
        return str(folder / name)

    return make


SOURCES: dict[str, Maker] = {
    "mp4": video("clip.mp4"),
    "mp4 with B-frames": video("clip.mp4", options={"preset": "veryfast", "bf": "3", "g": "12"}),
    "mkv": video("clip.mkv"),
    "ts": video("clip.ts"),
    "mpeg": video("clip.mpg", codec="mpeg2video", options={}),
    "avi": video("clip.avi", codec="mpeg4", options={}),
    "mjpeg": video("clip.avi", codec="mjpeg", pix_fmt="yuvj420p", options={}),
    "webm": video("clip.webm", codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"}),
    "ffv1": video("clip.mkv", codec="ffv1", pix_fmt="yuv444p", options={}),
    "gif": moving("clip.gif"),
    "apng": moving("clip.png"),
    "animated webp": moving("clip.webp"),
    "jpeg": still("picture.jpg"),
    "png": still("picture.png"),
    "webp": still("picture.webp"),
    "bmp": still("picture.bmp"),
    "tiff": still("picture.tif"),
    "demo": lambda _: "demo://street?seconds=1&fps=20&width=160&height=90",
}


@pytest.fixture(scope="module", params=SOURCES)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return SOURCES[request.param](tmp_path_factory.mktemp("source"))


def opened(spec: str) -> Source:
    return open_source(spec)


def test_frames_agree_with_what_was_announced(spec: str) -> None:
    source = opened(spec)
    info = source.info
    frames = list(source.frames(Everything()))
    source.close()
    assert info.id == spec
    assert not info.live
    assert info.still == (len(frames) == 1)
    assert info.frame_count is None or info.frame_count == pytest.approx(len(frames), rel=0.5)
    assert_as_announced(frames, info)
    assert all(frame.time_utc is None for frame in frames)
    assert (source.decoded, source.corrupt) == (len(frames), 0)


def test_order_and_time(spec: str) -> None:
    source = opened(spec)
    frames = list(source.frames(Everything()))
    source.close()
    assert_in_order(frames)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for frame in frames:
        passed = float((frame.pts - frames[0].pts) * frame.time_base)
        assert frame.time == pytest.approx(passed)


def test_the_selector_is_asked_about_every_frame_once_and_in_order(spec: str) -> None:
    source, selector = opened(spec), Everything()
    frames = list(source.frames(selector))
    source.close()
    assert selector.asked == [(frame.index, frame.time) for frame in frames]


def test_only_what_is_wanted_comes(spec: str) -> None:
    whole, source = opened(spec), opened(spec)
    everything = {frame.index: frame for frame in whole.frames(Everything())}
    wanted = list(source.frames(Periodic(0.3)))
    whole.close()
    source.close()
    assert wanted[0].index == 0
    assert len(wanted) < max(2, len(everything))
    for frame in wanted:
        same = everything[frame.index]
        assert (frame.pts, frame.time) == (same.pts, same.time)
        assert np.array_equal(frame.picture, same.picture)


def test_the_others_pass_on_request(spec: str) -> None:
    source = opened(spec)
    frames = list(source.frames(Periodic(0.3), every=True))
    source.close()
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[0].sampled
    assert len(frames) == 1 or not frames[1].sampled


def test_nothing_comes_before_the_start(spec: str) -> None:
    whole, source, full = opened(spec), opened(spec), opened(spec)
    everything = {frame.index: frame for frame in whole.frames(Everything())}
    start = max(frame.time for frame in everything.values()) / 2
    late = list(source.frames(Everything(start)))
    passing = list(full.frames(Periodic(10, start), every=True))
    for each in (whole, source, full):
        each.close()
    expected = [frame.index for frame in everything.values() if frame.time >= start]
    assert [frame.index for frame in late] == [frame.index for frame in passing] == expected
    assert late[0].discontinuity
    for frame in late:
        assert np.array_equal(frame.picture, everything[frame.index].picture)


def test_interruption_before_the_first_frame(spec: str) -> None:
    source = opened(spec)
    source.interrupt()
    assert list(source.frames(Everything())) == []
    source.close()


def test_closing_at_any_time(spec: str) -> None:
    source = opened(spec)
    frames = source.frames(Everything())
    next(frames)
    source.interrupt()
    source.close()
    source.close()


def test_nothing_reaches_the_terminal(spec: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert av.logging.get_level() is None
    source = opened(spec)
    list(source.frames(Everything()))
    source.close()
    assert capfd.readouterr() == ("", "")


def test_a_closed_source_is_freed_without_garbage_collection(spec: str) -> None:
    """Decoders, filters and frames hold megabytes, which a service would collect hours later."""
    gc.collect()
    gc.disable()
    try:
        source = opened(spec)
        frames = source.frames(Everything())
        next(frames)
        source.close()
        freed = weakref.ref(source)
        del source, frames
        assert freed() is None
        assert gc.collect() == 0
    finally:
        gc.enable()
