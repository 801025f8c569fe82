"""Eight cameras of different rates and sizes on one engine: who gets how much of it, and how soon?

    python -m benchmarks.cameras --seconds 60

Twice: with a bound on what is explained, and without one, so that the engine is never idle. Prints
a table of each and, in the end, one JSON object; exits with 1 if a frame is unaccounted for. The
cameras are FFmpeg's test pictures at their own pace; all else is real: readers, engine, drawing and
recording, which `--record never` leaves out.

`passes` counts the forward passes that ended between a frame's arrival and its way out: 1 is just
its own, 2 that it came in during another one. Unlike milliseconds it shows the waiting alone, not
of what else the machine is busy with.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.observer import FrameRecorder, all_explained, ms, p95, unaccounted
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config import Settings
from streamcam.process_tuning import set_up_libraries
from streamcam.types import CameraStatus

CAMERAS: dict[str, tuple[float, str]] = {
    "slow": (1, "1280x720"),
    "five": (5, "640x480"),
    "ten": (10, "320x240"),
    "half": (12.5, "640x360"),
    "fifteen": (15, "1280x720"),
    "usual": (25, "640x480"),
    "ntsc": (30, "640x360"),
    "fast": (60, "320x240"),
}
"""Their frames a second, and their sizes."""

_UNBOUND = 1000.0
_GRACE_SECONDS = 20.0


def measure(folder: Path, max_fps: float, options: argparse.Namespace) -> dict[str, object]:
    """Run all cameras for a while; return their statistics."""
    observer = FrameRecorder()
    settings = _settings(folder, max_fps, options)
    with CameraManager(settings, observer) as manager:
        manager.reconcile(plans(settings))
        all_explained(manager, within=math.inf)
        observer.measuring = True
        time.sleep(options.seconds)
        observer.measuring = False
        manager.stop(_GRACE_SECONDS)
        statuses = manager.statuses()
    return _figures(statuses, observer, max_fps, options.seconds)


def _settings(folder: Path, max_fps: float, options: argparse.Namespace) -> Settings:
    cameras = [
        {"name": name, "format": "lavfi", "url": f"testsrc2=size={size}:rate={rate:g}"}
        for name, (rate, size) in CAMERAS.items()
    ]
    return Settings.model_validate(
        {
            "camera": cameras,
            "live": {"max_fps": max_fps, "segment": 10, "record": options.record},
            "output": {"folder": folder},
            "model": {"batch": options.batch},
        }
    )


def _figures(
    statuses: Sequence[CameraStatus], observer: FrameRecorder, max_fps: float, seconds: float
) -> dict[str, object]:
    batches, drawings = observer.stages["engine"], observer.stages["render"] or [0.0]
    explained = {name: len(found) / seconds for name, found in observer.latencies.items()}
    return {
        "max_fps": max_fps,
        "engine_ms": ms(statistics.fmean(batches)),
        "engine_p95_ms": ms(p95(batches)),
        "engine_busy": round(sum(batches) / seconds, 3),
        "drawing_ms": ms(statistics.fmean(drawings)),
        "drawing_p95_ms": ms(p95(drawings)),
        "explained_per_second": round(sum(explained.values()), 2),
        "frames_per_pass": round(sum(explained.values()) * seconds / len(batches), 2),
        "fairness": _fairness(explained, max_fps),
        "cameras": {
            status.name: _camera(status, observer, explained[status.name]) for status in statuses
        },
    }


def _camera(status: CameraStatus, observer: FrameRecorder, explained: float) -> dict[str, object]:
    counts, latency = status.counts, status.latency
    assert latency is not None
    latencies, passes = observer.latencies[status.name], observer.passes[status.name]
    return {
        "fps": CAMERAS[status.name][0],
        "size": CAMERAS[status.name][1],
        "received": counts.decoded,
        "explained": counts.explained,
        "dropped": dict(counts.dropped),
        "unaccounted": unaccounted(status),
        "explained_per_second": round(explained, 2),
        "p50_ms": ms(statistics.median(latencies)),
        "p95_ms": ms(p95(latencies)),
        "decoder_ms": ms(latency.decoder),
        "p50_passes": statistics.median(passes),
        "p95_passes": p95(passes),
    }


def _fairness(explained: dict[str, float], max_fps: float) -> float | None:
    """Return minimum / maximum explained, of the cameras that want more than an equal share.

    None where everybody gets what he wants.
    """
    wanted = {name: min(rate, max_fps) for name, (rate, _) in CAMERAS.items()}
    left, hungry = sum(explained.values()), set(wanted)
    while content := {name for name in hungry if wanted[name] <= left / len(hungry)}:
        left -= sum(wanted[name] for name in content)
        hungry -= content
        if not hungry:
            return None
    rates = [explained[name] for name in hungry]
    return round(min(rates) / max(rates), 3)


def _show(values: dict[str, object]) -> None:
    cameras = values["cameras"]
    assert isinstance(cameras, dict)
    print(", ".join(f"{key} {value}" for key, value in values.items() if key != "cameras"))
    head = list(next(iter(cameras.values())))
    rows = [["camera", *head]]
    rows += [[name, *map(_word, camera.values())] for name, camera in cameras.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)))
    print(flush=True)


def _word(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}:{number}" for key, number in value.items()) or "-"
    return str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, of each run")
    parser.add_argument("--max-fps", type=float, default=5.0, help="the bound of the first run")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--record", choices=("always", "never"), default="always")
    options = parser.parse_args()
    set_up_libraries()
    runs = {}
    for name, max_fps in (("bounded", options.max_fps), ("unbounded", _UNBOUND)):
        with tempfile.TemporaryDirectory() as folder:
            runs[name] = measure(Path(folder), max_fps, options)
        _show(runs[name])
    print(json.dumps(runs))
    cameras = [camera for run in runs.values() for camera in run["cameras"].values()]  # type: ignore[attr-defined]
    sys.exit(any(camera["unaccounted"] for camera in cameras))


if __name__ == "__main__":
    main()
