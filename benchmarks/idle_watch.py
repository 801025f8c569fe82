"""Measures what a watcher costs that has nothing to do, and what a job costs the job store.

    python -m benchmarks.idle_watch --files 10000 --seconds 130

Prints one JSON object: CPU of an idle watcher with a number of known files in its folder, the
cost of one scan of them, and the job store's time for a job from its arrival to its end.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from streamcam.fingerprint import identity_of
from streamcam.jobs.job_record import JobState
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.store import JobStore
from streamcam.types import JobReport, Outcome

TICKS = os.sysconf("SC_CLK_TCK")


def fill(folder: Path, store: JobStore, count: int) -> list[float]:
    """Make `count` files and jobs that are done; return the job store's seconds for each."""
    seconds = []
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"{number:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(2000))
        identity = identity_of(path)
        started = time.perf_counter()
        store.check_file(folder, path, identity.stat)
        store.enqueue(path, identity, [path.stem])
        job = store.claim("benchmark", [folder], alone=True)
        assert job is not None
        store.owned(job.id, "benchmark")
        store.finish(job.id, "benchmark", JobState.DONE, JobReport(path.name, Outcome.DONE))
        seconds.append(time.perf_counter() - started)
    return seconds


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle(folder: Path, output: Path, seconds: float) -> dict[str, float]:
    """Watch a folder in which nothing happens."""
    words = (sys.executable, "-m", "streamcam", "watch", str(folder), "-o", str(output))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(10)
    before, started = cpu_seconds(process.pid), time.monotonic()
    time.sleep(seconds)
    used, passed = cpu_seconds(process.pid) - before, time.monotonic() - started
    memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
    process.send_signal(signal.SIGTERM)
    process.wait()
    return {"cpu_percent": round(100 * used / passed, 3), "memory_mb": round(int(memory) / 1000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=130.0, help="two rescans of a minute")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place, "in"), Path(place, "out")
        store = JobStore(Path(place, "out.state", FILE_NAME))
        milliseconds = [1000 * s for s in fill(folder, store, options.files)]
        store.close()
        values = {
            "files": options.files,
            "store_ms_per_job": round(statistics.median(milliseconds), 2),
            "store_ms_per_job_p99": round(statistics.quantiles(milliseconds, n=100)[-1], 2),
            **idle(folder, output, options.seconds),
        }
    print(json.dumps(values, indent=2))


if __name__ == "__main__":
    main()
