"""What it costs to spread `streamcam run` over Ray's workers.

    python -m benchmarks.ray_archive overhead              # beside a plain run, one worker
    python -m benchmarks.ray_archive scaling               # 1 and 2 workers of one core each
    python -m benchmarks.ray_archive names                 # the driver's memory, 1,000 to 100,000
    python -m benchmarks.ray_archive names --values 1000,10000

`overhead` and `scaling`: clips a second from the end of the first clip to the end of the last, so
that neither Ray's start nor the model's loading counts (the former is given apart), with as many
threads for the network on both sides; the programs take turns. `names`: sources that cannot be
opened (empty files), so that the driver has most to do; its memory is looked at while it runs. Each
prints a Markdown table. `ray_chaos.py` ends things, `ray_tutorial.py` compares with Ray's tutorial.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.archive_clips import draw_archive
from benchmarks.processes import anonymous_megabytes, cpu_seconds

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Timed:
    """A run's clips a second once it is under way, and its seconds until then."""

    rate: float
    start: float


def overhead(options: argparse.Namespace, folder: Path) -> None:
    """Print how much slower one worker is than a plain run."""
    draw_archive(folder / "in", options.clips, options.frames)
    cores = os.cpu_count() or 1
    one = ["--ray", "local", "--ray-workers", "1", "--cpus-per-worker", str(cores)]
    programs: dict[str, list[str]] = {"plain": [], "--ray local, one worker": one}
    found: dict[str, list[Timed]] = {name: [] for name in programs}
    for number in range(options.rounds):
        names = list(programs) if number % 2 == 0 else list(programs)[::-1]
        for name in names:
            found[name].append(_timed(folder, programs[name], threads=cores))
    ratios = [ray.rate / plain.rate for plain, ray in zip(*found.values(), strict=True)]
    print("| | clips/s, median | until the first clip is done, s |")
    print("|---|---|---|")
    for name, runs in found.items():
        rate = statistics.median(run.rate for run in runs)
        print(f"| {name} | {rate:.2f} | {statistics.median(run.start for run in runs):.1f} |")
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"\nRay over plain, round by round: {shown}; median {statistics.median(ratios):.3f}")


def scaling(options: argparse.Namespace, folder: Path) -> None:
    """Print clips a second by the number of workers, a core each."""
    draw_archive(folder / "in", options.clips, options.frames)
    print("| workers of one core | clips/s | times one |")
    print("|---|---|---|")
    first = 0.0
    for workers in (int(value) for value in (options.values or "1,2").split(",")):
        arguments = ["--ray", "local", "--ray-workers", str(workers), "--cpus-per-worker", "1"]
        rate = statistics.median(
            _timed(folder, arguments, threads=1).rate for _ in range(options.rounds)
        )
        first = first or rate
        print(f"| {workers} | {rate:.2f} | {rate / first:.2f} |", flush=True)


def names(options: argparse.Namespace, folder: Path) -> None:
    """Print the driver's memory and time by the number of sources."""
    print("| sources | driver, most MB | seconds | driver's CPU, ms a source |")
    print("|---|---|---|---|")
    for count in (int(value) for value in (options.values or "1000,10000,100000").split(",")):
        source = folder / f"empty{count}"
        source.mkdir()
        for number in range(count):
            (source / f"{number:06}.mp4").touch()
        command = _command(source, folder / f"out{count}")
        command += ["--ray", "local", "--cpus-per-worker", "1", "--workers", "8"]
        begun = time.monotonic()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
            most, used = 0.0, 0.0
            while driver.poll() is None:
                most = max(most, anonymous_megabytes(driver.pid))
                used = cpu_seconds(driver.pid) or used
                time.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - begun
        print(f"| {count:,} | {most:.0f} | {seconds:.0f} | {1000 * used / count:.2f} |", flush=True)


def _timed(folder: Path, arguments: list[str], *, threads: int) -> Timed:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [*_command(folder / "in", Path(output)), *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        begun = time.monotonic()
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True
        ) as run:
            assert run.stderr is not None
            ended = [time.monotonic() for line in run.stderr if line.startswith("[")]
        if run.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return Timed((len(ended) - 1) / (ended[-1] - ended[0]), ended[0] - begun)


def _command(source: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "streamcam", "run", str(source), "--output", str(output)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("overhead", "scaling", "names"))
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--values", help="numbers of workers, or of sources")
    options = parser.parse_args()
    measure = {"overhead": overhead, "scaling": scaling, "names": names}[options.what]
    with tempfile.TemporaryDirectory(prefix="ray-archive-") as name:
        measure(options, Path(name))


if __name__ == "__main__":
    main()
