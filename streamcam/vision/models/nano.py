"""`nano`, the small detector that ships with streamcam: building it, its weights file.

The network itself is in `streamcam.vision.models.nano_network`, its losses in
`training.nano_loss`, its training in the `training` folder of the repository.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from streamcam.vision.models.nano_network import Nano

NANO_ARCHITECTURE = "nano-1"
"""Changes with every change of the network that old weights do not fit."""

NANO_CATEGORIES: Mapping[int, str] = {
    1: "person",
    2: "bicycle",
    3: "car",
    4: "motorcycle",
    6: "bus",
    8: "truck",
    16: "bird",
    17: "cat",
    18: "dog",
    19: "horse",
    20: "sheep",
    21: "cow",
    44: "bottle",
}
"""The shipped classes: COCO's own ids and names."""

NANO_CONFIDENCE = 0.2
"""The preset. On two videos it finds 94 % of the people with 0.004 false ones a frame, and 67 % of
the cars with 0.12; at 0.3 that is 89 % with none and 53 % with none."""


def build_nano(
    categories: Mapping[int, str] = NANO_CATEGORIES,
    *,
    min_size: int = 272,
    max_size: int = 544,
    score_thresh: float = 0.05,
    nms_thresh: float = 0.5,
    detections_per_img: int = 100,
) -> Nano:
    """A new detector with random weights. Names and meanings follow torchvision's builders."""
    return Nano(
        categories,
        min_size=min_size,
        max_size=max_size,
        score_thresh=score_thresh,
        nms_thresh=nms_thresh,
        detections_per_img=detections_per_img,
    )


def save_nano(model: Nano, path: Path, training: Mapping[str, str] | None = None) -> None:
    """Write weights in half precision, with the classes and a summary of the training."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in _weights(model).items()
    }
    metadata = {
        "architecture": NANO_ARCHITECTURE,
        "categories": json.dumps({str(key): name for key, name in model.categories.items()}),
        "training": json.dumps(dict(training or {})),
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata)
    part.replace(path)


def load_nano(
    path: Path,
    *,
    min_size: int = 272,
    max_size: int = 544,
    score_thresh: float = 0.05,
    nms_thresh: float = 0.5,
    detections_per_img: int = 100,
) -> Nano:
    """A detector, ready to evaluate, with the weights and classes of a file that `save_nano` wrote.

    Raises `ValueError` for a file that is damaged or not of this detector, `OSError` for one that
    cannot be read.
    """
    tensors, metadata = _read(path)
    model = build_nano(
        _categories(path, metadata),
        min_size=min_size,
        max_size=max_size,
        score_thresh=score_thresh,
        nms_thresh=nms_thresh,
        detections_per_img=detections_per_img,
    )
    own = _weights(model)
    wrong = {name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape}
    wrong |= own.keys() ^ tensors.keys()
    if wrong:
        raise ValueError(f"{path}: not {NANO_ARCHITECTURE} weights (at {min(wrong)!r})")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
    return model.eval()


def read_nano_metadata(path: Path) -> dict[str, str]:
    """The file's metadata: `architecture`, `categories` and `training` (JSON both)."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    if metadata.get("architecture") != NANO_ARCHITECTURE:
        found = metadata.get("architecture", "none named")
        raise ValueError(f"{path}: architecture is {found}, not {NANO_ARCHITECTURE}")
    return tensors, metadata


def _categories(path: Path, metadata: Mapping[str, str]) -> dict[int, str]:
    try:
        categories = json.loads(metadata["categories"])
        return {int(key): str(name) for key, name in categories.items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: its metadata names no categories") from error


def _weights(model: Nano) -> dict[str, Tensor]:
    """Parameters and buffers by name; a convolution that levels share is there once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
