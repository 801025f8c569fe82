"""How long `streamcam run` takes to its first explained frame, step by step.

    python benchmarks/startup.py clip.mp4 --starts 5

Every start is a process of its own. Times count from the beginning of torch's import, which ends
where torchvision's begins.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from streamcam.config import load_settings
from streamcam.observer import Observer
from streamcam.pipeline.file_run import Run
from streamcam.process_tuning import set_up_libraries
from streamcam.sources.inputs import expand
from streamcam.types import Item, JobReport, SourceInfo

_STEPS = ("torch", "torchvision", "opened", "explained", "ended")


class Marks(Observer):
    """When each step was first reached: sees modules being imported, and the work going on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Note what is imported; find nothing."""
        if name in _STEPS:
            self._mark(name)

    def file_started(self, info: SourceInfo) -> None:  # noqa: ARG002
        """Note that the source is open."""
        self._mark("opened")

    def item_written(self, source: str, item: Item) -> None:  # noqa: ARG002
        """Note that a frame was explained and written."""
        self._mark("explained")

    def file_ended(self, report: JobReport) -> None:
        """Note that the results are published."""
        assert report.error is None, report.error
        self._mark("ended")

    def _mark(self, step: str) -> None:
        self.seconds.setdefault(step, time.perf_counter())


def main() -> None:
    options = _options()
    set_up_libraries()
    if options.output is not None:
        print(json.dumps(_start(options.source, options.output)))
        return
    starts = [_start_in_a_process(options.source) for _ in range(options.starts)]
    for step in _STEPS:
        times = sorted(start[step] - start["torch"] for start in starts)
        print(f"{step:12} {median(times):6.2f} s  ({times[0]:.2f} to {times[-1]:.2f})")
    waits = sorted(start["explained"] - start["torchvision"] for start in starts)
    spread = f"({waits[0]:.2f} to {waits[-1]:.2f})"
    print(f"first explained frame {median(waits):.2f} s after torch's import {spread}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--output", help="start once, in this process, and write there")
    return parser.parse_args()


def _start_in_a_process(source: str) -> dict[str, float]:
    with TemporaryDirectory() as output:
        command = [sys.executable, __file__, source, "--output", str(Path(output) / "out")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def _start(source: str, output: str) -> dict[str, float]:
    marks = Marks()
    sys.meta_path.insert(0, marks)
    wanted: dict[str, dict[str, object]] = {"sampling": {"end": 1}, "output": {"folder": output}}
    list(Run(load_settings(None, {}, wanted), marks).explain(expand([source])))
    return marks.seconds


if __name__ == "__main__":
    main()
