"""Frames of videos as more training photos, labelled by the weights that training starts from.

    python -m training.label_frames --weights start.safetensors --data DIR --output DIR VIDEO ...

Writes pictures and `train.json` in COCO's format, for `training.train --extra DIR SHARE`. Frames
are labelled at a larger size than they are trained at, so that small objects are learnt from large
ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.nano_network import Nano
from training.data import category_names, read_annotations
from training.evaluate import coco_rows, to_tensor

LABEL_SIZES = (576, 1024)
"""Shorter and longer side at which frames are labelled."""
SURE = 0.4
"""Score from which a box is a label."""
FRAMES_PER_VIDEO = 60


def frames_of(video: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """About `count` frames of a video, evenly spread, RGB."""
    with av.open(str(video)) as container:
        total = sum(1 for _ in container.decode(video=0))
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % max(1, total // count) == 0:
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


@torch.inference_mode()
def label(model: Nano, pixels: NDArray[np.uint8], image_id: int) -> list[dict[str, Any]]:
    """Sure boxes of a picture as COCO annotations."""
    rows = coco_rows(image_id, model([to_tensor(pixels)])[0])
    return [
        {**row, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for row in rows
        if row["score"] >= SURE
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.label_frames", description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder whose classes are labelled"
    )
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    shorter, longer = LABEL_SIZES
    model = load_nano(options.weights, min_size=shorter, max_size=longer)
    categories = category_names(read_annotations(options.data, "train"))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in options.videos:
        for pixels in frames_of(video, FRAMES_PER_VIDEO):
            image_id = len(images) + 1
            name = f"{image_id:05}.jpg"
            cv2.imwrite(str(options.output / name), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
            images.append({"id": image_id, "file_name": name})
            annotations += [
                {**row, "id": len(annotations) + index}
                for index, row in enumerate(label(model, pixels, image_id), start=1)
                if row["category_id"] in categories
            ]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": key, "name": name} for key, name in categories.items()],
    }
    (options.output / "train.json").write_text(json.dumps(content), encoding="utf-8")
    print(f"{len(images)} frames, {len(annotations)} boxes")


if __name__ == "__main__":
    main()
