"""Kills a recording camera at random moments and checks what is left: all of it plays.

    python -m benchmarks.soak_segments --kills 20

`streamcam live demo://street` is killed by SIGKILL and started again, which mends what lay there.
Each kill is judged from outside: the records that had reached the disk before it, and those that
are there when all is mended. Prints one JSON object; exits with 1 if a segment does not play, holds
other frames than its records, or if more than a second was lost.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import orjson

from benchmarks import recordings

_NAME = "street"
_MOST_LOST_SECONDS = 1.0


class Soak:
    """A camera that is killed.

    Args:
        folder: Where it records.
        options: What was asked for on the command line.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder / _NAME
        self._output = folder
        self._options = options
        self._random = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
        self._observed: list[list[float]] = []
        self._begun: list[float] = []

    def run(self) -> dict[str, object]:
        """Kill it repeatedly, let a last run end normally, and check the results."""
        for _ in range(self._options.kills):
            self._live_and_die()
        last = self._start("--duration", "5")
        code = last.wait(timeout=120)
        saved = set(_moments(self._folder))
        lost = [_lost_seconds(observed, saved) for observed in self._observed]
        faults = recordings.faults(self._folder)
        unfinished = [str(path) for path in recordings.unfinished(self._folder)]
        records = recordings.records(self._folder)
        return {
            "kills": len(self._observed),
            "segments": len(records),
            "frames": sum(map(recordings.lines, records)),
            "frames_observed_before_kills": sum(map(len, self._observed)),
            "lost_frames": [len(set(observed) - saved) for observed in self._observed],
            "lost_seconds_most": max(lost),
            "wrong": faults
            + [f"left: {path}" for path in unfinished]
            + [f"records without a video: {p}" for p in records if not _has_video(p)]
            + [f"{seconds:.2f} s were lost" for seconds in lost if seconds > _MOST_LOST_SECONDS]
            + ([f"exit code {code}"] if code else []),
        }

    def _live_and_die(self) -> None:
        """Let it record for a random time, and kill it."""
        process = self._start()
        before = set(_moments(self._folder))
        while not set(_moments(self._folder)) - before:
            if process.poll() is not None:
                raise RuntimeError(f"it ended by itself, exit code {process.returncode}")
            time.sleep(0.05)
        time.sleep(self._random.uniform(0.0, self._options.longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
        # What it had written is there: the kernel keeps it, whoever died.
        self._observed.append(sorted(set(_moments(self._folder)) - before))

    def _start(self, *more: str) -> "subprocess.Popen[bytes]":
        words = (sys.executable, "-m", "streamcam", "live", "demo://street", "--name", _NAME)
        settings = ("--segment", f"{self._options.segment:g}", "--output", str(self._output))
        return subprocess.Popen(
            (*words, *settings, "--quiet", *more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _moments(folder: Path) -> list[float]:
    """Return when the frames of all whole records were taken, running segments included."""
    found = []
    for path in sorted([*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.part")]):
        try:
            text = path.read_bytes()
        except FileNotFoundError:  # it has just got its name
            text = path.with_suffix("").read_bytes()
        for line in text.splitlines(keepends=True):
            if line.endswith(b"\n"):
                moment = datetime.fromisoformat(orjson.loads(line)["time_utc"])
                found.append(moment.timestamp())
    return found


def _lost_seconds(observed: list[float], saved: set[float]) -> float:
    """Return the time from the last frame that was saved to the last one that was observed."""
    left = [moment for moment in observed if moment in saved]
    return round(observed[-1] - (left[-1] if left else observed[0]), 3)


def _has_video(records: Path) -> bool:
    return records.with_suffix(".mp4").exists()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--segment", type=float, default=5.0, help="seconds of a segment")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds of recording")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        values = Soak(Path(folder), options).run()
    print(json.dumps(values, indent=2))
    sys.exit(bool(values["wrong"]))


if __name__ == "__main__":
    main()
