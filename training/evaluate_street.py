"""Average precision of a detector on the drawn demo street, whose true boxes are known exactly.

python -m training.evaluate_street --weights FILE [--streets 20]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamcam.demo import CLASS_IDS
from streamcam.vision.models.nano import load_nano
from training.evaluate import Report, coco_rows, score, table, to_tensor
from training.scenes import street_photo

TIMES = (2.0, 9.0)
"""Seconds into each street."""


@torch.inference_mode()
def evaluate_street(model: nn.Module, seeds: Iterable[int]) -> Report:
    """Precision over two pictures of each seed's street."""
    model.eval()
    truth: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": key, "name": name} for name, key in CLASS_IDS.items()],
    }
    rows: list[dict[str, Any]] = []
    for number, (seed, time) in enumerate(itertools.product(seeds, TIMES), start=1):
        photo = street_photo(seed, time)
        truth["images"].append({"id": number})
        for box, label in zip(photo.boxes.tolist(), photo.labels.tolist(), strict=True):
            x1, y1, x2, y2 = box
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
        rows.extend(coco_rows(number, model([to_tensor(photo.pixels)])[0]))
    return score(truth, [row for row in rows if row["category_id"] in CLASS_IDS.values()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.evaluate_street", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file")
    parser.add_argument("--streets", type=int, default=20, help="how many, from seed 1 on")
    parser.add_argument("--min-size", type=int, default=384)
    parser.add_argument("--max-size", type=int, default=672)
    options = parser.parse_args(arguments)
    model = load_nano(
        options.weights,
        score_thresh=0.005,
        min_size=options.min_size,
        max_size=options.max_size,
    )
    print(table(evaluate_street(model, range(1, options.streets + 1))))


if __name__ == "__main__":
    main()
