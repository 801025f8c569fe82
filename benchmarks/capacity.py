"""How many cameras does this machine hold, and what keeps it from holding more?

    python -m benchmarks.capacity --feed replay --size 1920x1080 --max-fps 5 --bound-ms 300

More and more cameras are explained at once until they are too many, then the number between the
largest number that held and the smallest that did not is tried. A failure is repeated once.
A number holds if 95 % of its results are out within the bound after their frame's arrival, 95 % of
the wanted ones come out (into the recordings too), and no frame is unaccounted for. The wall is
named after the values of the smallest number that did not hold.

With `--feed replay` the cameras show pictures that are decoded already, so that readers cost
nothing; with `--feed rtsp` each is a client of an RTSP server here, with a reader of its own. All
else is real: engine, drawing, recording, which `--record never` leaves out together with drawing.

A row for each number: explained frames a second, the share of the wanted ones that came out,
milliseconds from arrival to result, the share of the time in which the engine had work, frames in
a pass, seconds a second of transfers to the device, of drawing and of encoding (over all cameras:
may be more than 1), how many ms late a thread is scheduled, cores in use by this process, by its
readers and by everybody, and frames given up by cause. With `--json` there is one object on stdout,
with all values (see `benchmarks.load.Load`), and the rows are on stderr.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from benchmarks.feeds import FEEDS, Feed, name_of
from benchmarks.load import Load, Meter, told_of_transfers
from benchmarks.observer import FrameRecorder, all_explained, unaccounted
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config import Settings
from streamcam.process_tuning import set_up_libraries

_OPENING_SECONDS = 60.0
_WARMING_SECONDS = 3.0
_GRACE_SECONDS = 20.0


def main() -> None:
    options = _options()
    set_up_libraries()
    rows = sys.stderr if options.json else sys.stdout
    print(_row(_HEAD), file=rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        FEEDS[options.feed](Path(folder), options) as feed,
    ):

        def run(cameras: int) -> Load:
            load = measure(cameras, feed, options)
            _show(load, options.bound_ms, rows)
            return load

        held, missed = search(run, options.bound_ms, options.most)
    found = _verdict(held, missed, options)
    print(json.dumps(found) if options.json else f"\n{found['said']}")


def search(
    run: Callable[[int], Load], bound_ms: float, limit: int
) -> tuple[Load | None, Load | None]:
    """Return the run with the most cameras that held, and with the fewest that did not."""
    held: Load | None = None
    missed: Load | None = None
    while (count := _next(held, missed, limit)) is not None:
        load = run(count)
        if not load.holds(bound_ms):
            load = run(count)  # others may have been at work
        if load.holds(bound_ms):
            held = load
        else:
            missed = load
    return held, missed


def _next(held: Load | None, missed: Load | None, limit: int) -> int | None:
    """Return how many cameras are to be tried next, None where all is known."""
    low = held.cameras if held else 0
    if missed is None:
        return None if low == limit else min(2 * low or 1, limit)
    return None if missed.cameras - low == 1 else (low + missed.cameras) // 2


def measure(cameras: int, feed: Feed, options: argparse.Namespace) -> Load:
    """Run `cameras` cameras for a while; return the load."""
    observer = FrameRecorder()
    with tempfile.TemporaryDirectory() as folder, told_of_transfers(observer):
        settings = _settings(cameras, feed, Path(folder), options)
        with CameraManager(settings, observer) as manager:
            manager.reconcile(plans(settings))
            # Those that do not come in time are missing among the results.
            all_explained(manager, _OPENING_SECONDS)
            time.sleep(_WARMING_SECONDS)
            values = Meter(manager, observer, feed.server).measure(options.seconds)
            manager.stop(_GRACE_SECONDS)
            lost = sum(map(unaccounted, manager.statuses()))
    wanted = cameras * min(feed.rate, options.max_fps)
    silent = cameras - len(observer.latencies)
    return Load(cameras=cameras, wanted=wanted, silent=silent, unaccounted=lost, **values)


def _settings(cameras: int, feed: Feed, folder: Path, options: argparse.Namespace) -> Settings:
    model = {
        "name": options.model,
        "weights": options.weights,
        "device": options.device,
        "precision": options.precision,
        "batch": options.batch,
    }
    return Settings.model_validate(
        {
            "camera": [{"name": name_of(number), "url": feed.url} for number in range(cameras)],
            "live": {"max_fps": options.max_fps, "record": options.record},
            "output": {"folder": folder},
            "model": model,
        }
    )


_HEAD = (
    "cameras",
    "explained",
    "came",
    "p50 ms",
    "p95 ms",
    "engine",
    "a pass",
    "transfer",
    "drawing",
    "encoding",
    "late ms",
    "own",
    "readers",
    "all",
    "GPU MB",
    "holds",
    "dropped",
)


def _show(load: Load, bound_ms: float, rows: TextIO) -> None:
    outside = load.cpu.get("decoding", 0.0) + load.cpu.get("server", 0.0)
    words = (
        load.cameras,
        f"{load.explained}/{load.wanted:g}",
        f"{load.least_share:.0%}",
        load.p50_ms,
        load.p95_ms,
        f"{load.engine_busy:.0%}",
        load.frames_per_pass,
        f"{load.transfer:.2f}",
        f"{load.drawing:.2f}",
        f"{load.encoding:.2f}",
        load.late_ms,
        f"{sum(load.cpu.values()) - outside:.2f}",
        f"{load.cpu.get('decoding', 0.0):.2f}",
        f"{load.busy_cores:.1f}/{load.cores}",
        load.gpu_megabytes,
        "yes" if load.holds(bound_ms) else "no",
        " ".join(f"{cause}:{count}" for cause, count in load.dropped.items()) or "-",
    )
    print(_row(tuple(map(str, words))), file=rows, flush=True)


def _row(words: tuple[str, ...]) -> str:
    return "  ".join(word.rjust(max(6, len(head))) for word, head in zip(words, _HEAD, strict=True))


def _verdict(
    held: Load | None, missed: Load | None, options: argparse.Namespace
) -> dict[str, object]:
    """Print how many cameras held, and the bottleneck."""
    cameras = held.cameras if held else 0
    wall, reason = (
        missed.wall() if missed else (None, f"{cameras} is the largest number that was tried")
    )
    said = f"{cameras} cameras hold; wall: {wall or 'not reached'}, {reason}"
    return {
        "said": said,
        "cameras": cameras,
        "wall": wall,
        "reason": reason,
        "held": held and asdict(held),
        "missed": missed and asdict(missed),
        "options": vars(options) | {"source": options.source and options.source.name},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--feed", choices=FEEDS, default="replay")
    parser.add_argument("--source", type=Path, help="H.264 in MP4; else a moving test picture")
    parser.add_argument("--size", default="1920x1080", help="of the test picture")
    parser.add_argument("--rate", type=int, default=25, help="of the test picture")
    parser.add_argument("--megabits", type=float, default=4, help="a second, of the test picture")
    parser.add_argument("--max-fps", type=float, default=5.0, help="explained, of each camera")
    parser.add_argument("--bound-ms", type=float, default=300.0)
    parser.add_argument("--seconds", type=float, default=15.0, help="measured, of each number")
    parser.add_argument("--most", type=int, default=128, help="cameras")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--record", choices=("always", "never"), default="always")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
