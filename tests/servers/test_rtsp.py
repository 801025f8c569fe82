"""The RTSP server shows, guards and takes what the tests of live sources rely on."""

import os
import socket
import threading
import time
from contextlib import suppress
from fractions import Fraction

import av
import pytest

from tests.media import X264, number_of, numbered
from tests.servers import rtsp
from tests.servers.client import OVER_TCP, PATIENCE, first_frames, frames, picture
from tests.servers.fixtures import StartRtsp
from tests.servers.rtsp import Codec, ServedStream


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_shows_a_pattern(rtsp_server: StartRtsp, codec: Codec) -> None:
    server = rtsp_server({"cam": ServedStream(width=160, height=96, codec=codec, pattern="red")})
    (frame,) = first_frames(server.url(), 1)
    assert (frame.width, frame.height) == (160, 96)
    red, green, blue = picture(frame).reshape(-1, 3).mean(axis=0)
    assert red > 245
    assert max(green, blue) < 10


def test_shows_pictures_again_and_again_and_other_sizes_amid_the_stream(
    rtsp_server: StartRtsp,
) -> None:
    pictures = [*numbered(20), *numbered(20, 128, 96)]
    server = rtsp_server({"cam": ServedStream(pictures=pictures, rate=50)})
    shown = first_frames(server.url(), 60)
    expected = [(index % 20, 64 if index % 40 < 20 else 128) for index in range(60)]
    assert [(number_of(picture(frame)), frame.width) for frame in shown] == expected


def test_shows_pictures_as_jpeg(rtsp_server: StartRtsp) -> None:
    server = rtsp_server({"cam": ServedStream(pictures=numbered(70), codec="mjpeg")})
    shown = [number_of(picture(frame)) for frame in first_frames(server.url(), 30)]
    assert shown == [(shown[0] + index) % 70 for index in range(30)]


def test_begins_anew_for_each_client_unless_it_is_shared(rtsp_server: StartRtsp) -> None:
    pictures = numbered(70)
    streams = {
        "own": ServedStream(pictures=pictures),
        "cam": ServedStream(pictures=pictures, shared=True),
    }
    server = rtsp_server(streams)
    begun = {}
    for path in streams:
        first = frames(server.url(path))
        for _ in range(10):
            next(first)
        begun[path] = number_of(picture(first_frames(server.url(path), 1)[0]))
        first.close()
    assert begun["own"] == 0
    assert begun["cam"] > 0


def test_looks_ahead_with_b_frames_only_where_asked(rtsp_server: StartRtsp) -> None:
    streams = {
        "ahead": ServedStream(pictures=numbered(40), bframes=2),
        "cam": ServedStream(pictures=numbered(40), gop=10),
    }
    server = rtsp_server(streams)
    kinds = {
        path: "".join(
            av.video.frame.PictureType(frame.pict_type).name
            for frame in first_frames(server.url(path), 10)
        )
        for path in streams
    }
    assert kinds == {"ahead": "IBBPBBPBBP", "cam": "IPPPPPPPPP"}


def test_sends_sound_beside_the_pictures(rtsp_server: StartRtsp) -> None:
    server = rtsp_server({"cam": ServedStream(audio=True)})
    with av.open(server.url(), options=OVER_TCP, timeout=PATIENCE) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_lets_in_only_who_knows_the_password(rtsp_server: StartRtsp, scheme: str) -> None:
    password = "s3 /cr@t"
    server = rtsp_server(password=password, scheme=scheme)
    for login in [(), ("admin", "wrong"), ("someone", password)]:
        with pytest.raises(av.error.HTTPUnauthorizedError):
            first_frames(server.url("cam", *login), 1)
    assert first_frames(server.url("cam", "admin", password), 1)


def test_knows_its_paths(rtsp_server: StartRtsp) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        first_frames(rtsp_server().url("nowhere"), 1)


def test_comes_back_at_the_same_port_with_another_stream(rtsp_server: StartRtsp) -> None:
    server = rtsp_server({"cam": ServedStream(width=160, height=96)})
    url, before = server.url(), server.pid
    stream = frames(url)
    assert next(stream).width == 160
    server.kill()
    with suppress(av.error.FFmpegError):  # or it just ends
        for _ in stream:
            pass
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    server.restart({"cam": ServedStream(width=320, height=240)})
    assert server.url() == url
    assert first_frames(url, 1)[0].width == 320


def publish(url: str, over: threading.Event, began: threading.Event) -> None:
    """Publish pictures in real time until told that it is over."""
    pictures = numbered(70)
    with av.open(url, "w", format="rtsp", options=OVER_TCP) as container:
        stream = container.add_stream("libx264", rate=25, options=X264 | {"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 10
        start = time.monotonic()
        index = 0
        while not over.wait(max(0.0, start + index / 25 - time.monotonic())):
            frame = av.VideoFrame.from_ndarray(pictures[index % 70], format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
            index += 1
            began.set()


def test_takes_a_stream_and_gives_it_on(rtsp_server: StartRtsp) -> None:
    server = rtsp_server({}, publish=["in"])
    over, began = threading.Event(), threading.Event()
    publisher = threading.Thread(target=publish, args=(server.url("in"), over, began))
    publisher.start()
    try:
        assert began.wait(PATIENCE)
        given = [number_of(picture(frame)) for frame in first_frames(server.url("in/play"), 20)]
    finally:
        over.set()
        publisher.join()
    assert given == [(given[0] + index) % 70 for index in range(20)]
    server.terminate()
    with av.open(str(server.published("in"))) as container:
        kept = [number_of(picture(frame)) for frame in container.decode(video=0)]
    assert kept == list(range(len(kept)))
    assert len(kept) >= 20


def test_says_that_it_could_not_start() -> None:
    rtsp.require()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = rtsp.RtspServer()
        server.port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=r"did not start.*taken"):
            server.__enter__()


def test_is_missed_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp, "missing", lambda: "GStreamer lacks x264enc")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"lacks x264enc.*make test-packages"):
        rtsp.require()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"lacks x264enc.*make test-packages"):
        rtsp.require()
