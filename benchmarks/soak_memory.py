"""Is the memory of a service flat? Cameras and a watched folder for hours, sampled.

    python -m benchmarks.soak_memory --minutes 120
    python -m benchmarks.soak_memory --minutes 25 --file-every 60

`streamcam serve` is the real one, with synthetic cameras, and a clip that comes into its folder
again and again. Its anonymous memory counts: what it has mapped of files the kernel takes and gives
back as it likes. Prints the median of each ten minutes, and one JSON object; exits with 1 if one
after the first ten minutes is more than 2 % above the second.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import processes
from benchmarks.camera_cost import encode
from benchmarks.soak_live import Service

CAMERAS = {"large": ("1280x720", 5), "usual": ("640x480", 10), "wide": ("640x360", 12)}
"""Their sizes, and frames a second."""

_SAMPLE_SECONDS = 5.0
_WINDOW_SECONDS = 600.0
_CLIP_SECONDS = 4.0
_GROWTH = 1.02


def measure(folder: Path, options: argparse.Namespace) -> list[list[float]]:
    """Return the samples of each ten minutes, in MB."""
    service = Service(folder, _config(folder))
    windows: list[list[float]] = []
    try:
        started = next_file = time.monotonic()
        files = 0
        while (passed := time.monotonic() - started) < options.minutes * 60:
            if time.monotonic() >= next_file:
                next_file += options.file_every
                files += 1
                (folder / "in" / f"{files}.mp4").write_bytes((folder / "clip.mp4").read_bytes())
            if passed >= len(windows) * _WINDOW_SECONDS:
                _show(windows)
                windows.append([])
            windows[-1].append(processes.anonymous_megabytes(service.process.pid))
            time.sleep(_SAMPLE_SECONDS)
        service.stop()
    finally:
        service.process.kill()
    _show(windows)
    return windows


def _show(windows: list[list[float]]) -> None:
    if windows:
        samples = windows[-1]
        figures = (min(samples), statistics.median(samples), max(samples))
        print(
            f"{len(windows) * 10:4} min: " + "  ".join(f"{size:7.1f}" for size in figures),
            flush=True,
        )


def _config(folder: Path) -> str:
    (folder / "in").mkdir()
    cameras = "".join(
        f'[[camera]]\nname = "{name}"\nformat = "lavfi"\nurl = "testsrc2=size={size}:rate={rate}"\n'
        for name, (size, rate) in CAMERAS.items()
    )
    return f"""
[live]
max_fps = 1
segment = "60s"
[output]
folder = "{folder}/out"
[retention]
max_bytes = "100MB"
[http]
port = 0
[[folder]]
path = "{folder}/in"
{cameras}[[camera]]
name = "demo"
url = "demo://street"
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--file-every", type=float, default=60.0, help="seconds between files")
    parser.add_argument("--size", default="640x360", help="of the file")
    parser.add_argument("--rate", type=int, default=10, help="of the file")
    parser.add_argument("--megabits", type=float, default=2.0, help="of the file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamcam-soak-") as name:
        encode(Path(name, "clip.mp4"), _CLIP_SECONDS, options)
        print("          least   median     most (MB)")
        windows = measure(Path(name), options)
    later = [statistics.median(samples) for samples in windows[1:]]
    grown = bool(later) and max(later) > later[0] * _GROWTH
    print(json.dumps({"medians_after_ten_minutes": later, "grown": grown}))
    sys.exit(grown)


if __name__ == "__main__":
    main()
