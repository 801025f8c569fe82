"""The servers that misbehave do so as they say."""

import socket
import threading
import time
from contextlib import suppress
from itertools import islice

import av
import pytest

from tests.media import number_of
from tests.servers.client import OVER_TCP, PATIENCE, QUICKLY, first_frames, frames, picture
from tests.servers.faulty import DripServer, Garbage, GarbageServer, SilentServer, StallingProxy
from tests.servers.http import StreamHttpServer
from tests.servers.tcp import TcpServer

SHORT = 0.3
"""Seconds in which a server that answers would have answered; here none does."""


def ask(
    server: TcpServer, request: bytes = b"OPTIONS rtsp://cam RTSP/1.0\r\n\r\n"
) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    connection.sendall(request)
    return connection


def test_silence() -> None:
    with SilentServer() as server, ask(server) as connection:
        connection.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert server.accepted == 1


def test_its_end_is_seen_by_who_waits() -> None:
    with SilentServer() as server:
        connection = ask(server)
    with connection, suppress(ConnectionResetError):  # where it had not read the request yet
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        ask(server)


@pytest.mark.parametrize("protocol", [b"RTSP/1.0", b"HTTP/1.1"])
def test_drips(protocol: bytes) -> None:
    beginning = protocol + b" 200 OK\r\n"
    with (
        DripServer(pause=0.02) as server,
        ask(server, b"GET /cam " + protocol) as connection,
        connection.makefile("rb") as drops,
    ):
        start = time.monotonic()
        assert drops.read(len(beginning)) == beginning
        assert time.monotonic() - start >= 0.02 * len(beginning)


@pytest.mark.parametrize(
    ("kind", "scheme"), [("noise", "rtsp"), ("noise", "http"), ("mpegts", "http")]
)
def test_garbage_is_nothing_to_open(kind: Garbage, scheme: str) -> None:
    with GarbageServer(kind) as server:
        with pytest.raises(av.error.InvalidDataError):
            av.open(server.url(scheme), timeout=PATIENCE)
        assert server.accepted == 1


def test_garbage_in_packets_is_taken_for_a_stream() -> None:
    packets = faults = 0
    with (
        GarbageServer("rtp") as server,
        av.open(server.url(), options=OVER_TCP | QUICKLY, timeout=PATIENCE) as container,
    ):
        context = container.streams.video[0].codec_context
        assert (context.name, context.width, context.height) == ("h264", 320, 240)
        for packet in container.demux(video=0):
            packets += 1
            try:
                packet.decode()
            except av.error.InvalidDataError:
                faults += 1
    assert packets > 100
    assert faults > packets / 2


def test_garbage_is_bounded_and_the_same_each_time() -> None:
    def received() -> bytes:
        with ask(server) as connection, connection.makefile("rb") as stream:
            return stream.read()

    with GarbageServer("noise", limit=10000) as server:
        first = received()
        assert 10000 <= len(first) < 20000
        assert received() == first


def test_a_proxy_forwards_stalls_goes_on_and_cuts() -> None:
    with StreamHttpServer() as server, StallingProxy(server.port) as proxy:
        stream = frames(proxy.in_front_of(server.url("mjpeg")))
        assert [number_of(picture(next(stream))) for _ in range(5)] == [0, 1, 2, 3, 4]

        proxy.stall()
        threading.Timer(SHORT, proxy.resume).start()
        assert [number_of(picture(next(stream))) for _ in range(15)] == list(range(5, 20))

        proxy.cut()
        with pytest.raises(av.error.OSError):
            list(stream)
        assert proxy.accepted == 1
        assert first_frames(proxy.in_front_of(server.url("mjpeg")), 1)
        assert proxy.accepted == 2


def test_no_packet_passes_a_stalled_proxy() -> None:
    with StreamHttpServer() as server, StallingProxy(server.port) as proxy:
        url = proxy.in_front_of(server.url("mjpeg"))
        with av.open(url, timeout=(PATIENCE, SHORT)) as container:
            packets = container.demux(video=0)
            next(packets)
            proxy.stall()
            with pytest.raises(av.error.ExitError):
                list(islice(packets, 250))
