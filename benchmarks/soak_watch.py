"""Kills a watcher at random moments and checks that nothing is lost, doubled or half-written.

    python -m benchmarks.soak_watch --kills 100 --files 30

The command, the job store, decoder and encoder are the real ones; the engine is a stub unless
--model names one, because loading a real one would take most of the time. Prints one JSON object;
exits with 1 if anything is not as it should be.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import av

from streamcam.database import Database
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.job_tables import FILE_NAME, JOB_STORE
from streamcam.jobs.store import JobStore
from tests.media import numbered, write_video

KINDS = ("detections.jsonl", "heatmap.jpg", "heatmap.mp4", "manifest.json")


class Soak:
    """A watched folder that files come into while its watcher is killed.

    Args:
        folder: Where everything lies.
        options: What was asked for on the command line.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.incoming = folder / "in"
        self.output = folder / "out"
        self.store_file = folder / "out.state" / FILE_NAME
        self.incoming.mkdir()
        self.options = options
        self.random = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
        self.frames: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.doubled: set[str] = set()
        self.broken_stores = 0

    def run(self) -> dict[str, object]:
        """Kill repeatedly, let a last watcher finish, and check the results."""
        started = time.monotonic()
        for kill in range(self.options.kills):
            while len(self.frames) < self.options.files * (kill + 1) / self.options.kills:
                self.drop_file()
            self.live_and_die()
            self.inspect()
        end = self.watch("--once").wait(timeout=600)
        self.inspect()
        return {
            "kills": self.options.kills,
            "jobs_killed": sum(job.kills for job in self.jobs()),
            "files": len(self.frames),
            "lost": sorted(set(self.frames) - self.done()),
            "doubled": sorted(self.doubled),
            "half_written": self.half_written(),
            "strange_files": self.strange(),
            "broken_stores": self.broken_stores,
            "most_kills_of_one_job": max(job.kills for job in self.jobs()),
            "last_exit_code": end,
            "seconds": round(time.monotonic() - started, 1),
        }

    def drop_file(self) -> None:
        """Put a video of its own length into the folder, under its name at once or slowly."""
        name = f"{len(self.frames):03}.mp4"
        count = self.random.randint(40, 100)
        path = write_video(self.incoming / f".{name}", numbered(count))
        self.frames[name] = count
        if self.random.random() < 0.5:
            path.rename(self.incoming / name)
        else:
            (self.incoming / name).write_bytes(path.read_bytes())
            path.unlink()

    def watch(self, *more: str) -> "subprocess.Popen[bytes]":
        """Start a watcher."""
        module = "streamcam" if self.options.model else "tests.jobs.daemon"
        model = ("--model", self.options.model, "--weights", "random") if self.options.model else ()
        words = (
            *(sys.executable, "-m", module, "watch", str(self.incoming), "-o", str(self.output)),
            *("--settle", "0.1", "--every", "1", *model, *more),
        )
        variables = {"STREAMCAM_WATCH_MIN_FREE": "0", "STUB_FRAME": "0.03"}
        return subprocess.Popen(
            words,
            env={**os.environ, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def live_and_die(self) -> None:
        """Let a watcher live for a random time, its start included, and kill it."""
        process = self.watch()
        time.sleep(self.random.uniform(0.05, self.options.longest))
        process.send_signal(signal.SIGKILL)
        process.wait()

    def inspect(self) -> None:
        """Check the job store, and that nothing that was done is done again."""
        if not self.store_file.exists():
            return
        database = Database(self.store_file, JOB_STORE)
        ((verdict,),) = database.rows("PRAGMA integrity_check")
        database.close()
        jobs = self.jobs()
        self.broken_stores += verdict != "ok"
        for job in jobs:
            name = job.path.name
            if job.state is JobState.DONE:
                moment = job.outputs["manifest"].stat().st_mtime_ns
                if self.made.setdefault(name, moment) != moment:
                    self.doubled.add(name)
        if len({job.path for job in jobs}) != len(jobs):
            self.doubled.add("rows of the job store")

    def jobs(self) -> list[JobRecord]:
        """Return what the job store knows."""
        with closing(JobStore(self.store_file)) as store:
            return store.jobs()

    def done(self) -> set[str]:
        """Return the files whose job is done."""
        return {job.path.name for job in self.jobs() if job.state is JobState.DONE}

    def half_written(self) -> list[str]:
        """Return the files whose results do not hold every frame of theirs, once."""
        return [name for name, count in self.frames.items() if not self.is_whole(name, count)]

    def is_whole(self, name: str, count: int) -> bool:
        """Whether a file's results have each of its frames once."""
        stem = self.output / name.removesuffix(".mp4")
        try:
            manifest = json.loads(Path(f"{stem}.manifest.json").read_text())
            lines = Path(f"{stem}.detections.jsonl").read_text().splitlines()
            frames = [json.loads(line)["frame"] for line in lines]
            with av.open(f"{stem}.heatmap.mp4") as container:
                pictures = sum(1 for _ in container.decode(video=0))
        except (OSError, ValueError, av.FFmpegError):
            return False
        return frames == list(range(count)) and pictures == count and manifest["outcome"] == "done"

    def strange(self) -> list[str]:
        """Return what lies among the results and is none."""
        expected = {f"{name.removesuffix('.mp4')}.{kind}" for name in self.frames for kind in KINDS}
        return sorted({path.name for path in self.output.rglob("*")} ^ expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--files", type=int, default=30)
    parser.add_argument("--longest", type=float, default=5.0, help="seconds that a watcher lives")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", help="a real detector, with random weights")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        values = Soak(Path(folder), options).run()
    print(json.dumps(values, indent=2))
    wrong = ("lost", "doubled", "half_written", "strange_files", "broken_stores", "last_exit_code")
    sys.exit(any(values[name] for name in wrong))


if __name__ == "__main__":
    main()
