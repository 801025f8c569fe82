"""What every live source keeps, whatever it reads; see also `tests.sources.test_conformance`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from streamcam.types import CameraState, Frame
from tests.media import numbered, write_video
from tests.processes import children
from tests.servers import rtsp
from tests.servers.http import StreamHttpServer
from tests.servers.rtsp import RtspServer, ServedStream
from tests.sources.assertions import assert_as_announced, assert_in_order
from tests.sources.live.viewer import Viewer
from tests.sources.selectors import Everything, Periodic

COUNT = 12


@pytest.fixture(scope="module")
def http_server() -> Iterator[StreamHttpServer]:
    with StreamHttpServer(hls=True) as server:
        yield server


@pytest.fixture(scope="module")
def rtsp_server() -> Iterator[RtspServer]:
    rtsp.require()
    streams = {codec: ServedStream(codec=codec) for codec in ("h264", "h265", "mjpeg")}
    with RtspServer(streams) as server:
        yield server


SOURCES = {
    "lavfi": ("lavfi", "testsrc2=size=64x48:rate=25"),
    "demo": ("demo", "demo://street?fps=20&width=160&height=90"),
    "file": ("file", "clip.mp4"),
    "RTSP H.264": ("rtsp", "h264"),
    "RTSP H.265": ("rtsp", "h265"),
    "RTSP MJPEG": ("rtsp", "mjpeg"),
    "HTTP MJPEG": ("http", "mjpeg"),
    "HTTP MPEG-TS": ("http", "stream.ts"),
    "HLS": ("http", "live.m3u8"),
}


def viewer(request: pytest.FixtureRequest, kind: str, place: str, folder: Path) -> Viewer:
    match kind:
        case "lavfi":
            return Viewer(place, format="lavfi")
        case "file":
            clip = write_video(folder / place, numbered(60), options={"bf": "3", "g": "12"})
            return Viewer(str(clip))
        case "rtsp":
            return Viewer(request.getfixturevalue("rtsp_server").url(place))
        case "http":
            return Viewer(request.getfixturevalue("http_server").url(place))
    return Viewer(place)


@dataclass
class LiveRun:
    """One iteration over a source, ended by an interruption."""

    viewer: Viewer
    selector: Everything
    frames: list[Frame]
    begun: datetime
    ended: datetime


@pytest.fixture(scope="module", params=SOURCES)
def live_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    kind, place = SOURCES[request.param]
    made = viewer(request, kind, place, tmp_path_factory.mktemp("source"))
    selector, frames = Everything(), []
    begun = datetime.now(UTC)
    for frame in made.frames(selector):
        frames.append(frame)
        if len(frames) == COUNT:
            made.source.interrupt()
    return LiveRun(made, selector, frames, begun, datetime.now(UTC))


def test_an_interruption_ends_it(live_run: LiveRun) -> None:
    assert len(live_run.frames) == COUNT
    assert live_run.viewer.states == [CameraState.LIVE, CameraState.STOPPED]
    assert live_run.viewer.source.status.connections == 1
    assert live_run.viewer.source.status.killed == 0


def test_frames_agree_with_what_was_announced(live_run: LiveRun) -> None:
    source = live_run.viewer.source
    assert_as_announced(live_run.frames, source.info)
    assert source.info.live
    assert not source.info.still
    assert source.info.duration is source.info.frame_count is source.info.path is None
    assert source.decoded > live_run.frames[-1].index
    assert source.corrupt == 0


def test_order_and_time(live_run: LiveRun) -> None:
    assert_in_order(live_run.frames)


def test_time_is_real_time(live_run: LiveRun) -> None:
    """By timestamps where they mean something: what is asked for at first may come in a burst.

    RTSP's first two frames may bear the same timestamp, which costs a step.
    """
    first, last = live_run.frames[0], live_run.frames[-1]
    stamped = float((last.pts - first.pts) * last.time_base)
    passed = last.arrival - first.arrival
    assert min(abs(last.time - stamped), abs(last.time - passed)) < 0.05
    assert last.time == pytest.approx(passed, abs=1.5)
    for before, after in pairwise(live_run.frames):
        assert after.arrival >= before.arrival
    for frame in live_run.frames:
        assert frame.time_utc is not None
        assert live_run.begun - timedelta(seconds=1) < frame.time_utc < live_run.ended


def test_the_selector_is_asked_about_what_comes_and_nothing_else(live_run: LiveRun) -> None:
    assert live_run.selector.asked == [(frame.index, frame.time) for frame in live_run.frames]


def test_only_what_is_wanted_leaves_the_reader() -> None:
    watching = Viewer("testsrc2=size=64x48:rate=50:d=1", format="lavfi")
    selector = Periodic(0.3)
    frames = list(watching.frames(selector))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.3, 0.6, 0.9], abs=0.06)
    assert [frame.index for frame in frames] == pytest.approx([0, 15, 30, 45], abs=3)
    assert selector.asked == [(frame.index, frame.time) for frame in frames]
    assert watching.source.decoded == 50, "the others are counted all the same"


@pytest.mark.parametrize("url", ["testsrc2=size=64x48:rate=25:d=0.4", "demo://street?seconds=0.4"])
def test_what_is_made_here_may_end(url: str) -> None:
    watching = Viewer(url, format=None if "://" in url else "lavfi")
    frames = list(watching.frames())
    assert_in_order(frames)
    minimum = 1 if url.startswith("demo") else 10  # frames drawn too late are left out
    assert minimum <= watching.source.decoded <= 10
    assert watching.states == [CameraState.LIVE, CameraState.STOPPED]


def test_a_caller_that_was_busy_gets_what_is_new() -> None:
    watching = Viewer("testsrc2=size=64x48:rate=25", format="lavfi")
    frames = watching.frames()
    first = next(frames)
    while watching.source.decoded and first.arrival + 0.5 > watching.source._clock.monotonic():
        pass
    second = next(frames)
    frames.close()  # type: ignore[attr-defined] # it is a generator
    assert second.arrival >= first.arrival + 0.5
    assert second.index > first.index + 10
    assert not second.discontinuity


def test_interruption_before_the_first_frame() -> None:
    before = children()
    watching = Viewer("testsrc2=size=64x48:rate=25", format="lavfi")
    watching.source.interrupt()
    assert list(watching.frames()) == []
    assert watching.source.status.state is CameraState.STOPPED
    assert children() == before


def test_closing_at_any_time() -> None:
    watching = Viewer("testsrc2=size=64x48:rate=25", format="lavfi")
    frames = watching.frames()
    next(frames)
    watching.source.interrupt()
    watching.source.close()
    watching.source.close()
    assert list(frames) == []


def test_passing_on_all_frames_is_not_for_live_sources() -> None:
    with pytest.raises(ValueError, match="wanted frames only"):
        next(Viewer("testsrc2", format="lavfi").source.frames(Everything(), every=True))


def test_nothing_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    list(Viewer("testsrc2=size=64x48:rate=25:d=0.2", format="lavfi").frames())
    list(Viewer("no_such_filter", format="lavfi", reconnect=True).frames(within=0.5))
    assert capfd.readouterr() == ("", "")
