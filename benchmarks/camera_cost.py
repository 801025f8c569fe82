"""What one camera costs: CPU and memory of its reader, and of the service that explains it.

    python -m benchmarks.camera_cost --size 1920x1080 --rate 25 --megabits 4 --max-fps 5

The camera is an RTSP server that sends a noisy picture, encoded beforehand, so that it takes no CPU
of its own. Prints one JSON object; CPU in per cent of one core.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from benchmarks import processes
from tests.servers.rtsp import RtspServer, ServedStream

_OPENING_SECONDS = 20.0


@dataclass(frozen=True)
class Clip(ServedStream):
    """A file as a camera's stream."""

    path: Path = Path()

    def launch(self, _: Path) -> str:
        """Return GStreamer's words for it."""
        return (
            f"( filesrc location={self.path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )"
        )


def encode(path: Path, seconds: float, options: argparse.Namespace) -> None:
    """Encode a moving test picture with the noise of a sensor, as cameras do: no B-frames."""
    pattern = (
        f"testsrc2=size={options.size}:rate={options.rate}:duration={seconds},noise=alls=6:allf=t"
    )
    words = {"preset": "veryfast", "tune": "zerolatency", "b": f"{options.megabits}M"}
    with av.open(pattern, format="lavfi") as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=options.rate, options=words)
        stream.width, stream.height = map(int, options.size.split("x"))
        stream.pix_fmt, stream.gop_size = "yuv420p", 2 * options.rate
        for frame in source.decode(video=0):
            picture = frame.reformat(format="yuv420p")
            picture.time_base = Fraction(1, options.rate)
            target.mux(stream.encode(picture))
        target.mux(stream.encode())


def measure(url: str, output: Path, options: argparse.Namespace) -> dict[str, object]:
    """Explain the camera for a while; return the cost."""
    words = ("live", url, "--output", str(output), "--max-fps", f"{options.max_fps:g}")
    command = [sys.executable, "-m", "streamcam", *words, "--record", options.record]
    with (output / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)
    while not (readers := processes.workers(process.pid)):
        time.sleep(0.1)
    time.sleep(10)  # until the detector is loaded and the first frames have gone
    (reader,) = readers
    before, started = (
        [processes.cpu_seconds(pid) for pid in (process.pid, reader)],
        time.monotonic(),
    )
    time.sleep(options.seconds)
    passed = time.monotonic() - started
    after = [processes.cpu_seconds(pid) for pid in (process.pid, reader)]
    parent, child = (round(100 * (b - a) / passed, 1) for a, b in zip(before, after, strict=True))
    values = {
        "parent_cpu_percent": parent,
        "reader_cpu_percent": child,
        "parent_mb": round(processes.resident_megabytes(process.pid)),
        "reader_mb": round(processes.resident_megabytes(reader)),
        "reader_threads": processes.threads(reader),
    }
    process.terminate()
    process.wait()
    return values | {"log": re.sub(r"\s+", " ", (output / "log").read_text())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--megabits", type=float, default=4)
    parser.add_argument("--max-fps", type=float, default=5)
    parser.add_argument("--record", choices=("always", "never"), default="always")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        encode(clip, options.seconds + _OPENING_SECONDS, options)
        with RtspServer({"cam": Clip(path=clip)}) as server:
            values = measure(server.url(), Path(folder), options)
    print(json.dumps(values, indent=2))


if __name__ == "__main__":
    main()
