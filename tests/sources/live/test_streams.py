"""What cameras send arrives: the right pictures, in order, with an honest age."""

from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import quote

import numpy as np
import pytest

from streamcam.errors import SourceUnavailableError
from streamcam.types import CameraState, Frame
from tests.media import number_of, numbered
from tests.servers import rtsp
from tests.servers.http import StreamHttpServer
from tests.servers.rtsp import RtspServer, ServedStream
from tests.sources.live.viewer import Viewer

PASSWORD = "p@ss:/w?o#r%d &=+é"
"""All that has to be encoded in a URL."""

COUNT = 20


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspServer]:
    rtsp.require()
    pictures = numbered(70)
    streams = {
        "h264": ServedStream(pictures=pictures),
        "bframes": ServedStream(pictures=pictures, bframes=2),
        "h265": ServedStream(pictures=pictures, codec="h265"),
        "mjpeg": ServedStream(pictures=pictures, codec="mjpeg"),
        "still": ServedStream(pattern="red"),
    }
    with RtspServer(streams) as server:
        yield server


@pytest.fixture(scope="module")
def http_server() -> Iterator[StreamHttpServer]:
    with StreamHttpServer(hls=True) as server:
        yield server


def assert_numbers_in_step(frames: list[Frame]) -> None:
    """State that each picture is the one that its frame's place says, in a loop of 70."""
    for before, after in pairwise(frames):
        pictures = number_of(after.picture) - number_of(before.picture)
        assert pictures % 70 == after.index - before.index


@pytest.mark.parametrize(
    ("path", "codec", "held_back"),
    [
        ("h264", "h264", False),
        ("bframes", "h264", True),
        ("h265", "hevc", False),
        ("mjpeg", "mjpeg", False),
    ],
)
def test_rtsp(camera: RtspServer, path: str, codec: str, held_back: bool) -> None:
    waited: list[float] = []
    viewer = Viewer(camera.url(path))
    frames = []
    for frame in viewer.frames():
        frames.append(frame)
        waited.append(viewer.source.status.waited)
        if len(frames) == COUNT:
            break
    assert viewer.source.status.codec == codec
    assert viewer.source.info.frame_rate == 25
    assert_numbers_in_step(frames)
    if held_back:
        # Frames of 40 ms in the order 0 3 1 2: one of three waits for two steps and more.
        assert 0.04 < np.mean(waited) < 0.2
        assert max(waited) > 0.08
    else:
        assert np.median(waited) < 0.02


@pytest.mark.parametrize("path", ["mjpeg", "stream.ts", "live.m3u8"])
def test_http(http_server: StreamHttpServer, path: str) -> None:
    frames = Viewer(http_server.url(path)).take(COUNT)
    assert_numbers_in_step(frames)


def test_hls_comes_as_evenly_as_it_was_filmed(http_server: StreamHttpServer) -> None:
    """Though its segments of half a second come in one piece each."""
    frames = Viewer(http_server.url("live.m3u8")).take(2 * COUNT)
    gaps = [after.arrival - before.arrival for before, after in pairwise(frames)]
    assert float(np.percentile(gaps, 90)) < 0.12
    assert frames[-1].time == pytest.approx(frames[-1].arrival - frames[0].arrival, abs=0.1)


def test_unchanged_pictures_are_detected(camera: RtspServer) -> None:
    still = Viewer(camera.url("still")).take(COUNT)
    assert still[0].unchanged == 0
    assert still[-1].unchanged == pytest.approx(still[-1].arrival - still[0].arrival, abs=0.05)
    assert [frame.unchanged for frame in Viewer(camera.url("mjpeg")).take(5)] == [0] * 5


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_rtsp_with_a_password(scheme: str) -> None:
    rtsp.require()
    with RtspServer(user="ad&min", password=PASSWORD, scheme=scheme) as server:
        Viewer(server.url("cam", "ad&min", PASSWORD)).take(3)
        assert_denied(Viewer(server.url("cam", "ad&min", "wr0ng&pass"), reconnect=False))


def test_http_with_a_password() -> None:
    with StreamHttpServer(password=PASSWORD) as server:
        Viewer(server.url("mjpeg", "admin", quote(PASSWORD, ""))).take(3)
        assert_denied(Viewer(server.url("mjpeg", "admin", "wr0ng&pass"), reconnect=False))


def assert_denied(viewer: Viewer) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        viewer.take(1)
    assert caught.value.message == "cam: access is denied"
    assert caught.value.hint == "Check user, password and permissions."
    assert viewer.states == [CameraState.STOPPED]
    assert viewer.source.status.error is caught.value
