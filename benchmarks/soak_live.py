"""Runs the service on cameras that come and go, and checks that nothing leaks, is lost or is left.

    python -m benchmarks.soak_live --cameras 4 --minutes 30 --kill-every 300 --stall-every 420

`streamcam serve` is the real one, and so are the cameras: an RTSP server by GStreamer (several
sizes, rates and codecs, B-frames, MJPEG) and synthetic ones. Recordings are deleted as they come,
and the page is opened now and then. Prints one JSON object; exits with 1 if anything is not
as it should be.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks import processes, recordings
from tests.servers.faulty import StallingProxy
from tests.servers.rtsp import RtspServer, ServedStream

STREAMS = {
    "stalls": ServedStream(width=640, height=480, rate=25),
    "bframes": ServedStream(width=640, height=360, rate=15, bframes=2, pattern="smpte"),
    "mjpeg": ServedStream(width=320, height=240, rate=10, codec="mjpeg"),
    "hd": ServedStream(width=1280, height=720, rate=5, pattern="snow"),
    "h265": ServedStream(width=320, height=240, rate=12, codec="h265"),
}
KINDS = ("stalls", "bframes", "mjpeg", "lavfi", "h265", "hd", "demo")
"""Cameras, in the order in which they are taken; more than these begin again."""

MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
_SAMPLE_SECONDS = 2.0
_CHECK_SECONDS = 15.0
_READ_TIMEOUT = 5.0
_SWEEP_SECONDS = 60.0 + 5.0
"""Between two sweeps of old recordings, and what a sweep may take."""

_IN_FLIGHT = 4
"""Frames of one camera that may be between its reader and its sinks: decoded, queued, rendered."""

_GROWTH = 1.10
"""A service that grows by more from a quarter of the time to the end is not flat. Buffers of the
allocator and of FFmpeg make some 3 % either way."""


@dataclass(frozen=True)
class Sample:
    """The service at one moment; sizes in MB, CPU in seconds so far."""

    share: float
    parent_mb: float
    readers_mb: float
    largest_reader_mb: float
    threads: float
    descriptors: float
    readers: float
    parent_cpu: float


class Service:
    """A running `streamcam serve`.

    Args:
        folder: Where its configuration and log lie.
        config: Its configuration.
    """

    def __init__(self, folder: Path, config: str) -> None:
        (folder / "config.toml").write_text(config)
        self._log = folder / "log"
        self._readers: set[int] = set()
        words = (sys.executable, "-m", "streamcam", "serve")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                (*words, "--config", str(folder / "config.toml")), stdout=log, stderr=log
            )
        _wait(lambda: " is at http://" in self.log, "it did not start")
        self._url = re.findall(r"is at (http://\S+)", self.log)[0]

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text()

    def ask(self, path: str) -> bytes:
        """Ask for a page."""
        with urllib.request.urlopen(self._url + path, timeout=30) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Return how the cameras are, by name."""
        return {each["name"]: each for each in json.loads(self.ask("/api/status"))["cameras"]}

    def sample(self, share: float) -> Sample:
        """Measure it; `share` of the time has passed."""
        pid = self.process.pid
        readers = processes.workers(pid)
        self._readers.update(readers)
        sizes = [processes.resident_megabytes(reader) for reader in readers]
        return Sample(
            share=share,
            parent_mb=processes.resident_megabytes(pid),
            readers_mb=sum(sizes),
            largest_reader_mb=max(sizes, default=0.0),
            threads=processes.threads(pid),
            descriptors=processes.descriptors(pid),
            readers=len(readers),
            parent_cpu=processes.cpu_seconds(pid),
        )

    def stop(self) -> tuple[int, float]:
        """Stop it as systemd does; return its exit code and how many seconds it took."""
        self._readers.update(processes.workers(self.process.pid))
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), time.monotonic() - started

    def left(self) -> list[int]:
        """Return its readers that still run."""
        return [pid for pid in self._readers if processes.threads(pid)]


class Soak:
    """Cameras and the service that explains them.

    Args:
        folder: Where everything lies.
        options: What was asked for on the command line.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._output = folder / "out"
        self._options = options
        self._max_bytes = int(options.max_megabytes * 1e6)
        self._kinds = [KINDS[number % len(KINDS)] for number in range(options.cameras)]
        self._samples: list[Sample] = []
        self._wrong: list[str] = []
        self._server_kills = self._stalls = 0
        self._resume_at = float("inf")

    def run(self) -> dict[str, object]:
        """Let the service live through its time, end it, and judge what is there."""
        with ExitStack() as stack:
            self._server = stack.enter_context(RtspServer(STREAMS))
            self._proxy = stack.enter_context(StallingProxy(self._server.port))
            self._service = Service(self._folder, self._config())
            stack.callback(self._service.process.kill)
            self._live()
            self._server.kill()
            cameras = self._settled()
            code, seconds = self._service.stop()
        self._judge(cameras, code)
        return self._figures(cameras, seconds)

    def _live(self) -> None:
        started = time.monotonic()
        total = self._options.minutes * 60
        check, kill, stall = (
            started + 10,
            self._after(started, "kill"),
            self._after(started, "stall"),
        )
        while (now := time.monotonic()) - started < total:
            if now >= check:
                check = now + _CHECK_SECONDS
                self._look()
            if now >= kill:
                kill = self._after(now, "kill")
                self._server.restart()
                self._server_kills += 1
            if now >= stall:
                stall = self._after(now, "stall")
                self._stall(now)
            if now >= self._resume_at:
                self._resume_at = float("inf")
                self._proxy.resume()
            self._samples.append(self._service.sample((now - started) / total))
            time.sleep(_SAMPLE_SECONDS)

    def _after(self, now: float, what: str) -> float:
        return now + (getattr(self._options, f"{what}_every") or float("inf"))

    def _stall(self, now: float) -> None:
        """Stop what the first camera sends for longer than it is waited for."""
        self._proxy.stall()
        self._stalls += 1
        self._resume_at = now + 2 * _READ_TIMEOUT

    def _look(self) -> None:
        """Do what a page and a monitor do, and check that the recordings stay within bounds."""
        names = "&".join(f"{name}=0" for name in self._service.cameras())
        for path in ("/", "/metrics", "/api/live?" + names):
            if not self._service.ask(path):
                self._wrong.append(f"{path}: empty")
        held = self._held_bytes()
        if held > self._max_bytes:
            self._wrong.append(f"{held} bytes of recordings, {self._max_bytes} allowed")

    def _held_bytes(self) -> int:
        """Return the sum of all recordings that the last sweep has certainly seen."""
        before = time.time() - _SWEEP_SECONDS
        total = 0
        for path in (*recordings.videos(self._output), *recordings.records(self._output)):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            total += stat.st_size if stat.st_mtime < before else 0
        return total

    def _settled(self) -> dict[str, dict[str, Any]]:
        """Return how the cameras are once those of the server have noticed that it is gone."""
        remote = set(self._service.cameras()) - {self._name(k) for k in self._numbers("lavfi")}
        remote -= {self._name(number) for number in self._numbers("demo")}

        def alive() -> list[str]:
            cameras = self._service.cameras()
            return [name for name in remote if cameras[name]["state"] in ("live", "stalled")]

        _wait(lambda: not alive(), "cameras did not notice that they are gone")
        cameras = self._service.cameras()
        for name, camera in cameras.items():
            missing = _unaccounted(camera)
            if not 0 <= missing <= (0 if name in remote else _IN_FLIGHT):
                self._wrong.append(f"{name}: {missing} frames are unaccounted for")
        return cameras

    def _judge(self, cameras: dict[str, dict[str, Any]], code: int) -> None:
        if code:
            self._wrong.append(f"exit code {code}")
        self._wrong += recordings.faults(self._output)
        self._wrong += [f"left: {path}" for path in recordings.unfinished(self._output)]
        self._wrong += [f"reader {pid} still runs" for pid in self._service.left()]
        for name, camera in cameras.items():
            explained, recorded = camera["counts"]["explained"], self._recorded(name)
            # It goes on between the last question and its end.
            if not 0 <= recorded - explained <= 4 * self._options.max_fps + _IN_FLIGHT:
                self._wrong.append(f"{name}: {explained} explained, {recorded} recorded")
        first, last = self._mark(0.25), self._mark(1.0)
        for name in ("parent_mb", "largest_reader_mb", "threads", "descriptors"):
            if last[name] > first[name] * _GROWTH:
                self._wrong.append(f"{name} grew from {first[name]} to {last[name]}")

    def _recorded(self, camera: str) -> int:
        """Return how many records there are of a camera: no video is so old that they go too."""
        return sum(map(recordings.lines, recordings.records(self._output / camera)))

    def _figures(self, cameras: dict[str, dict[str, Any]], seconds: float) -> dict[str, object]:
        return {
            "cameras": {name: _facts(camera) for name, camera in cameras.items()},
            "minutes": self._options.minutes,
            "server_kills": self._server_kills,
            "stalls": self._stalls,
            "at": {f"{mark:.0%}": self._mark(mark) for mark in MARKS},
            "videos_kept": len(recordings.videos(self._output)),
            "records_kept": len(recordings.records(self._output)),
            "log_lines": self._service.log.count("\n"),
            "log_facts": Counter(re.findall(r"(?:WARNING|ERROR)\S* (.*)", self._service.log)),
            "seconds_to_stop": round(seconds, 2),
            "wrong": self._wrong,
        }

    def _mark(self, share: float) -> dict[str, float]:
        """Return the medians of the samples of the tenth of the time before a mark."""
        near = [s for s in self._samples if share - 0.1 <= s.share <= share]
        return {
            field.name: round(statistics.median(getattr(s, field.name) for s in near), 1)
            for field in fields(Sample)
            if field.name != "share"
        }

    def _numbers(self, kind: str) -> list[int]:
        return [number for number, each in enumerate(self._kinds) if each == kind]

    def _name(self, number: int) -> str:
        return f"{number}-{self._kinds[number]}"

    def _config(self) -> str:
        cameras = "".join(self._camera(number) for number in range(len(self._kinds)))
        return f"""
[live]
max_fps = {self._options.max_fps}
segment = "{self._options.segment}s"
read_timeout = "{_READ_TIMEOUT}s"
[output]
folder = "{self._output}"
[retention]
max_bytes = {self._max_bytes}
[http]
port = 0
{cameras}"""

    def _camera(self, number: int) -> str:
        kind = self._kinds[number]
        url, more = self._server.url(kind), ""
        match kind:
            case "stalls":
                url = self._proxy.in_front_of(url)
            case "lavfi":
                url, more = "testsrc2=size=640x360:rate=12", 'format = "lavfi"'
            case "demo":
                url = "demo://street"
        return f'[[camera]]\nname = "{self._name(number)}"\nurl = "{url}"\n{more}\n'


def _unaccounted(camera: dict[str, Any]) -> int:
    counts = camera["counts"]
    return int(counts["decoded"] - counts["explained"] - sum(counts["dropped"].values()))


def _facts(camera: dict[str, Any]) -> dict[str, object]:
    counts = camera["counts"]
    return {
        "decoded": counts["decoded"],
        "explained": counts["explained"],
        "dropped": counts["dropped"],
        "corrupt": counts["corrupt"],
        "unaccounted": _unaccounted(camera),
        "reconnects": camera["reconnects"],
        "killed": camera["killed"],
        "latency_ms": camera["latency"]
        and {key: round(1000 * value) for key, value in camera["latency"].items()},
    }


def _wait(condition: Callable[[], object], otherwise: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--max-fps", type=float, default=2.0, help="explained, of each camera")
    parser.add_argument("--segment", type=float, default=10.0, help="seconds of a segment")
    parser.add_argument("--max-megabytes", type=float, default=60.0, help="limit of all recordings")
    parser.add_argument("--kill-every", type=float, help="seconds between kills of the server")
    parser.add_argument("--stall-every", type=float, help="seconds between stalls of one camera")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamcam-soak-") as folder:
        values = Soak(Path(folder), options).run()
    print(json.dumps(values, indent=2))
    sys.exit(bool(values["wrong"]))


if __name__ == "__main__":
    main()
