"""What every model costs for one frame, forward and map, as a Markdown table for docs/models.md.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/models.py [--frames 3] [--size 768x432] [MODEL ...]

Random weights: the time does not depend on them but for suppression. Besides the wall time the
processor's time is given, which a busy machine does not lengthen.
"""

import argparse
import statistics
import time
from fractions import Fraction
from typing import Literal

import numpy as np

from streamcam.config import Settings
from streamcam.pipeline.engine_provider import build_engine
from streamcam.types import Frame, Picture
from streamcam.vision.devices import Precision
from streamcam.vision.models.family import ModelCard
from streamcam.vision.models.library import Library, list_models


def main() -> None:
    """Measure the models one after the other and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--size", default="768x432", help="WIDTHxHEIGHT")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    print("| model | finds | size | COCO box AP | processor | wall |")
    print("|---|---|---|---|---|---|")
    for card in list_models(Library()):
        if not options.models or card.name in options.models:
            print(row(card, picture, options.frames, options.precision), flush=True)


def row(card: ModelCard, picture: Picture, count: int, precision: Precision) -> str:
    """Return a model's row: medians over `count` frames, after one that warms up."""
    weights: Literal["random"] | None = None if card.origin == "built in" else "random"
    processor, wall = [], []
    model = {"name": card.name, "weights": weights, "precision": precision, "batch": 1}
    with build_engine(Settings.model_validate({"model": model})) as engine:
        for index in range(count + 1):
            frame = Frame("bench", index, index, Fraction(1, 5), index / 5, picture)
            started = time.process_time(), time.perf_counter()
            engine.explain([frame])
            processor.append(time.process_time() - started[0])
            wall.append(time.perf_counter() - started[1])
    accuracy = "" if card.box_map is None else f"{card.box_map:.1f}"
    return (
        f"| `{card.name}` | {card.classes} classes | {card.size_mb:.1f} MB | {accuracy} "
        f"| {statistics.median(processor[1:]):.2f} s | {statistics.median(wall[1:]):.2f} s |"
    )


if __name__ == "__main__":
    main()
