"""The built-in detector in int8: calibrated on training photos, measured on the others.

python -m training.quantize_nano --data DIR [--weights FILE] [--output DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamcam.quantization.agreement import FloatReference, agreement
from streamcam.quantization.int8_model import int8_network, make_int8, write_int8
from streamcam.types import Picture
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.names import NANO, NANO_FILE
from streamcam.vision.models.nano import NanoFamily
from streamcam.vision.models.network import Network
from streamcam.vision.models.quantized import NANO_INT8
from training.data import read_annotations, read_picture
from training.evaluate import coco_rows, score

_PHOTOS = 300
"""Training photos for calibration: of 64 mean AP50 is 0.532, of 300 0.537, in float32 0.541."""

# COCO's precision counts every box, however weak.
_WEAK = 0.005


def read_photos(folder: Path, split: str, most: int | None = None) -> tuple[list[Picture], str]:
    """The photos of a split, at even distances if these are more than `most`, and their digest."""
    images = read_annotations(folder, split)["images"]
    every = max(1, len(images) // most) if most else 1
    paths = [folder / image["file_name"] for image in images[::every][:most]]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return [read_picture(path)[0] for path in paths], digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.quantize_nano", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with photos, train.json and val.json"
    )
    parser.add_argument("--weights", type=Path, default=NANO_FILE, help="safetensors file")
    parser.add_argument("--output", type=Path, default=NANO_INT8.parent, help="folder")
    parser.add_argument("--photos", type=int, default=_PHOTOS, help="for calibration")
    options = parser.parse_args(arguments)
    loaded = NanoFamily().load(NANO, LoadOptions(weights=options.weights))
    detector = Detector(loaded.network, loaded.network.confidence)
    photos, digest = read_photos(options.data, "train", options.photos)
    model = make_int8(detector, photos, _print_step)
    int8 = int8_network(loaded.network, model)
    held_out, _ = read_photos(options.data, "val")
    reference = FloatReference(loaded.network, loaded.network.confidence, held_out)
    agreed = agreement(reference.scores(int8))
    lineage = {
        "source": {"model": NANO, "weights": options.weights.name, "sha256": loaded.sha256},
        "footage": {"fingerprint": digest, "files": len(photos), "calibration_frames": len(photos)},
        "agreement": asdict(agreed),
    }
    written = write_int8(model, options.output / f"{NANO_INT8.stem}.xml", lineage)
    (options.output / NANO_INT8.name).write_text(
        json.dumps(written.facts, indent=2) + "\n", encoding="utf-8"
    )
    print(f"{written.graph}: {written.size / 1e6:.1f} MB")
    print(f"photos of val.json: {json.dumps(asdict(agreed))}")
    for name, network in {"float32": loaded.network, "int8": int8}.items():
        print(f"{name}: mean AP50 {average_precision(network, options.data):.4f}")


def average_precision(network: Network, folder: Path) -> float:
    """Mean AP50 of a network on a folder's val.json, as `training.evaluate` measures it."""
    annotations = read_annotations(folder, "val")
    detector = Detector(network, _WEAK)
    rows: list[dict[str, Any]] = []
    for image in annotations["images"]:
        pixels, _ = read_picture(folder / image["file_name"])
        (found,) = detector([pixels]).detections
        columns = {"boxes": found.boxes, "labels": found.class_ids, "scores": found.scores}
        rows.extend(coco_rows(image["id"], columns))
    return score(annotations, rows).mean.ap50


def _print_step(what: str, done: int, total: int) -> None:
    if done in {0, 1, total}:
        print(f"{what}: {done} of {total}", flush=True)


if __name__ == "__main__":
    main()
