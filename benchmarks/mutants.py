"""Do damaged files end in an error and within bounded memory? Mutates small media and reads them.

    python benchmarks/mutants.py [--decoded 3000] [--run 300] [--seed 1]

Small pictures and videos of every usual format are made, then damaged: flipped bits, cut tails,
parts twice or missing, and numbers in the first bytes replaced by large ones, as a size of
60,000 x 60,000 pixels is. Some are decoded, a process for a few hundred, and some go through
`streamcam run`. Prints what became of them and the peak resident memory; the exit code is 1 if a
process crashed or a file ended in anything but frames or an error of the source.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

from streamcam.errors import SourceError
from streamcam.pipeline.stream import Sampler
from streamcam.sources.inputs import open_source

PICTURES = ("jpg", "png", "webp", "bmp", "tif", "gif", "ppm", "avif")
VIDEOS = {
    "mp4": "libx264",
    "mkv": "libx265",
    "ts": "mpeg2video",
    "avi": "mjpeg",
    "webm": "libvpx-vp9",
    "mov": "png",
}
SIDE = 96
FRAMES = 12
BATCH = 250
SECONDS = 600
"""For one process of a batch: a file that takes longer counts as a crash."""
NUMBERS = (0, 1, 0x3FFF, 0x7FFF, 0xFFFF, 0x00FFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def make_media(folder: Path) -> list[Path]:
    """Write a small file of each format."""
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    image = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    made = []
    for ending in PICTURES:
        if f".{ending}" not in Image.registered_extensions():
            continue  # Pillow reads AVIF since 11.3
        made.append(folder / f"picture.{ending}")
        image.save(made[-1])
    for ending, codec in VIDEOS.items():
        made.append(folder / f"video.{ending}")
        with av.open(str(made[-1]), "w") as container:
            stream = cast("VideoStream", container.add_stream(codec, rate=5))
            stream.width = stream.height = SIDE
            stream.pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
            for shift in range(FRAMES):
                moved = np.roll(np.asarray(image), 4 * shift, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
            container.mux(stream.encode())
    return made


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a damaged copy."""
    copy = bytearray(data)
    kind = chance.randrange(5)
    if kind == 0:
        for _ in range(chance.randrange(1, 20)):
            copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del copy[chance.randrange(len(copy)) :]
    elif kind == 2:
        start, length = chance.randrange(len(copy)), chance.randrange(1, 512)
        copy[start:start] = copy[start : start + length]
    elif kind == 3:
        start = chance.randrange(len(copy))
        del copy[start : start + chance.randrange(1, 512)]
    else:
        for _ in range(chance.randrange(1, 4)):
            width = chance.choice((2, 4))
            at = chance.randrange(min(len(copy) - width, 512))
            number = chance.choice(NUMBERS) & (256**width - 1)
            copy[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))
    return bytes(copy)


def make_mutants(media: Sequence[Path], folder: Path, count: int, seed: int) -> list[Path]:
    chance = random.Random(seed)  # noqa: S311 - for the same mutants every time
    made = []
    for number in range(count):
        original = media[number % len(media)]
        made.append(folder / f"{number:05}{original.suffix}")
        made[-1].write_bytes(mutated(original.read_bytes(), chance))
    return made


def decode(paths: Sequence[str]) -> None:
    """Decode files, and print for each its name, what became of it, and the peak memory in MB."""
    for path in paths:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begins a new peak
        try:
            source = open_source(path)
            try:
                frames = sum(1 for _ in source.frames(Sampler(every=1)))
            finally:
                source.close()
            outcome = "frames" if frames else "no frames"
        except SourceError:
            outcome = "refused"
        except Exception as error:  # noqa: BLE001 - what is looked for
            outcome = f"fault: {type(error).__name__}: {error}"
        print(json.dumps([path, outcome, peak_megabytes("self")]), flush=True)


def peak_megabytes(process: int | str) -> float:
    """Return the peak of a process's resident set, from /proc; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM:")), 0.0)


def decoded(paths: Sequence[Path]) -> Iterator[tuple[str, str, float]]:
    """Decode files in processes of their own; one that crashes goes on after the file at fault."""
    rest = [str(path) for path in paths]
    while rest:
        batch = rest[:BATCH]
        command = [sys.executable, __file__, "--files", *batch]
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False
            )
            lines, code = done.stdout.splitlines(), done.returncode
        except subprocess.TimeoutExpired as error:
            lines, code = (error.stdout or b"").decode().splitlines(), -1
        yield from (tuple(json.loads(line)) for line in lines)
        if len(lines) < len(batch):
            yield batch[len(lines)], f"fault: exit {code}", 0.0
        rest = rest[min(len(batch), len(lines) + 1) :]


def run(folder: Path, output: Path) -> tuple[int, float]:
    """Explain all files of a folder; return the exit code and the peak memory in MB."""
    command = [sys.executable, "-m", "streamcam", "run", str(folder), "--quiet", "-o", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.05)
    return process.returncode, peak


def main() -> None:
    """Make the mutants, read them, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decoded", type=int, default=3000)
    parser.add_argument("--run", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.files:
        decode(options.files)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("media", "decoded", "run"):
            (folder / part).mkdir()
        media = make_media(folder / "media")
        results = list(
            decoded(make_mutants(media, folder / "decoded", options.decoded, options.seed))
        )
        outcomes = Counter(outcome for _, outcome, _ in results)
        print(f"{len(results)} decoded: {dict(outcomes)}")
        for path, outcome, peak in sorted(results, key=lambda result: -result[2])[:3]:
            print(f"  {peak:6.0f} MB  {Path(path).name}: {outcome}")
        make_mutants(media, folder / "run", options.run, options.seed + 1)
        code, peak = run(folder / "run", folder / "out")
        print(f"{options.run} through run: exit {code}, {peak:.0f} MB at most")
    sys.exit(code not in (0, 1) or any(outcome.startswith("fault") for outcome in outcomes))


if __name__ == "__main__":
    main()
