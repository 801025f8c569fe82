"""How streamcam's speed and memory go with batch, sources, length, frame size and options.

    python benchmarks/scaling.py batch                     # 1 to 32 frames in a forward
    python benchmarks/scaling.py sources                   # 1 to 64 files at once
    python benchmarks/scaling.py length                    # 10 s to 10 min: linear, flat memory
    python benchmarks/scaling.py size                      # 360p to 4K
    python benchmarks/scaling.py options                   # what each option costs
    python benchmarks/scaling.py batch --values 1,4 --frames 16 --model nano --device cuda

Every point runs in a process of its own (so that memory is its own), files in, files out, on files
that are drawn once. Loading the model is measured separately. Prints a Markdown table.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from streamcam.config import Settings, load_settings
from streamcam.observer import Observer
from streamcam.pipeline.file_run import Run
from streamcam.pipeline.stream import Sampler
from streamcam.process_tuning import set_up_libraries
from streamcam.sinks.video import VideoSettings, VideoSink
from streamcam.sources.inputs import expand, open_source

FPS = 10
SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
OPTIONS: dict[str, dict[str, dict[str, object]]] = {
    "as it is": {},
    "--grid pool": {"cam": {"grid": "pool"}},
    "--video off": {"output": {"video": "off"}},
    "--save-maps png": {"output": {"save_maps": "png"}},
    "--save-maps npz": {"output": {"save_maps": "npz"}},
    "--method layercam": {"cam": {"method": "layercam"}},
    "--method layercam --why-every 5": {"cam": {"method": "layercam", "why_every": 5}},
}
VALUES = {
    "batch": "1,2,4,8,16,32",
    "sources": "1,2,4,8,16,32,64",
    "length": "10,60,600",
    "size": ",".join(SIZES),
    "options": ",".join(OPTIONS),
}


def main() -> None:
    options = _options()
    if options.child:
        set_up_libraries()
        _explain(json.loads(options.child))
        return
    values = (options.values or VALUES[options.axis]).split(",")
    print(f"| {options.axis} | frames/s | CPU ms/frame | memory, MB | model loaded in, s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="streamcam-scaling-") as folder:
        for value in values:
            measured = _point(options, value, Path(folder))
            print(
                f"| {value} | {measured['rate']:.2f} | {1000 * measured['processor']:.1f} "
                f"| {measured['memory']:.0f} | {measured['loaded']:.1f} |",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("axis", choices=VALUES)
    parser.add_argument("--values", help="some of the axis's values, with commas")
    parser.add_argument("--frames", type=int, default=64, help="of each file")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--weights", help="`random`, or a file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _point(options: argparse.Namespace, value: str, folder: Path) -> Mapping[str, float]:
    """Run one point of an axis in a process of its own."""
    size, frames, sources = (768, 432), options.frames, 1
    flags: dict[str, dict[str, object]] = {
        "model": {
            "name": options.model,
            "weights": options.weights,
            "device": options.device,
            "precision": options.precision,
        },
        "sampling": {"every": 1},
        "output": {"folder": str(folder / "out"), "overwrite": True},
    }
    if options.axis == "batch":
        flags["model"]["batch"] = int(value)
    elif options.axis == "sources":
        sources = int(value)
        flags["output"]["workers"] = sources
    elif options.axis == "length":
        frames = int(value) * FPS
    elif options.axis == "size":
        size = SIZES[value]
    else:
        for section, given in OPTIONS[value].items():
            flags.setdefault(section, {}).update(given)
    files = [str(_drawn(folder, size, frames, seed)) for seed in range(sources)]
    task = json.dumps({"flags": flags, "files": files})
    command = [sys.executable, __file__, options.axis, "--child", task]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: Mapping[str, float] = json.loads(done.stdout)
    return measured


def _drawn(folder: Path, size: tuple[int, int], frames: int, seed: int) -> Path:
    """Return a file of the demo street, drawn when it is first asked for."""
    width, height = size
    path = folder / f"{width}x{height}-{frames}-{seed}.mp4"
    if path.exists():
        return path
    # Drawing takes longer than explaining: a second of street, over and over.
    scene = f"demo://street?seconds=1&fps={FPS}&seed={seed}&width={width}&height={height}"
    source = open_source(scene)
    second = list(source.frames(Sampler(every=1)))
    source.close()
    sink = VideoSink(path, source.info, VideoSettings(encoder="libx264"))
    for index in range(frames):
        frame = replace(second[index % len(second)], pts=index, time=index / FPS)
        sink.write(frame, frame.picture)
    return sink.finish()


class _Loading(Observer):
    """Keeps when the first frame was written, and what had been spent by then."""

    first: float | None = None
    spent = 0.0
    frames = 0

    def item_written(self, source: str, item: object) -> None:
        """Count a frame."""
        del source, item
        if self.first is None:
            self.first, self.spent = time.perf_counter(), time.process_time()
        self.frames += 1


def _explain(task: Mapping[str, object]) -> None:
    """Explain the files in this process, and print what it took as JSON."""
    settings: Settings = load_settings(flags=task["flags"])  # type: ignore[arg-type]
    files: Sequence[str] = task["files"]  # type: ignore[assignment]
    measured = _Loading()
    started = time.perf_counter()
    reports = list(Run(settings, measured).explain(expand(files)))
    assert all(report.error is None for report in reports), reports
    assert measured.first is not None
    after = measured.frames - 1
    print(
        json.dumps(
            {
                "rate": after / (time.perf_counter() - measured.first),
                "processor": (time.process_time() - measured.spent) / after,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
                "loaded": measured.first - started,
            }
        )
    )


if __name__ == "__main__":
    main()
