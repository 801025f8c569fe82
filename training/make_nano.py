"""Make the weights file that streamcam ships, from the first step to the last.

    python -m training.make_nano --graph nanodet.json --data DIR --videos DIR --output DIR

Converts NanoDet-g's weights, labels frames of the videos with them, trains on in stages, mixes the
results with the start, and prints the precision. Steps that are done are not repeated: a run that
was stopped goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training import convert_nanodet, evaluate, evaluate_street, interpolate, label_frames, train


@dataclass(frozen=True)
class Stage:
    """A training run from the result of the one before."""

    epochs: float
    learning_rate: float
    street: float
    """Drawn streets for one photo."""
    share: float
    """Of the trained weights in the result, the rest is NanoDet-g's."""


STAGES = (
    Stage(epochs=8, learning_rate=2e-4, street=0.1, share=0.5),
    Stage(epochs=3, learning_rate=1e-4, street=0.5, share=0.65),
    Stage(epochs=2, learning_rate=6e-5, street=0.5, share=1.0),
    Stage(epochs=1, learning_rate=8e-5, street=1.0, share=0.9),
)
FRAMES_SHARE = "0.06"
KEPT_APART = "one-by-one-person"
"""Part of the name of the video that the result is measured on."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.make_nano", description=__doc__)
    parser.add_argument("--graph", type=Path, required=True, help="nanodet.json, see NOTICE")
    parser.add_argument("--data", type=Path, required=True, help="photos, train.json, val.json")
    parser.add_argument("--videos", type=Path, required=True, help="folder of videos")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--processes", default="1", help="see training.train")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    start, frames = options.output / "start.safetensors", options.output / "frames"
    if not start.exists():
        convert_nanodet.main([str(options.graph), str(start)])
    if not (frames / "train.json").exists():
        _label_frames(options, start, frames)
    result = start
    for number, stage in enumerate(STAGES, start=1):
        mixed = options.output / f"stage{number}.safetensors"
        if not mixed.exists():
            _train(options, stage, number, start=result, frames=frames)
            trained = options.output / f"run{number}" / "nano.safetensors"
            share = ("--share", str(stage.share))
            interpolate.main([str(start), str(trained), str(mixed), *share])
        result = mixed
    evaluate.main(["--data", str(options.data), "--weights", str(result)])
    evaluate_street.main(["--weights", str(result)])
    print(result)


def _label_frames(options: argparse.Namespace, weights: Path, output: Path) -> None:
    videos = [
        str(each)
        for each in sorted(options.videos.iterdir())
        if each.is_file() and KEPT_APART not in each.name
    ]
    kept = ("--weights", str(weights), "--output", str(output))
    label_frames.main([*videos, "--data", str(options.data), *kept])


def _train(
    options: argparse.Namespace, stage: Stage, number: int, *, start: Path, frames: Path
) -> None:
    settings = {
        "--data": options.data,
        "--start": start,
        "--output": options.output / f"run{number}",
        "--epochs": stage.epochs,
        "--learning-rate": stage.learning_rate,
        "--street": stage.street,
        "--seed": number,
        "--processes": options.processes,
    }
    given = [str(part) for pair in settings.items() for part in pair]
    train.main([*given, "--extra", str(frames), FRAMES_SHARE])


if __name__ == "__main__":
    main()
