"""Is memory flat over a long file? Explains a 1080p video and samples the process's memory.

    python benchmarks/memory.py [--minutes 10] [--max-fps 1]

Prints the resident set at 10 %, 50 % and 100 % of the work, and the ratio of last to first.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

FPS = 10


def make_video(path: Path, seconds: float) -> None:
    """Encode a moving test pattern with FFmpeg's own generator."""
    pattern = f"testsrc2=size=1920x1080:rate={FPS}:duration={seconds:g}"
    with av.open(pattern, format="lavfi") as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in source.decode(video=0):
            picture = frame.reformat(format="yuv420p")
            picture.time_base = Fraction(1, FPS)
            target.mux(stream.encode(picture))
        target.mux(stream.encode())


def resident_megabytes(pid: int) -> float:
    """Return a process's resident set, from /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def explained(folder: Path) -> int:
    """Return how many records have been written so far."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl*"))


def main() -> None:
    """Make the file, explain it, and print the memory at the marks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--max-fps", type=float, default=1)
    options = parser.parse_args()
    seconds = options.minutes * 60
    total = int(seconds * min(options.max_fps, FPS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_video(folder / "long.mp4", seconds)
        print(f"{seconds:g} s of 1920x1080 at {FPS} fps, {total} frames to explain", flush=True)
        output = folder / "out"
        command = [sys.executable, "-m", "streamcam", "run", str(folder / "long.mp4")]
        command += ["--quiet", "--max-fps", f"{options.max_fps:g}", "--output", str(output)]
        process = subprocess.Popen(command)
        memory = watch(process, output, total)
    print(f"last / first: {memory[1.0] / memory[0.1]:.3f}")
    sys.exit(process.returncode)


def watch(process: subprocess.Popen[bytes], folder: Path, total: int) -> dict[float, float]:
    """Return the resident set in MB at each mark, printing it as it is reached."""
    memory: dict[float, float] = {}
    last = 0.0
    while process.poll() is None:
        last = resident_megabytes(process.pid) or last
        done = explained(folder) / total
        for mark in (0.1, 0.5, 1.0):
            if done >= mark and mark not in memory:
                memory[mark] = last
                print(f"{mark:4.0%}: {last:7.1f} MB", flush=True)
        time.sleep(0.5)
    memory.setdefault(1.0, last)
    return memory


if __name__ == "__main__":
    main()
