"""Average precision of a detector on labelled photos, by pycocotools.

python -m training.evaluate --data DIR --weights FILE [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from training.data import category_names, read_annotations, read_picture


@dataclass(frozen=True)
class Precision:
    """Average precision, 0..1; NaN for a class that is not in the photos."""

    ap50: float
    """At IoU 0.5."""
    ap: float
    """Mean over IoU 0.5, 0.55, ... 0.95: COCO's own figure."""


@dataclass(frozen=True)
class Report:
    """Precision over all classes, and of each by its name."""

    mean: Precision
    classes: Mapping[str, Precision]


@torch.inference_mode()
def detect_all(
    model: nn.Module, folder: Path, annotations: Mapping[str, Any], device: torch.device
) -> list[dict[str, Any]]:
    """Detections of every photo in COCO's result format."""
    model.eval()
    rows: list[dict[str, Any]] = []
    for image in annotations["images"]:
        pixels, _ = read_picture(folder / image["file_name"])
        found = model([to_tensor(pixels).to(device)])[0]
        rows.extend(coco_rows(image["id"], found))
    return rows


def to_tensor(pixels: np.ndarray[Any, Any]) -> Tensor:
    """`[H, W, 3]` bytes to `[3, H, W]` floats, 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255


def coco_rows(image_id: int, found: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """One image's detections in COCO's result format (x y width height)."""
    boxes = found["boxes"].float().cpu().clone()
    boxes[:, 2:] -= boxes[:, :2]
    columns = zip(boxes.tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True)
    return [
        {"image_id": image_id, "category_id": label, "bbox": box, "score": score}
        for box, label, score in columns
    ]


def score(annotations: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Report:
    """Precision of detections against COCO annotations."""
    names = category_names(annotations)
    if not rows:
        nothing = {name: Precision(0.0, 0.0) for name in names.values()}
        return Report(Precision(0.0, 0.0), nothing)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"info": {}, **annotations}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(list(rows)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # [IoU thresholds, recall points, classes, area ranges, limits of boxes an image]
    precision = evaluation.eval["precision"][..., 0, -1]
    classes = {
        names[category]: _precision(precision[:, :, index])
        for index, category in enumerate(evaluation.params.catIds)
    }
    known = [each for each in classes.values() if not math.isnan(each.ap50)]
    mean = Precision(
        float(np.mean([each.ap50 for each in known])), float(np.mean([each.ap for each in known]))
    )
    return Report(mean, classes)


def _precision(values: np.ndarray[Any, Any]) -> Precision:
    """From precision at `[IoU thresholds, recall points]`; -1 marks a class without boxes."""
    if values.min() < 0:
        return Precision(math.nan, math.nan)
    return Precision(float(values[0].mean()), float(values.mean()))


def evaluate(
    model: nn.Module, folder: Path, split: str = "val", device: torch.device | str = "cpu"
) -> Report:
    """Precision of a model on a split of a folder of photos."""
    annotations = read_annotations(folder, split)
    return score(annotations, detect_all(model, folder, annotations, torch.device(device)))


def table(report: Report) -> str:
    """The report for people."""
    lines = [f"{'class':<14}{'AP50':>7}{'AP':>7}"]
    for name, each in [*report.classes.items(), ("mean", report.mean)]:
        lines.append(f"{name:<14}{each.ap50:>7.3f}{each.ap:>7.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    from streamcam.vision.models.nano import load_nano

    parser = argparse.ArgumentParser(prog="training.evaluate", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with photos and SPLIT.json"
    )
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file")
    parser.add_argument("--split", default="val")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--min-size", type=int, help="shorter side of the network's input")
    parser.add_argument("--max-size", type=int, help="longer side of the network's input")
    parser.add_argument("--json", type=Path, help="write the values here too")
    options = parser.parse_args(arguments)
    sizes = {
        name: value
        for name in ("min_size", "max_size")
        if (value := getattr(options, name)) is not None
    }
    # COCO's precision counts every box, however weak.
    model = load_nano(options.weights, score_thresh=0.005, **sizes).to(options.device)
    report = evaluate(model, options.data, options.split, options.device)
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
