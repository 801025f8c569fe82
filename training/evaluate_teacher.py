"""What training forgot: average precision with the start's sure boxes as the truth.

python -m training.evaluate_teacher --data DIR --start FILE --weights FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.nano_network import Nano
from training.data import read_annotations
from training.evaluate import Report, detect_all, score, table

SURE = 0.5
"""Score from which a box of the start counts."""


def evaluate_teacher(start: Nano, model: Nano, folder: Path, split: str = "val") -> Report:
    """Precision of a model on the photos of a split, of all classes that the start is sure of."""
    cpu = torch.device("cpu")
    annotations = read_annotations(folder, split)
    sure = [row for row in detect_all(start, folder, annotations, cpu) if row["score"] >= SURE]
    truth: dict[str, Any] = {
        "images": annotations["images"],
        "annotations": [
            {**row, "id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
            for number, row in enumerate(sure, start=1)
        ],
        "categories": [{"id": key, "name": name} for key, name in start.categories.items()],
    }
    return score(truth, detect_all(model, folder, annotations, cpu))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.evaluate_teacher", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--start", type=Path, required=True, help="weights before training")
    parser.add_argument("--weights", type=Path, required=True, help="weights after it")
    parser.add_argument("--split", default="val")
    parser.add_argument("--min-size", type=int, default=384)
    parser.add_argument("--max-size", type=int, default=672)
    options = parser.parse_args(arguments)
    sizes = {"min_size": options.min_size, "max_size": options.max_size}
    start = load_nano(options.start, **sizes)
    model = load_nano(options.weights, score_thresh=0.005, **sizes)
    print(table(evaluate_teacher(start, model, options.data, options.split)))


if __name__ == "__main__":
    main()
