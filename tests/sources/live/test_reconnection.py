"""A camera that is lost again and again comes back each time, and nothing piles up."""

from itertools import cycle
from unittest.mock import Mock

import pytest

from streamcam.sources.live.capture_connection import Address, CaptureConnection
from streamcam.sources.live.live_source import LiveSource
from streamcam.types import CameraState
from tests.processes import children, descriptors, resident_bytes
from tests.servers.fixtures import StartRtsp
from tests.servers.rtsp import ServedStream
from tests.sources.live.viewer import Viewer

LOSSES = 20

STREAMS = [
    ServedStream(width=1280, height=720, rate=10, gop=5),
    ServedStream(width=320, height=240, rate=10, gop=5, codec="h265"),
    ServedStream(width=640, height=368, rate=10, codec="mjpeg"),
    ServedStream(width=1280, height=720, rate=10, gop=5, bframes=2),
]
"""The first and the last are alike in size; of the others each is another."""

# A picture of 1280x720 that stayed behind at each loss would be 55 MB in all.
ROOM = 20 << 20


def test_a_server_that_is_killed_again_and_again(rtsp_server: StartRtsp) -> None:
    streams = cycle(STREAMS)
    server = rtsp_server({"cam": next(streams)})
    Viewer(server.url()).take(1)  # which starts what all readers share
    viewer = Viewer(server.url())
    processes, files = children(), descriptors()
    others = processes - {server.pid}  # of fixtures that last longer
    shapes: list[tuple[int, ...]] = []
    times: list[tuple[float, float]] = []
    codecs: list[str | None] = []
    memory: list[int] = []
    last = (-1, -1.0)
    since = 0
    for frame in viewer.frames(within=150):
        assert (frame.index, frame.time) > last
        assert frame.time > last[1]
        last = (frame.index, frame.time)
        if frame.discontinuity:
            since = 0
            shapes.append(frame.picture.shape)
            times.append((frame.time, frame.arrival))
            codecs.append(viewer.source.status.codec)
            memory.append(resident_bytes())
        since += 1
        if since == 2:
            assert len(children() - processes) == 1
            if len(shapes) > LOSSES:
                break
            server.restart({"cam": next(streams)})
            processes = children() - (children() - processes) | {server.pid}
    assert len(shapes) == 1 + LOSSES
    assert viewer.source.status.connections == 1 + LOSSES
    assert viewer.states.count(CameraState.LIVE) == 1 + LOSSES
    assert viewer.source.decoded > last[0]
    wanted = [(s.height, s.width, 3) for s, _ in zip(cycle(STREAMS), shapes, strict=False)]
    assert shapes == wanted
    assert codecs[:4] == ["h264", "hevc", "mjpeg", "h264"]
    for time, arrival in times:
        assert time == pytest.approx(arrival - times[0][1], abs=1.0)
    assert children() - others == {server.pid}
    assert descriptors() == files
    assert max(memory) - memory[4] < ROOM


def test_times_rise_where_a_stream_ran_ahead_of_the_clock_before_it_was_lost() -> None:
    """Each connection begins at the wall clock's time, which a burst of frames may have passed."""
    source = LiveSource("cam", Address("rtsp://localhost/cam"))
    connection = Mock(spec=CaptureConnection)
    message = {
        "arrival": 0.0,
        "width": 4,
        "height": 2,
        "time_base": "1/1000",
        "waited": 0.0,
        "pts": 0,
        "unchanged": 0.0,
    }
    times = [
        source._frame({**message, "time": time}, connection).time
        for time in (0.0, 1.0, 2.0, 1.9, 1.95, 2.4)
    ]
    assert times == pytest.approx([0.0, 1.0, 2.0, 2.001, 2.002, 2.4])
