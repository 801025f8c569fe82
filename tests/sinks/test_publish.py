import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.retry import Backoff
from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.publish import PublishSink
from streamcam.types import CameraState, Picture
from tests.media import flat, number_of
from tests.processes import children
from tests.servers.client import first_frames, picture
from tests.servers.faulty import SilentServer, StallingProxy
from tests.servers.fixtures import StartRtsp
from tests.servers.rtsp import RtspServer
from tests.sinks.live import live, shown

PATIENCE = 20.0
PACE = 0.02
X264 = EncoderSettings(encoder="libx264", threads=1)


def quick() -> Backoff:
    return Backoff(first=0.05, longest=0.2)


class PictureWriter:
    """Writes numbered pictures to a sink, in real time, as long as a test needs them."""

    def __init__(self, sink: PublishSink) -> None:
        self.sink = sink
        self.written = 0
        self.index = 0
        self.size = (64, 48)
        self.picture: Callable[[int, tuple[int, int]], Picture] = shown

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        pace = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, (self.sink.state, self.sink.error)
            self.write()
            pace.wait(PACE)

    def write(self) -> None:
        result = live(self.index, self.index * PACE)
        self.sink.write(result, self.picture(self.index, self.size))
        self.written += 1
        self.index += 1

    def until_sent(self, count: int) -> None:
        goal = self.sent + count
        self.until(lambda: self.sent >= goal)

    @property
    def sent(self) -> int:
        return self.written - self.sink.dropped


@pytest.fixture
def publish() -> Iterator[Callable[..., PictureWriter]]:
    sinks: list[PublishSink] = []

    def start(url: str, **options: object) -> PictureWriter:
        sink = PublishSink(url, X264, **{"backoff": quick()} | options)  # type: ignore[arg-type]
        sinks.append(sink)
        return PictureWriter(sink)

    yield start
    for sink in sinks:
        sink.abort()


Publish = Callable[..., PictureWriter]


def taken(server: RtspServer, count: int) -> list[av.VideoFrame]:
    """Return what a server received, once there are enough frames."""
    deadline = time.monotonic() + PATIENCE
    frames: list[av.VideoFrame] = []
    pause = threading.Event()
    while len(frames) < count:
        assert time.monotonic() < deadline, f"{len(frames)} frames"
        pause.wait(PACE)
        with suppress(av.FFmpegError), av.open(str(server.published("door"))) as container:
            frames = list(container.decode(video=0))
    return frames


def command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    return ""


def test_a_server_gets_the_pictures_with_their_colours(
    rtsp_server: StartRtsp, publish: Publish
) -> None:
    server = rtsp_server({}, publish=["door"])
    camera = publish(server.url("door"))
    left, right = (200, 40, 60), (30, 90, 180)
    camera.picture = lambda _, size: np.hstack([flat(*size, left), flat(*size, right)])
    camera.until_sent(20)
    assert camera.sink.state is CameraState.LIVE
    assert camera.sink.error is None
    frames = taken(server, camera.sent)
    assert len(frames) == camera.sent
    for frame in frames:
        pixels = picture(frame).astype(int)
        np.testing.assert_allclose(pixels[24, 20], left, atol=6)
        np.testing.assert_allclose(pixels[24, 108], right, atol=6)


def test_a_viewer_sees_the_pictures_in_their_order(
    rtsp_server: StartRtsp, publish: Publish
) -> None:
    server = rtsp_server({}, publish=["door"])
    camera = publish(server.url("door"))
    camera.until_sent(1)
    seen: list[int] = []
    url = server.url("door/play")
    viewer = threading.Thread(
        target=lambda: seen.extend(number_of(picture(frame)) for frame in first_frames(url, 20))
    )
    viewer.start()
    camera.until(lambda: not viewer.is_alive())
    viewer.join()
    assert len(seen) == 20
    assert [(b - a) % 70 for a, b in pairwise(seen)].count(1) > 10


def test_a_server_that_comes_back_is_served_again(rtsp_server: StartRtsp, publish: Publish) -> None:
    server = rtsp_server({}, publish=["door"])
    camera = publish(server.url("door"))
    camera.until_sent(3)
    assert camera.sink.reconnects == 0
    server.kill()
    camera.until(lambda: camera.sink.state is CameraState.BACKING_OFF)
    assert camera.sink.error
    camera.until(lambda: "refused" in (camera.sink.error or ""))
    server.restart()
    first = camera.written
    camera.until_sent(10)
    assert camera.sink.reconnects >= 2
    assert camera.sink.error is None
    numbers = [number_of(picture(frame)) for frame in taken(server, 10)]
    assert (numbers[0] - first) % 70 <= camera.written - first
    assert [(b - a) % 70 for a, b in pairwise(numbers)].count(1) >= 5


def test_a_process_that_was_killed_is_replaced(
    rtsp_server: StartRtsp, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    server = rtsp_server({}, publish=["door"])
    before = children()
    camera = publish(server.url("door"))
    camera.until_sent(1)
    (process,) = children() - before
    os.kill(process, signal.SIGKILL)
    camera.until(lambda: camera.sink.reconnects == 1)
    assert "its process has ended" in caplog.text
    camera.until_sent(3)


def test_a_picture_of_another_size_begins_another_stream(
    rtsp_server: StartRtsp, publish: Publish
) -> None:
    server = rtsp_server({}, publish=["door"])
    camera = publish(server.url("door"))
    camera.until_sent(3)
    camera.size = (101, 75)
    camera.until_sent(10)
    assert camera.sink.reconnects == 0
    camera.until(lambda: taken(server, 1)[-1].width == 102)
    assert {frame.height for frame in taken(server, 5)} == {76}


SECRETS = ("s3cret", "p%40ss", "p@ss", "t0ken")


def test_credentials_are_shown_nowhere(
    rtsp_server: StartRtsp, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    server = rtsp_server({}, publish=["door"], password="s3cretp@ss")
    wrong = server.url("door", "admin", "s3cretp@ssx")
    camera = publish(wrong + "?token=t0ken")
    commands: set[str] = set()

    def tried_again() -> bool:
        commands.update(map(command, children()))
        return camera.sink.reconnects >= 1

    with caplog.at_level(0):
        camera.until(tried_again)
    assert "401" in (camera.sink.error or "")
    lists = [command for command in commands if "fork_server" in command]
    assert lists
    shown = f"{camera.sink.url} {camera.sink.error} {caplog.text} {lists}"
    assert not [secret for secret in SECRETS if secret in shown]
    names = [thread.name for thread in threading.enumerate()]
    assert not [secret for secret in SECRETS if secret in str(names)]


def test_the_right_password_lets_in(rtsp_server: StartRtsp, publish: Publish) -> None:
    server = rtsp_server({}, publish=["door"], password="s3cretp@ss")
    camera = publish(server.url("door", "admin", "s3cretp@ss"))
    camera.until_sent(5)
    assert camera.sink.state is CameraState.LIVE


def test_a_server_that_says_nothing_is_given_up_and_tried_again(publish: Publish) -> None:
    with SilentServer() as server:
        camera = publish(server.url(), timeout=1.0)
        before = children()
        camera.until(lambda: camera.sink.reconnects >= 2)
        assert "no answer in 1 s" in (camera.sink.error or "")
        assert camera.sent == 0
        assert camera.sink.dropped == camera.written
        assert len(children() - before) <= 1, "hung processes are ended"
        camera.sink.abort()
        assert children() <= before


def test_a_server_that_takes_nothing_more_holds_nobody_up(
    rtsp_server: StartRtsp, publish: Publish
) -> None:
    server = rtsp_server({}, publish=["door"])
    noise = np.random.default_rng(0)
    with StallingProxy(server.port) as proxy:
        camera = publish(proxy.in_front_of(server.url("door")), timeout=1.0)
        camera.until_sent(3)
        camera.picture = lambda _, size: noise.integers(0, 255, (size[1], size[0], 3), np.uint8)
        camera.size = (640, 480)
        camera.until_sent(3)
        proxy.stall()
        camera.until(lambda: "no answer" in (camera.sink.error or ""))
        proxy.resume()
        camera.until_sent(3)
    camera.sink.abort()


class Incoming:
    """What comes in at a socket, as a file."""

    def __init__(self, connection: socket.socket) -> None:
        self.read = connection.recv


@contextmanager
def listening(scheme: str, most: int | None = None) -> Iterator[tuple[str, list[av.VideoFrame]]]:
    """Receive frames, up to a number or to the end."""
    seen: list[av.VideoFrame] = []

    def read(listener: socket.socket) -> None:
        connection = listener.accept()[0] if scheme == "tcp" else listener
        with connection, av.open(Incoming(connection), format="mpegts") as container:
            seen.extend(islice(container.decode(video=0), most))

    kind = socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM
    with socket.socket(type=kind) as listener:
        listener.settimeout(PATIENCE)
        listener.bind(("127.0.0.1", 0))
        if scheme == "tcp":
            listener.listen()
        reader = threading.Thread(target=read, args=(listener,))
        reader.start()
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", seen
        reader.join()


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_mpegts_goes_out_as_its_scheme_says(publish: Publish, scheme: str) -> None:
    with listening(scheme, most=10) as (address, seen):
        camera = publish(address)
        camera.until(lambda: len(seen) == 10)
    numbers = [number_of(picture(frame)) for frame in seen]
    assert [(b - a) % 70 for a, b in pairwise(numbers)].count(1) >= 5


def test_what_was_handed_over_is_sent_before_the_end(publish: Publish) -> None:
    with listening("tcp") as (address, seen):
        camera = publish(address)
        camera.until_sent(15)
        last = camera.written - 1
        camera.sink.finish()
        assert camera.sink.state is CameraState.STOPPED
    assert len(seen) == camera.sent == 15
    assert number_of(picture(seen[-1])) == last % 70


def test_frames_keep_their_distance_in_time(publish: Publish) -> None:
    with listening("tcp") as (address, seen):
        camera = publish(address)
        camera.until_sent(15)
        camera.index += 7  # as if these had been dropped
        camera.until_sent(5)
        camera.sink.finish()
    numbers = np.array([number_of(picture(frame)) for frame in seen])
    times = np.array([frame.time for frame in seen])
    steps = np.diff(numbers) % 70
    assert steps.max() >= 8
    np.testing.assert_allclose(np.diff(times), steps * PACE, atol=1e-4)


def test_pictures_from_before_the_connection_are_dropped_and_counted(publish: Publish) -> None:
    with SilentServer() as server:
        camera = publish(server.url())
        for _ in range(50):
            camera.write()
        assert camera.sink.dropped == 50
        assert camera.sink.state is CameraState.CONNECTING


def test_after_the_end_nothing_is_sent_and_nothing_runs(
    rtsp_server: StartRtsp, publish: Publish
) -> None:
    server = rtsp_server({}, publish=["door"])
    before = children()
    camera = publish(server.url("door"))
    camera.until_sent(1)
    camera.sink.abort()
    camera.sink.abort()
    sent = camera.sent
    camera.write()
    assert camera.sent == sent
    assert children() <= before


def test_an_end_before_the_beginning(publish: Publish) -> None:
    camera = publish("rtsp://127.0.0.1:1/door")
    assert camera.sink.finish() is None
    camera.write()
    assert camera.sink.state is CameraState.STOPPED
    assert camera.sink.dropped == 1


def test_a_picture_is_demanded(publish: Publish) -> None:
    with pytest.raises(ValueError, match="picture"):
        publish("rtsp://127.0.0.1:1/door").sink.write(live(0, 0.0), None)


@pytest.mark.parametrize("url", ["gopher://user:s3cret@host/x", "/dev/video0", "host/path"])
def test_a_url_that_says_nothing_of_how_to_publish_is_refused(url: str) -> None:
    with pytest.raises(SinkError, match="cannot be published to") as raised:
        PublishSink(url)
    assert "rtsp://" in (raised.value.hint or "")
    assert "s3cret" not in raised.value.message


class Jumping(Clock):
    """A clock that is a minute later each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 60.0
        return self.now


@pytest.mark.parametrize(("clock", "pause"), [(Jumping(), 10.0), (Clock(), 20.0)])
def test_only_a_connection_that_held_makes_the_next_pause_short(
    rtsp_server: StartRtsp, publish: Publish, clock: Clock, pause: float
) -> None:
    server = rtsp_server({}, publish=["door"])
    backoff = Backoff(first=10.0, longest=100.0, random=lambda: 1.0)
    backoff.next()
    camera = publish(server.url("door"), clock=clock, backoff=backoff)
    camera.until_sent(1)
    server.kill()
    camera.until(lambda: camera.sink.state is CameraState.BACKING_OFF)
    camera.sink.abort()
    assert backoff.next() == 2 * pause
