"""How long until many cameras that are started at once are all live, and are they explained fairly?

    python -m benchmarks.camera_start --cameras 64 --size 160x120 --rate 5
    python -m benchmarks.camera_start --cameras 16 --feed rtsp

The cameras are FFmpeg's test pictures, or one clip of an RTSP server on this machine (`--feed
rtsp`); manager, readers, engine, drawing and recording are real. Seconds count from the moment at
which the manager is given the cameras, and include loading torch and the detector. Prints one JSON
object; `fairness` is the fewest over the most frames explained of one camera, over `--seconds` from
the moment at which each had a frame explained.
"""

import argparse
import json
import os
import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import processes
from benchmarks.feeds import name_of, sent
from benchmarks.observer import FrameRecorder, all_explained
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config import Settings
from streamcam.process_tuning import set_up_libraries
from streamcam.types import CameraState

_GLANCE_SECONDS = 0.25
_GRACE_SECONDS = 20.0


def measure(url: str, options: argparse.Namespace) -> dict[str, object]:
    """Start all cameras; return when they were live, what it took, and how fairly it went on."""
    observer = FrameRecorder()
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(url, Path(folder), options)
        with CameraManager(settings, observer) as manager:
            started = time.monotonic()
            manager.reconcile(plans(settings))
            marks = _live_marks(manager, started, options.within)
            spent = _cpu_seconds()
            explained = all_explained(
                manager, max(0.0, started + options.within - time.monotonic())
            )
            until_explained = round(time.monotonic() - started, 1) if explained else None
            observer.measuring = True
            before = _cpu_seconds()
            time.sleep(options.seconds)
            observer.measuring = False
            used = _cpu_seconds() - before
            readers = _readers_megabytes()
            load = os.getloadavg()[0]
            statuses = manager.statuses()
            manager.stop(_GRACE_SECONDS)
    counts = [len(observer.latencies[status.name]) for status in statuses]
    return {
        "cameras": options.cameras,
        "seconds_until_live": marks,
        "seconds_until_all_explained": until_explained,
        "cpu_seconds_until_live": round(spent),
        "killed": sum(status.killed for status in statuses),
        "connections": sum(status.reconnects + 1 for status in statuses),
        "explained_per_second": round(sum(counts) / options.seconds, 1),
        "fairness": round(min(counts) / max(1, *counts), 2),
        "cores_used": round(used / options.seconds, 2),
        "load_average": round(load, 1),
        "readers_megabytes": readers,
    }


def _settings(url: str, folder: Path, options: argparse.Namespace) -> Settings:
    form = {"format": "lavfi"} if options.feed == "lavfi" else {}
    cameras = [{"name": name_of(number), "url": url, **form} for number in range(options.cameras)]
    live = {"max_fps": options.max_fps, "record": options.record}
    return Settings.model_validate({"camera": cameras, "live": live, "output": {"folder": folder}})


def _live_marks(manager: CameraManager, started: float, within: float) -> dict[str, float]:
    """Return after how many seconds a quarter, half, ... all of the cameras were live at once."""
    marks: dict[str, float] = {}
    while "100%" not in marks and (passed := time.monotonic() - started) < within:
        states = [status.state for status in manager.statuses()]
        live = sum(state in (CameraState.LIVE, CameraState.STALLED) for state in states)
        for share in (25, 50, 75, 100):
            if live >= share / 100 * len(states):
                marks.setdefault(f"{share}%", round(passed, 1))
        time.sleep(_GLANCE_SECONDS)
    return marks


def _descendants() -> list[int]:
    found = [os.getpid()]
    for pid in found:
        found += processes.children(pid)
    return found[1:]


def _cpu_seconds() -> float:
    """Return the CPU time used so far, that of readers that have ended included."""
    return sum(processes.cpu_seconds(pid, ended=True) for pid in [os.getpid(), *_descendants()])


def _readers_megabytes() -> dict[str, float]:
    """Return the sums over the readers of what each has alone, and of its share of the shared."""
    sums = {"Pss": 0.0, "Private_Dirty": 0.0}
    for pid in _descendants():
        for name in sums:
            sums[name] += _rollup(pid, name)
    return {name.lower(): round(size) for name, size in sums.items()}


def _rollup(pid: int, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"^{name}: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--feed", choices=("lavfi", "rtsp"), default="lavfi")
    parser.add_argument("--size", default="160x120")
    parser.add_argument("--rate", type=int, default=5)
    parser.add_argument("--megabits", type=float, default=0.2, help="a second, over RTSP")
    parser.add_argument("--max-fps", type=float, default=5.0, help="explained, of each camera")
    parser.add_argument("--record", choices=("always", "never"), default="always")
    parser.add_argument("--within", type=float, default=180.0, help="seconds to become live")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured afterwards")
    options = parser.parse_args()
    options.source = None
    set_up_libraries()
    with ExitStack() as stack:
        url = f"testsrc2=size={options.size}:rate={options.rate}"
        if options.feed == "rtsp":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = stack.enter_context(sent(Path(folder), options)).url
        print(json.dumps(measure(url, options), indent=2))


if __name__ == "__main__":
    main()
