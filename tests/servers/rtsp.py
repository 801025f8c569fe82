"""A real RTSP server (GStreamer's), as cameras are made of it.

Its parts are packages of Debian, see `make test-packages`; the interpreter that knows them is the
system's own.
"""

import functools
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import quote

import cv2
import pytest

from streamcam.types import Picture

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("gst_rtsp.py")

Codec: TypeAlias = Literal["h264", "h265", "mjpeg"]

PATIENCE = 20.0
"""Seconds for a start: 0.5 s on an idle machine, the rest for a busy one."""

_ELEMENTS = (
    "appsink appsrc multifilesrc videotestsrc audiotestsrc pngdec x264enc x265enc jpegenc alawenc"
    " rtph264pay rtph265pay rtpjpegpay rtppcmapay rtph264depay h264parse mpegtsmux"
)
_PROBE = f"""
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [name for name in "{_ELEMENTS}".split() if Gst.ElementFactory.find(name) is None]
raise SystemExit("GStreamer lacks " + ", ".join(missing) if missing else 0)
"""

_TAKE = (
    "( rtph264depay name=depay0 ! h264parse config-interval=-1"
    " ! video/x-h264,stream-format=avc,alignment=au ! tee name=taken"
    " taken. ! queue ! h264parse config-interval=-1 ! mpegtsmux"
    " ! filesink location={file} buffer-mode=2 async=false"
    " taken. ! queue ! appsink name=tap emit-signals=true sync=false async=false )"
)
_GIVE = (
    "( appsrc name=source is-live=true format=time do-timestamp=true"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


@dataclass(frozen=True)
class ServedStream:
    """What one path shows.

    Attributes:
        width: Pixels; of the pictures where they are given.
        height: Pixels.
        rate: Frames per second.
        codec: How they are sent. MJPEG needs sizes that are multiples of 8.
        gop: Frames from one key frame to the next.
        bframes: Frames in a row that look into the future; H.264 only.
        pattern: What is shown: one of videotestsrc's patterns, e.g. ball, smpte, snow, red.
        pictures: Shown in a loop instead of a pattern; a change of their size changes the stream's.
        audio: Whether a tone goes with it.
        shared: Whether all clients see one stream, which a second one joins where it is, as a
            camera's; else it begins anew for each, with its first picture. A shared one answers 503
            while it ends because its last client has just left.
    """

    width: int = 320
    height: int = 240
    rate: int = 25
    codec: Codec = "h264"
    gop: int = 25
    bframes: int = 0
    pattern: str = "ball"
    pictures: Sequence[Picture] = ()
    audio: bool = False
    shared: bool = False

    def launch(self, folder: Path) -> str:
        """Return GStreamer's words for it; pictures go through files in a folder of its own."""
        audio = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8"
        return (
            f"( {self._rgb(folder)} ! {self._yuv()} ! {self._coded()}"
            f" {audio if self.audio else ''} )"
        )

    def _rgb(self, folder: Path) -> str:
        if not self.pictures:
            return (
                f"videotestsrc is-live=true pattern={self.pattern} ! video/x-raw,format=RGB"
                f",width={self.width},height={self.height},framerate={self.rate}/1"
            )
        folder.mkdir()
        for index, picture in enumerate(self.pictures):
            cv2.imwrite(str(folder / f"{index:05}.png"), picture[..., ::-1])
        return (
            f"multifilesrc location={folder}/%05d.png stop-index={len(self.pictures) - 1} loop=true"
            f" caps=image/png,framerate={self.rate}/1 ! pngdec"
        )

    def _yuv(self) -> str:
        if self.codec == "mjpeg":
            # JPEG uses the whole range of values, and its encoder takes that on trust (BT.601).
            return "videoconvert ! video/x-raw,format=I420,colorimetry=1:4:0:0"
        # By way of 16 bits, because GStreamer rounds down: `number_of` would be wrong.
        return "videoconvert ! video/x-raw,format=AYUV64 ! videoconvert ! video/x-raw,format=I420"

    def _coded(self) -> str:
        match self.codec:
            case "h264":
                # As cameras do: each picture is sent at once, unless B-frames are asked for.
                reach = f"bframes={self.bframes} b-adapt=false" if self.bframes else "tune=4"
                return (
                    f"x264enc speed-preset=ultrafast key-int-max={self.gop} {reach} pass=qual"
                    " quantizer=5 threads=1 ! video/x-h264,profile=main"
                    " ! rtph264pay name=pay0 pt=96 config-interval=-1"
                )
            case "h265":
                return (
                    f"x265enc speed-preset=ultrafast tune=zerolatency key-int-max={self.gop}"
                    " log-level=none ! rtph265pay name=pay0 pt=96 config-interval=-1"
                )
            case "mjpeg":
                return "jpegenc quality=95 ! rtpjpegpay name=pay0 pt=26"


class RtspServer:
    """A running RTSP server; a context manager.

    Args:
        streams: What each path shows, e.g. {"cam": ServedStream()}.
        user: Whom it lets in; with a password only.
        password: None lets everybody in.
        scheme: How it asks for the password.
        publish: Paths that take a stream (H.264, RECORD); `PATH/play` gives it on and `published`
            says where it is kept.
        transports: How clients may take the streams.
    """

    def __init__(
        self,
        streams: Mapping[str, ServedStream] | None = None,
        *,
        user: str = "admin",
        password: str | None = None,
        scheme: Literal["basic", "digest"] = "digest",
        publish: Sequence[str] = (),
        transports: Sequence[Literal["tcp", "udp"]] = ("tcp",),
    ) -> None:
        self.port = 0
        self._streams = {"cam": ServedStream()} if streams is None else streams
        self._publish = publish
        self._order = {
            "parent": os.getpid(),
            "user": user,
            "password": password,
            "scheme": scheme,
            "transports": transports,
        }
        self._folder = Path(tempfile.mkdtemp(prefix="streamcam-rtsp-"))
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def url(self, path: str = "cam", user: str | None = None, password: str | None = None) -> str:
        """Return where a path is, with user and password where they are given."""
        login = "" if user is None else f"{quote(user, '')}:{quote(password or '', '')}@"
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def published(self, path: str) -> Path:
        """Return the file (MPEG-TS) that keeps what was last published at a path."""
        return self._work / f"{path}.ts"

    def kill(self) -> None:
        """End it as a power cut would; its connections are reset by the kernel."""
        self._end("kill")

    def terminate(self) -> None:
        """End it as its operator would."""
        self._end("terminate")

    def restart(self, streams: Mapping[str, ServedStream] | None = None) -> None:
        """Start it again at the same port, with other streams where they are given."""
        self.kill()
        if streams is not None:
            self._streams = streams
        self._start()

    def close(self) -> None:
        """End it and remove what it kept; safe to call twice."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _work(self) -> Path:
        """The folder of the current start."""
        return self._folder / str(self._starts)

    def _start(self) -> None:
        self._starts += 1
        self._work.mkdir()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [SYSTEM_PYTHON, "-I", str(SCRIPT), json.dumps(self._words())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.port = self._said_port()

    @property
    def _log(self) -> Path:
        return self._work / "log"

    def _words(self) -> dict[str, Any]:
        return self._order | {
            "port": self.port,
            "streams": {
                path: {
                    "launch": stream.launch(self._work / f"pictures-{index}"),
                    "shared": stream.shared,
                }
                for index, (path, stream) in enumerate(self._streams.items())
            },
            "published": {
                path: {"take": _TAKE.format(file=self.published(path)), "give": _GIVE}
                for path in self._publish
            },
        }

    def _said_port(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise RuntimeError(f"the RTSP server did not start: {self._log.read_text()[-2000:]}")
        return int(line)

    def _end(self, how: Literal["kill", "terminate"]) -> None:
        if self._process is None:
            return
        getattr(self._process, how)()
        with self._process:  # closes its pipe and waits
            pass
        self._process = None


@functools.cache
def missing() -> str:
    """Return what the server lacks on this machine; empty when it has all."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"no {SYSTEM_PYTHON}"
    probe = subprocess.run(
        [SYSTEM_PYTHON, "-I", "-c", _PROBE], capture_output=True, text=True, check=False
    )
    return probe.stderr.strip().rpartition("\n")[2] if probe.returncode else ""


def require() -> None:
    """Skip the test where the server's packages are missing; fail it where they must be there."""
    if lacking := missing():
        words = f"no RTSP server here ({lacking}): `make test-packages` as root"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
