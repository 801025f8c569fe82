"""Streams over HTTP, in real time: pictures that tell their number, see `tests.media.number_of`."""

import base64
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2

from streamcam.types import Picture
from tests.media import X264, numbered

RATE = 25
SEGMENT = 0.5
AHEAD = 3
"""Segments that are there at the start, because players begin three before the end."""

PATIENCE = 20.0
"""Seconds for the first segments: 0.05 s on an idle machine, the rest for a busy one."""


class StreamHttpServer:
    """Serves live streams; a context manager.

    - `mjpeg`: JPEG pictures one after another (multipart/x-mixed-replace), as webcams do
    - `stream.ts`: MPEG-TS without end
    - `live.m3u8`: HLS, a playlist that slides; with `hls` only

    Args:
        pictures: Shown in a loop; by default those of `tests.media.numbered`.
        user: Whom it lets in, with a password only (basic authentication).
        password: None lets everybody in.
        hls: Whether to make segments for HLS.
    """

    def __init__(
        self,
        pictures: Sequence[Picture] | None = None,
        *,
        user: str = "admin",
        password: str | None = None,
        hls: bool = False,
    ) -> None:
        self._pictures = numbered(70) if pictures is None else pictures
        self._over = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="streamcam-http-")
        self._server = _Server(self._over, self._pictures, Path(self._folder.name))
        if password is not None:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._server.authorization = f"Basic {token}"
        self.port: int = self._server.server_address[1]
        self._hls = hls
        # The argument is how many seconds its end may take.
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="http", args=(0.05,))
        ]
        if hls:
            self._threads.append(threading.Thread(target=self._make_segments, name="hls"))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        if self._hls:
            self._wait_for_playlist()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()  # waits for those that are being served
        for thread in self._threads:
            thread.join()
        self._folder.cleanup()

    def url(self, path: str, user: str | None = None, password: str | None = None) -> str:
        """Return where a stream is, with user and password where they are given."""
        login = "" if user is None else f"{user}:{password}@"
        return f"http://{login}127.0.0.1:{self.port}/{path}"

    @property
    def _playlist(self) -> Path:
        return Path(self._folder.name) / "live.m3u8"

    def _wait_for_playlist(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._playlist.exists():
            if time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError("no segment of HLS was made")
            time.sleep(0.01)

    def _make_segments(self) -> None:
        options = {
            "hls_time": str(SEGMENT),
            "hls_list_size": "6",
            "hls_flags": "delete_segments+temp_file",
        }
        gop = round(SEGMENT * RATE)
        with av.open(str(self._playlist), "w", format="hls", options=options) as container:
            encoder = _Encoder(container, self._pictures[0], gop)
            # One frame more, because a segment is closed by the one that follows.
            for picture in paced(self._pictures, self._over, ahead=AHEAD * gop + 1):
                encoder.write(picture)


def paced(
    pictures: Sequence[Picture], over: threading.Event, *, ahead: int = 0
) -> Iterator[Picture]:
    """Yield pictures in a loop, in real time but for the first ones, until it is over."""
    start = time.monotonic() - ahead / RATE
    index = 0
    while not over.wait(max(0.0, start + index / RATE - time.monotonic())):
        yield pictures[index % len(pictures)]
        index += 1


class _Encoder:
    """Writes pictures into a container, as H.264 without delay."""

    def __init__(self, container: av.container.OutputContainer, first: Picture, gop: int) -> None:
        self._container = container
        options = X264 | {"tune": "zerolatency"}
        self._stream = container.add_stream("libx264", rate=RATE, options=options)
        self._stream.height, self._stream.width = first.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.gop_size = gop
        self._count = 0

    def write(self, picture: Picture) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._count, Fraction(1, RATE)
        self._container.mux(self._stream.encode(frame))
        self._count += 1


class _Outlet:
    """A file that PyAV writes to, for bytes on their way to a client."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken, self._waiting = bytes(self._waiting), bytearray()
        return taken


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, over: threading.Event, pictures: Sequence[Picture], folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.over = over
        self.pictures = pictures
        self.folder = folder
        self.authorization: str | None = None


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def __init__(self, request: Any, client: Any, server: _Server) -> None:
        super().__init__(request, client, server, directory=str(server.folder))

    def do_GET(self) -> None:
        try:
            self._answer()
        except OSError:  # the client has enough
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def _answer(self) -> None:
        known = self.server.authorization
        if known is not None and self.headers["Authorization"] != known:
            self._begin(401, **{"WWW-Authenticate": 'Basic realm="camera"'})
        elif self.path == "/mjpeg":
            self._send_jpegs()
        elif self.path == "/stream.ts":
            self._send_mpegts()
        else:
            super().do_GET()

    def _begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_jpegs(self) -> None:
        self._begin(200, **{"Content-Type": "multipart/x-mixed-replace; boundary=picture"})
        for picture in paced(self.server.pictures, self.server.over):
            _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            self.wfile.write(
                b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                % (len(jpeg), jpeg.tobytes())
            )

    def _send_mpegts(self) -> None:
        self._begin(200, **{"Content-Type": "video/mp2t"})
        outlet = _Outlet()
        options = {"flush_packets": "1"}
        with av.open(outlet, "w", format="mpegts", container_options=options) as container:
            encoder = _Encoder(container, self.server.pictures[0], RATE)
            for picture in paced(self.server.pictures, self.server.over):
                encoder.write(picture)
                self.wfile.write(outlet.take())
