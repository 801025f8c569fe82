"""Labelled photos in memory, and how often each is shown.

The format is COCO's: a folder of pictures with `train.json` and `val.json` in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Classes in fewer than this share of the photos are shown more often, by the square root of what
# they lack (LVIS, Gupta et al. 2019, arXiv:1908.03195).
RARE_BELOW = 0.3


@dataclass(frozen=True)
class Photo:
    """A picture and its objects."""

    pixels: NDArray[np.uint8]
    """`[H, W, 3]`, RGB."""
    boxes: NDArray[np.float32]
    """`[n, 4]`, x1 y1 x2 y2 in pixels of the picture."""
    labels: NDArray[np.int64]
    """`[n]`, category ids."""


def read_annotations(folder: Path, split: str) -> dict[str, Any]:
    """The COCO file of a split; a clear error where there is none."""
    path = folder / f"{split}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= set(data):
        raise ValueError(f"{path}: not a COCO file (images, annotations, categories)")
    return data


def category_names(annotations: Mapping[str, Any]) -> dict[int, str]:
    """Category ids and names in the order of the ids."""
    pairs = {int(each["id"]): str(each["name"]) for each in annotations["categories"]}
    return dict(sorted(pairs.items()))


def read_picture(path: Path, longest: int | None = None) -> tuple[NDArray[np.uint8], float]:
    """RGB pixels, shrunk to `longest` pixels where larger, and the scale that was applied."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path}: not a picture that can be read")
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    scale = 1.0
    if longest is not None and max(picture.shape[:2]) > longest:
        scale = longest / max(picture.shape[:2])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(picture, dtype=np.uint8), scale


def load_photos(
    folder: Path, split: str, longest: int = 384, limit: int | None = None
) -> list[Photo]:
    """All photos of a split, decoded; crowd boxes (`iscrowd`) are left out."""
    annotations = read_annotations(folder, split)
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for each in annotations["annotations"]:
        if not each.get("iscrowd", 0):
            objects[each["image_id"]].append(each)
    photos = []
    for image in annotations["images"][:limit]:
        pixels, scale = read_picture(folder / image["file_name"], longest)
        found = objects[image["id"]]
        boxes = np.array([each["bbox"] for each in found], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([each["category_id"] for each in found], dtype=np.int64)
        photos.append(Photo(pixels, boxes * np.float32(scale), labels))
    return photos


def repeat_factors(photos: Sequence[Photo], rare_below: float = RARE_BELOW) -> NDArray[np.float64]:
    """Relative weight of each photo: that of its rarest class, at least 1 (LVIS)."""
    counts: dict[int, int] = defaultdict(int)
    for photo in photos:
        for label in np.unique(photo.labels):
            counts[int(label)] += 1
    factor = {
        label: max(1.0, (rare_below * len(photos) / count) ** 0.5)
        for label, count in counts.items()
    }
    return np.array([_largest(factor[int(label)] for label in photo.labels) for photo in photos])


def _largest(values: Iterable[float]) -> float:
    return max(values, default=1.0)
