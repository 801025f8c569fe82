"""Servers and readers that fail in every way: reported, contained, and followed by a reconnect."""

import os
import re
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import numpy as np
import pytest

from streamcam.clock import Clock
from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.retry import Backoff
from streamcam.sources.limits import Limits
from streamcam.sources.live import LiveStatus, Timeouts
from streamcam.types import CameraState, Frame
from tests.media import flat
from tests.processes import children, descriptors, eventually, state_of
from tests.servers.faulty import DripServer, GarbageServer, SilentServer, StallingProxy
from tests.servers.fixtures import StartRtsp
from tests.servers.http import StreamHttpServer
from tests.servers.rtsp import ServedStream
from tests.servers.tcp import TcpServer
from tests.sources.live.viewer import QUICK, Viewer, watched

CAMERA = "testsrc2=size=64x48:rate=25"

# FFmpeg reads an answer of RTSP byte by byte: of megabytes of noise a busy machine has for long.
NOISE = 1 << 16

FAULTY: dict[str, tuple[Callable[[], TcpServer], str]] = {
    "silent": (SilentServer, "rtsp"),
    "silent over HTTP": (SilentServer, "http"),
    "dripping": (lambda: DripServer(0.1), "rtsp"),
    "dripping over HTTP": (lambda: DripServer(0.1), "http"),
    "noise": (lambda: GarbageServer("noise", limit=NOISE), "rtsp"),
    "noise over HTTP": (lambda: GarbageServer("noise", limit=NOISE), "http"),
    "MPEG-TS of noise": (lambda: GarbageServer("mpegts", limit=1 << 20), "http"),
    "RTP of noise": (lambda: GarbageServer("rtp"), "rtsp"),
}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    processes = children()
    yield
    assert eventually(lambda: children() <= processes), "a reader was left behind"


def reader_of(others: set[int]) -> int:
    """Return the process of the one reader that was started since."""
    assert eventually(lambda: len(children() - others) == 1)
    (pid,) = children() - others
    return pid


def test_faulty_servers_are_reported_and_affect_no_others() -> None:
    """All at once, beside a camera that is well."""
    viewers = {}
    with ExitStack() as stack:
        for name, (make, scheme) in FAULTY.items():
            # Garbage is rejected at once, but by many readers on a busy machine.
            timeouts = Timeouts(opening=1.5 if name.startswith(("silent", "drip")) else 30.0)
            url = stack.enter_context(make()).url(scheme)
            viewers[name] = stack.enter_context(watched(url, timeouts=timeouts))
        sound = Viewer(CAMERA, format="lavfi")
        frames = []
        for frame in sound.frames():
            frames.append(frame)
            if all(viewer.errors for viewer in viewers.values()):
                break
    errors = {name: viewer.errors[0] for name, viewer in viewers.items()}
    for name in ("silent", "silent over HTTP", "dripping", "dripping over HTTP"):
        assert errors[name] == "cam: did not answer for 1.5 s"
        assert viewers[name].source.status.killed >= 1
    for name in ("noise", "noise over HTTP", "MPEG-TS of noise"):
        assert re.match("cam: (sends nothing that can be read|cannot be reached):", errors[name])
        assert viewers[name].source.status.killed == 0
    assert "sends nothing that can be decoded" in errors["RTP of noise"]
    assert viewers["RTP of noise"].source.corrupt > 10
    assert sound.states == [CameraState.LIVE]
    assert [frame.discontinuity for frame in frames] == [True] + [False] * (len(frames) - 1)


def test_a_camera_with_larger_frames_than_the_limits_allow() -> None:
    viewer = Viewer(CAMERA, format="lavfi", limits=Limits(frame_pixels=3000), reconnect=False)
    with pytest.raises(SourceError, match=r"^cam: 64x48 pixels .* limits\.frame_pixels") as caught:
        viewer.take(1)
    assert caught.value.hint == "Make it smaller, or raise the limit in the configuration."
    assert viewer.states == [CameraState.STOPPED]


@pytest.mark.parametrize("name", ["silent", "dripping over HTTP"])
def test_an_interruption_ends_each_wait(name: str) -> None:
    make, scheme = FAULTY[name]
    ended = threading.Event()
    with make() as server:
        viewer = Viewer(server.url(scheme), timeouts=Timeouts(opening=60, reading=60))
        thread = threading.Thread(target=lambda: (list(viewer.frames()), ended.set()))
        thread.start()
        assert eventually(lambda: server.accepted == 1)
        assert not ended.wait(0.2)
        viewer.source.interrupt()
        assert ended.wait(5.0)
        thread.join()
    assert viewer.states[-1] is CameraState.STOPPED
    assert CameraState.BACKING_OFF not in viewer.states


def test_an_interruption_ends_a_pause() -> None:
    viewer = Viewer("rtsp://127.0.0.1:1/cam", backoff=Backoff(100.0, 100.0))
    lost = threading.Event()
    viewer.on_change = lambda status: (
        lost.set() if status.state is CameraState.BACKING_OFF else None
    )
    thread = threading.Thread(target=lambda: list(viewer.frames()))
    thread.start()
    assert lost.wait(10)
    viewer.source.interrupt()
    thread.join(1.0)
    assert not thread.is_alive()
    assert "does not answer" in viewer.errors[0]


def test_a_network_that_stalls(rtsp_server: StartRtsp) -> None:
    """First it is said, then the connection is given up, and at last all is well again."""
    server = rtsp_server({"cam": ServedStream(gop=5)})
    with StallingProxy(server.port) as proxy:
        viewer = Viewer(proxy.in_front_of(server.url()), timeouts=QUICK)
        seen: list[tuple[LiveStatus, Frame]] = []
        for frame in viewer.frames():
            seen.append((viewer.source.status, frame))
            if len(seen) == 10:
                proxy.stall()
                threading.Timer(2.5, proxy.resume).start()
            if viewer.source.status.connections > 1 and len(seen) > 15:
                break
    states = viewer.states[: viewer.states.index(CameraState.BACKING_OFF) + 1]
    assert states == [CameraState.LIVE, CameraState.STALLED, CameraState.BACKING_OFF]
    assert viewer.errors[0] == "cam: sent nothing for 1.5 s"
    assert viewer.states[-1] is CameraState.LIVE
    assert viewer.source.status.error is None
    assert viewer.source.status.killed >= 1
    assert_goes_on([frame for _, frame in seen], breaks=1)


def test_a_short_stall_is_no_loss() -> None:
    with StreamHttpServer() as server, StallingProxy(server.port) as proxy:
        viewer = Viewer(proxy.in_front_of(server.url("mjpeg")), timeouts=Timeouts(30, 30, 60, 0.5))
        viewer.on_change = lambda status: (
            proxy.resume() if status.state is CameraState.STALLED else None
        )
        frames = []
        for frame in viewer.frames():
            frames.append(frame)
            if len(frames) == 5:
                proxy.stall()
            if len(frames) == 15:
                break
    assert viewer.states == [CameraState.LIVE, CameraState.STALLED, CameraState.LIVE]
    assert viewer.source.status.connections == 1
    assert_goes_on(frames, breaks=0)


def assert_goes_on(frames: list[Frame], breaks: int) -> None:
    """State that number and time grow, and so often anew."""
    assert np.all(np.diff([frame.index for frame in frames]) > 0)
    assert np.all(np.diff([frame.time for frame in frames]) > 0)
    assert [frame.discontinuity for frame in frames].count(True) == 1 + breaks
    for frame in frames:
        assert frame.time == pytest.approx(frame.arrival - frames[0].arrival, abs=1.0)


def test_a_reader_that_hangs_is_killed_and_one_that_crashes_is_reported() -> None:
    others = children()
    viewer = Viewer(CAMERA, format="lavfi", timeouts=QUICK)
    frames, pids = [], []
    for frame in viewer.frames():
        frames.append(frame)
        if frame.discontinuity and len(pids) < 2:
            pids.append(reader_of(others))
            os.kill(pids[-1], signal.SIGSTOP if len(pids) == 1 else signal.SIGSEGV)
        elif frame.discontinuity:
            break
    assert viewer.errors == ["cam: sent nothing for 1.5 s", "cam: its reader crashed (SIGSEGV)"]
    assert viewer.source.status.killed == 1
    assert viewer.source.status.connections == 3
    assert not any(state_of(pid) for pid in pids)
    assert_goes_on(frames, breaks=2)


def test_a_hanging_reader_does_not_hold_up_the_end() -> None:
    others = children()
    viewer = Viewer(CAMERA, format="lavfi", timeouts=Timeouts())
    thread = threading.Thread(target=lambda: list(viewer.frames()))
    thread.start()
    assert eventually(lambda: viewer.states == [CameraState.LIVE])
    os.kill(reader_of(others), signal.SIGSTOP)
    viewer.source.interrupt()
    thread.join(5.0)
    assert not thread.is_alive()


def test_no_room_for_a_reader_is_a_loss_like_any_other() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    viewer = Viewer(CAMERA, format="lavfi")

    def make_room(_: LiveStatus) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    viewer.on_change = make_room
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(), hard))
    try:
        viewer.take(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert viewer.errors == ["cam: its reader cannot be started: Too many open files"]


def test_without_reconnection_the_loss_is_raised(rtsp_server: StartRtsp) -> None:
    server = rtsp_server()
    viewer = Viewer(server.url(), reconnect=False)
    frames = viewer.frames()
    next(frames)
    server.kill()
    with pytest.raises(SourceUnavailableError, match="cam: ") as caught:
        list(frames)
    assert viewer.states == [CameraState.LIVE, CameraState.STOPPED]
    assert viewer.source.status.error is caught.value


def test_a_change_of_resolution_in_mid_stream(rtsp_server: StartRtsp) -> None:
    small, large = flat(160, 120, (200, 0, 0)), flat(320, 240, (0, 0, 200))
    server = rtsp_server({"cam": ServedStream(pictures=[small] * 20 + [large] * 200, gop=10)})
    viewer = Viewer(server.url())
    frames = []
    for frame in viewer.frames():
        frames.append(frame)
        if frame.picture.shape[0] == 240 and len(frames) > 1 and not frame.discontinuity:
            break
    shapes = [frame.picture.shape for frame in frames]
    change = shapes.index((240, 320, 3))
    assert shapes == [(120, 160, 3)] * change + [(240, 320, 3)] * (len(frames) - change)
    assert change > 0
    assert [f.discontinuity for f in frames] == [i in (0, change) for i in range(len(frames))]
    for frame in frames:
        colour = (200, 0, 0) if frame.picture.shape[0] == 120 else (0, 0, 200)
        assert np.allclose(frame.picture.mean(axis=(0, 1)), colour, atol=12)
    assert (viewer.source.info.width, viewer.source.info.height) == (320, 240)
    assert viewer.source.status.connections == 1


class Steps(Clock):
    """A wall clock that somebody sets back by an hour, again and again."""

    def __init__(self) -> None:
        self.asked = 0

    def utc(self) -> datetime:
        self.asked += 1
        return datetime(2030, 1, 1, 12 - self.asked % 2, tzinfo=UTC)


def test_a_clock_that_is_set_back_changes_nothing_but_its_own_time() -> None:
    viewer = Viewer(CAMERA, format="lavfi", clock=Steps())
    frames = viewer.take(20)
    assert_goes_on(frames, breaks=0)
    assert viewer.states == [CameraState.LIVE]
    hours = {frame.time_utc.hour for frame in frames if frame.time_utc is not None}
    assert len(hours) > 1
