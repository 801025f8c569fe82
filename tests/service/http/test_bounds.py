"""Clients that are slow on purpose, or many, keep nobody else from being answered."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamcam.service.http import web_server
from tests.jobs.conftest import eventually
from tests.service.http.conftest import Serve, Visitor
from tests.service.http.fake_status import FakeStatus, coloured

SLOW = 200
HEAD = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
FORM = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\ntoken="
WATCH = b"GET /api/live?front=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def lines(ask: Visitor, count: int) -> Iterator[list[socket.socket]]:
    """Open connections."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", ask.port), timeout=10))
            for _ in range(count)
        ]


def is_cut(line: socket.socket) -> bool:
    """Tell whether the server has ended a connection."""
    line.setblocking(False)
    try:
        return line.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        line.settimeout(10)


def drip(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.send(b"x")


@pytest.mark.parametrize("begin", [HEAD, FORM])
def test_two_hundred_slow_clients_do_not_keep_others_out(
    serve: Serve, fake: FakeStatus, begin: bytes
) -> None:
    fake.add("front")
    ask = serve(fake, max_clients=8)
    with lines(ask, SLOW) as slow:
        for line in slow:
            with contextlib.suppress(OSError):
                line.sendall(begin)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for line in slow:
                drip(line)
            assert ask("/healthz").status == 200
            assert ask("/api/status").json["cameras"][0]["name"] == "front"
        held = SLOW - sum(is_cut(line) for line in slow)
        assert held <= 8 + web_server._SPARE_CONNECTIONS


@pytest.mark.parametrize("begin", [b"", HEAD, FORM])
def test_a_request_that_does_not_end_is_cut_though_it_grows(
    serve: Serve, fake: FakeStatus, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    ask = serve(fake)
    monkeypatch.setattr(web_server, "IDLE_SECONDS", 0.3)
    with lines(ask, 1) as (slow,):
        slow.sendall(begin)
        eventually(lambda: drip(slow) or is_cut(slow), "the slow request is cut", within=10)


def test_a_silent_connection_is_cut_after_an_answer_too(
    serve: Serve, fake: FakeStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = serve(fake)
    monkeypatch.setattr(web_server, "IDLE_SECONDS", 0.3)
    with lines(ask, 1) as (slow,):
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET ")
        eventually(lambda: drip(slow) or is_cut(slow), "the second head is cut", within=10)


def test_too_many_clients_are_refused_and_health_is_still_answered(
    serve: Serve, fake: FakeStatus
) -> None:
    fake.add("front").write(coloured([1, 2, 3]))
    ask = serve(fake, max_clients=4)
    with lines(ask, 4) as watchers:
        for line in watchers:
            line.sendall(WATCH)
        eventually(lambda: ask("/api/status").status == 503, "all places are taken")
        answer = ask("/api/status")
        assert (answer.json, answer.headers["retry-after"]) == ({"detail": "too many clients"}, "5")
        assert ask("/healthz").status == 200
        assert ask("/readyz").status == 200
    eventually(lambda: ask("/api/status").status == 200, "places are free again")


def test_who_does_not_read_is_cut(
    serve: Serve, fake: FakeStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "STALLED_SECONDS", 0.3)
    video = tmp_path / "2026-01-02" / "03" / "04-05.mp4"
    video.parent.mkdir(parents=True)
    with video.open("wb") as file:
        file.truncate(64 << 20)
    fake.recorded["front"] = tmp_path
    ask = serve(fake, max_clients=1)
    path = "/api/cameras/front/recordings/20260102T030405/video"
    with lines(ask, 1) as (slow,):
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(20).startswith(b"HTTP/1.1 200")
        eventually(lambda: ask("/api/status").status == 200, "its place is free", within=10)
        taken = 0
        with contextlib.suppress(OSError):
            while got := len(slow.recv(1 << 20)):
                taken += got
        assert taken < 64 << 20


def test_a_viewer_that_does_not_read_costs_no_pictures(serve: Serve, fake: FakeStatus) -> None:
    sink = fake.add("front")
    sink.write(coloured([200, 0, 0]))
    ask = serve(fake)
    with lines(ask, 1) as (viewer,):
        viewer.sendall(WATCH.replace(b"front=1", b"front=0"))
        eventually(lambda: sink.encodings == 1, "its picture is encoded")
        for _ in range(50):
            sink.write(coloured([0, 200, 0]))
            assert ask("/healthz").status == 200
        assert sink.encodings == 1
