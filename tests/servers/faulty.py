"""Servers that misbehave, as cameras and networks do."""

import itertools
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Literal, TypeAlias

from tests.servers.tcp import TcpServer, hang_up

CHUNK = 1 << 16


class SilentServer(TcpServer):
    """Accepts, listens, and never says a word."""

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(CHUNK):
            pass


class DripServer(TcpServer):
    """Begins an answer that looks well, a byte at a time, and never comes to its end.

    Args:
        pause: Seconds between bytes.
    """

    def __init__(self, pause: float = 1.0) -> None:
        super().__init__()
        self._pause = pause

    def serve(self, connection: socket.socket) -> None:
        protocol = b"RTSP/1.0" if b"RTSP/1.0" in connection.recv(CHUNK) else b"HTTP/1.1"
        answer = protocol + b" 200 OK\r\nX-Patience: "
        for value in itertools.chain(answer, itertools.repeat(ord("a"))):
            if self.over.wait(self._pause):
                return
            connection.sendall(bytes([value]))


class StallingProxy(TcpServer):
    """Stands before another server and can stop forwarding, as a network does.

    Args:
        port: Of the server behind it, at 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self._behind = port
        self._flowing = threading.Event()
        self._flowing.set()

    def in_front_of(self, url: str) -> str:
        """Return the URL that leads to a server's URL by way of this."""
        return url.replace(f"127.0.0.1:{self._behind}/", f"127.0.0.1:{self.port}/", 1)

    def stall(self) -> None:
        """Forward nothing more; connections stay open, new ones are taken and stall too."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again, first of all what has come meanwhile."""
        self._flowing.set()

    def serve(self, connection: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._behind))
        self.keep(server)
        back = threading.Thread(
            target=self._pump, args=(server, connection), name=f"{type(self).__name__} back"
        )
        back.start()
        try:
            self._pump(connection, server)
        finally:
            back.join()
            self.let_go(server)

    def _pump(self, giver: socket.socket, taker: socket.socket) -> None:
        try:
            while data := giver.recv(CHUNK):
                while not (self._flowing.wait(0.05) or self.over.is_set()):
                    pass
                taker.sendall(data)
        except OSError:
            pass
        finally:
            hang_up(giver)
            hang_up(taker)


Garbage: TypeAlias = Literal["noise", "mpegts", "rtp"]

# What x264 says of a stream of 320x240 pixels (SPS, PPS): a decoder takes the garbage for pictures.
PARAMETER_SETS = "Z0LADdoFB+hAAAADAEAAAAyjxQqo,aM4PyA=="


class GarbageServer(TcpServer):
    """Answers, but with garbage, the same in each run.

    Args:
        kind: "noise" from the first byte; "mpegts": HTTP's word for it that MPEG-TS follows, then
            noise; "rtp": what RTSP wants to hear until it plays, then packets of noise.
        limit: Bytes after which it ends.
        seconds: Time after which it ends.
    """

    def __init__(self, kind: Garbage, *, limit: int = 1 << 23, seconds: float = 10.0) -> None:
        super().__init__()
        self._kind = kind
        self._limit = limit
        self._seconds = seconds

    def serve(self, connection: socket.socket) -> None:
        match self._kind:
            case "noise":
                connection.recv(CHUNK)
                chunks = noise()
            case "mpegts":
                connection.recv(CHUNK)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
                chunks = noise()
            case "rtp":
                converse(connection)
                chunks = rtp_packets()
        self._send(connection, chunks)

    def _send(self, connection: socket.socket, chunks: Iterator[bytes]) -> None:
        deadline = time.monotonic() + self._seconds
        connection.settimeout(self._seconds)
        sent = 0
        while sent < self._limit and time.monotonic() < deadline and not self.over.is_set():
            chunk = next(chunks)
            connection.sendall(chunk)
            sent += len(chunk)


def noise() -> Iterator[bytes]:
    """Yield random bytes for ever."""
    dice = random.Random(1)
    while True:
        yield dice.randbytes(4096)


def rtp_packets() -> Iterator[bytes]:
    """Yield packets for ever, interleaved into RTSP's connection, random but for their headers."""
    dice = random.Random(1)
    for number in itertools.count():
        payload = dice.randbytes(dice.randrange(1, 1400))
        marker = dice.randrange(2) << 7
        header = struct.pack(">BBHII", 0x80, marker | 96, number & 0xFFFF, number * 3600, 1)
        yield struct.pack(">cBH", b"$", 0, len(header + payload)) + header + payload


def converse(connection: socket.socket) -> None:
    """Say what an RTSP client wants to hear, up to its PLAY."""
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=garbage\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        "c=IN IP4 127.0.0.1\r\na=rtpmap:96 H264/90000\r\na=control:track\r\n"
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={PARAMETER_SETS}\r\n"
    )
    answers = {
        "OPTIONS": ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", ""),
        "DESCRIBE": ("Content-Type: application/sdp", sdp),
        "SETUP": ("Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1", ""),
        "PLAY": ("Session: 1", ""),
    }
    method = ""
    with connection.makefile("r", newline="\r\n") as requests:
        while method != "PLAY":
            request = "".join(iter(requests.readline, "\r\n"))
            if not request:
                raise ConnectionResetError
            method = request.split(maxsplit=1)[0]
            number = re.search(r"^CSeq: *(\d+)", request, re.IGNORECASE | re.MULTILINE)
            header, body = answers[method]
            connection.sendall(
                f"RTSP/1.0 200 OK\r\nCSeq: {number[1] if number else 0}\r\n{header}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
