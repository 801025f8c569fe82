"""How well a detector finds, in a video, the objects of a reference file.

    python -m training.evaluate_video --video FILE --reference JSONL --weights FILE --label person

A reference row is one frame: `{"frame": 5, "detections": [{"label": "person", "box": [...]}]}`,
boxes as x1, y1, x2, y2. Only the frames that have a row are evaluated. Reference boxes may come
from other detectors: then the values say how far the two agree, not how far either is right.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import box_iou

from streamcam.vision.models.nano import load_nano
from training.evaluate import to_tensor

THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(15))


@dataclass(frozen=True)
class Agreement:
    """At one confidence threshold."""

    threshold: float
    recall: float
    """Share of the reference boxes that were found at the wanted IoU."""
    false_per_frame: float
    """Boxes a frame, of the label, that match no reference box."""
    without_others: float
    """Share of the frames without a box of another label."""
    quiet: float
    """Share of the frames without any reference box that have no box at all, of any label."""


@dataclass(frozen=True)
class FrameBoxes:
    """One frame's boxes of one label."""

    wanted: Tensor
    """`[n, 4]`, the reference."""
    found: Tensor
    """`[m, 4]`, strongest first."""
    scores: Tensor
    """`[m]`."""
    others: Tensor
    """Scores of the boxes of other labels."""
    empty: bool
    """Whether the reference has no box of any label."""


def read_reference(path: Path) -> dict[int, list[dict[str, Any]]]:
    """Detections by frame number."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["frame"]: row["detections"] for row in rows}


def frames(path: Path, numbers: set[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of these numbers, RGB."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                yield number, np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


@torch.inference_mode()
def detect(
    model: nn.Module,
    video: Path,
    reference: Mapping[int, Sequence[Mapping[str, Any]]],
    label: str,
    category: int,
) -> list[FrameBoxes]:
    """Run the detector over the frames that have a reference."""
    result = []
    for number, pixels in frames(video, set(reference)):
        found = model([to_tensor(pixels)])[0]
        mine = found["labels"] == category
        wanted = [each["box"] for each in reference[number] if each["label"] == label]
        boxes = torch.tensor(wanted, dtype=torch.float32).reshape(-1, 4)
        scores = found["scores"]
        result.append(
            FrameBoxes(
                boxes, found["boxes"][mine], scores[mine], scores[~mine], not reference[number]
            )
        )
    return result


def agreement(results: Sequence[FrameBoxes], threshold: float, min_iou: float = 0.5) -> Agreement:
    """Match the boxes of each frame, strongest first, each reference box once."""
    wanted = hits = false = clean = 0
    quiet: list[bool] = []
    for frame in results:
        strong = frame.found[frame.scores >= threshold]
        others = int((frame.others >= threshold).sum())
        clean += others == 0
        if frame.empty:
            quiet.append(others + len(strong) == 0)
        matched = _matches(box_iou(frame.wanted, strong), min_iou)
        wanted += len(frame.wanted)
        hits += matched
        false += len(strong) - matched
    frames = max(1, len(results))
    silence = sum(quiet) / len(quiet) if quiet else math.nan
    return Agreement(threshold, hits / max(1, wanted), false / frames, clean / frames, silence)


def _matches(overlap: Tensor, min_iou: float) -> int:
    """Pairs for `[n wanted, m found]`, columns in the order of their right to choose."""
    free = torch.ones(overlap.shape[0], dtype=torch.bool)
    count = 0
    if not overlap.numel():
        return 0
    for column in overlap.T:
        best, row = torch.where(free, column, -1.0).max(dim=0)
        if best >= min_iou:
            free[row] = False
            count += 1
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.evaluate_video", description=__doc__)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True, help="JSON lines, one a frame")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file")
    parser.add_argument("--label", required=True, help="the class to evaluate")
    parser.add_argument("--iou", type=float, default=0.5)
    parser.add_argument("--min-size", type=int, default=272)
    parser.add_argument("--max-size", type=int, default=544)
    parser.add_argument("--json", type=Path, help="write the values here too")
    options = parser.parse_args(arguments)
    model = load_nano(options.weights, min_size=options.min_size, max_size=options.max_size)
    category = {name: key for key, name in model.categories.items()}.get(options.label)
    if category is None:
        parser.error(f"the detector has no class {options.label!r}")
    reference = read_reference(options.reference)
    results = detect(model, options.video, reference, options.label, category)
    rows = [agreement(results, threshold, options.iou) for threshold in THRESHOLDS]
    print(f"{sum(len(each.wanted) for each in results)} boxes in {len(results)} frames")
    print(f"{'confidence':>10}{'recall':>8}{'false a frame':>15}{'no others':>11}{'quiet':>7}")
    for row in rows:
        print(
            f"{row.threshold:>10.2f}{row.recall:>8.3f}{row.false_per_frame:>15.3f}"
            f"{row.without_others:>11.3f}{row.quiet:>7.3f}"
        )
    if options.json:
        text = json.dumps([asdict(row) for row in rows], indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
