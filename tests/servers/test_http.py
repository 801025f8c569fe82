"""The streams over HTTP are what they say they are, in real time."""

import time
import urllib.request

import av
import pytest

from tests.media import number_of
from tests.servers.client import first_frames, picture
from tests.servers.http import RATE, StreamHttpServer

FIRST = 30


def numbers(url: str, count: int = FIRST) -> list[int]:
    return [number_of(picture(frame)) for frame in first_frames(url, count)]


@pytest.mark.parametrize("path", ["mjpeg", "stream.ts"])
def test_shows_its_pictures_in_order_and_in_real_time(path: str) -> None:
    with StreamHttpServer() as server:
        start = time.monotonic()
        assert numbers(server.url(path)) == list(range(FIRST))
        assert time.monotonic() - start >= (FIRST - 1) / RATE


def test_hls_begins_near_the_end_and_slides() -> None:
    with StreamHttpServer(hls=True) as server:
        before = playlist(server)
        shown = numbers(server.url("live.m3u8"), 40)
        after = playlist(server)
    assert shown == [(shown[0] + index) % 70 for index in range(40)]
    assert "#EXT-X-ENDLIST" not in before + after
    assert not {*segments(after)} <= {*segments(before)}
    assert len(segments(after)) <= 6


def playlist(server: StreamHttpServer) -> str:
    with urllib.request.urlopen(server.url("live.m3u8")) as answer:
        return str(answer.read(), "utf-8")


def segments(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line.endswith(".ts")]


def test_lets_in_only_who_knows_the_password() -> None:
    with StreamHttpServer(password="secret", hls=True) as server:
        for path in ("mjpeg", "stream.ts", "live.m3u8"):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                av.open(server.url(path))
            assert first_frames(server.url(path, "admin", "secret"), 1)


def test_knows_its_paths() -> None:
    with StreamHttpServer() as server, pytest.raises(av.error.HTTPNotFoundError):
        av.open(server.url("nowhere"))
