"""`streamcam run --ray` beside the way that Ray's own tutorial processes videos, on the same clips.

    pip install decord pandas pyarrow                      # what `ray.data.read_videos` needs
    python -m benchmarks.ray_tutorial                       # 50 clips of 50 frames
    python -m benchmarks.ray_tutorial --clips 8 --frames 25

The tutorial ("Video processing with object detection using batch inference" in Ray's documents):
`read_videos`, a detector in `map_batches`, a `map` that draws with Pillow, and a writer on the
driver, which collects all frames; here a file for each clip, what the tutorial leaves open. Both
have the same detector, Faster R-CNN with random weights. streamcam is measured as it comes, with
five frames a second, and with every frame like the tutorial. The last line has the jobs of
streamcam's workers in Ray Data's `map_batches`, a row for each source. Every program has a cluster
of its own; to start it and to load the model is part of the time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.archive_clips import RATE, draw_archive

MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"
_CONFIDENCE = 0.5


def tutorial(clips: list[Path], output: Path, workers: int) -> None:
    """Draw the detections of all frames, as the tutorial does."""
    import cv2
    import ray
    import torch
    from PIL import Image, ImageDraw, ImageFont
    from torchvision.models import detection

    class BatchObjectDetectionModel:
        def __init__(self) -> None:
            build = getattr(detection, MODEL)
            self.model = build(weights=None, weights_backbone=None).eval()

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            predictions = []
            for image in batch["frame"]:
                tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255.0
                with torch.no_grad():
                    found = self.model([tensor])[0]
                predictions.append({name: value.numpy() for name, value in found.items()})
            batch["predictions"] = predictions
            return batch

    def draw_boxes(row: dict[str, Any]) -> dict[str, Any]:
        picture = Image.fromarray(row["frame"])
        draw = ImageDraw.Draw(picture)
        found = row["predictions"]
        valid = found["scores"] > _CONFIDENCE
        for box, score in zip(found["boxes"][valid], found["scores"][valid], strict=True):
            draw.rectangle(list(box), outline="green", width=2)
            draw.text((box[0], box[1]), f"{score:.2f}", font=ImageFont.load_default())
        return {"frame": np.array(picture), "path": row["path"], "index": row["frame_index"]}

    ray.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False)
    frames = ray.data.read_videos([str(clip) for clip in clips], include_paths=True)
    pool = ray.data.ActorPoolStrategy(size=workers)
    predicted = frames.map_batches(BatchObjectDetectionModel, compute=pool, batch_size=8)
    drawn = predicted.map(draw_boxes).take_all()
    drawn.sort(key=lambda row: (row["path"], row["index"]))
    writers: dict[str, Any] = {}
    for row in drawn:
        height, width = row["frame"].shape[:2]
        path = output / f"{Path(row['path']).stem}.mp4"
        if row["path"] not in writers:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            writers[row["path"]] = cv2.VideoWriter(str(path), code, RATE, (width, height))
        writers[row["path"]].write(cv2.cvtColor(row["frame"], cv2.COLOR_RGB2BGR))
    for writer in writers.values():
        writer.release()


def ray_data(clips: list[Path], output: Path, workers: int) -> None:
    """Explain the clips as streamcam's workers do, but by `map_batches`, one source a row."""
    import ray

    from streamcam.clock import Clock
    from streamcam.config import Settings
    from streamcam.observer import Observer
    from streamcam.pipeline.engine_provider import LazyEngineProvider
    from streamcam.pipeline.file_job import Job
    from streamcam.process_tuning import set_up_libraries
    from streamcam.sources.inputs import Entry

    class Explain:
        def __init__(self) -> None:
            set_up_libraries()
            self.settings = Settings.model_validate(
                {
                    "model": {"name": MODEL, "weights": "random", "device": "cpu"},
                    "output": {"folder": output},
                    "sampling": {"every": 1},
                }
            )
            self.provider = LazyEngineProvider(self.settings)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            jobs = [
                Job(
                    Entry(str(path), Path(path).stem),
                    self.settings,
                    self.provider,
                    Observer(),
                    Clock(),
                )
                for path in batch["item"]
            ]
            return {"outcome": [job.run().outcome.value for job in jobs]}

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    pool = ray.data.ActorPoolStrategy(size=workers)
    sources = ray.data.from_items([str(clip) for clip in clips])
    rows = sources.map_batches(Explain, compute=pool, batch_size=1).take_all()
    assert all(row["outcome"] == "done" for row in rows)


def streamcam(clips: list[Path], output: Path, workers: int, *options: str) -> None:
    command = [sys.executable, "-m", "streamcam", "run", str(clips[0].parent), "--quiet"]
    command += ["--output", str(output), "--model", MODEL, "--weights", "random"]
    command += ["--device", "cpu", "--ray", "local", "--cpus-per-worker", "1"]
    subprocess.run([*command, "--ray-workers", str(workers), *options], check=True)


PROGRAMS = {
    "the tutorial, every frame": lambda *arguments: tutorial(*arguments),
    "streamcam as it comes, 5 frames a second": lambda *arguments: streamcam(*arguments),
    "streamcam, every frame": lambda *arguments: streamcam(*arguments, "--every", "1"),
    "streamcam's jobs in Ray Data, every frame": lambda *arguments: ray_data(*arguments),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        program, folder, output = json.loads(options.child)
        PROGRAMS[program](sorted(Path(folder).iterdir()), Path(output), options.workers)
        return
    with tempfile.TemporaryDirectory(prefix="ray-tutorial-") as name:
        _compare(Path(name), options)


def _compare(folder: Path, options: argparse.Namespace) -> None:
    draw_archive(folder / "in", options.clips, options.frames)
    print("| | seconds | times as fast | files | with sound | timestamps as the source's |")
    print("|---|---|---|---|---|---|")
    first = None
    for number, program in enumerate(PROGRAMS):
        output = folder / f"out{number}"
        output.mkdir()
        child = json.dumps([program, str(folder / "in"), str(output)])
        begun = time.monotonic()
        arguments = ["--child", child, "--workers", str(options.workers)]
        subprocess.run([sys.executable, "-m", "benchmarks.ray_tutorial", *arguments], check=True)
        seconds = time.monotonic() - begun
        first = first or seconds
        made = sorted(output.glob("*.mp4"))
        sound = sum(_has_sound(path) for path in made)
        timed = sum(_times(path) <= _times(_source(folder, path)) for path in made)
        figures = f"{seconds:.0f} | {first / seconds:.1f} | {len(made)} | {sound} | {timed}"
        print(f"| {program} | {figures} |", flush=True)


def _source(folder: Path, result: Path) -> Path:
    return folder / "in" / f"{result.name.partition('.')[0]}.mp4"


def _has_sound(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def _times(path: Path) -> set[float]:
    """Return when the frames of a video are shown, in milliseconds."""
    return set(_shown(path))


def _shown(path: Path) -> Iterator[float]:
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.time_base is not None:
                yield round(float(packet.pts * packet.time_base) * 1000)


if __name__ == "__main__":
    main()
