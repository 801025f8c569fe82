"""Writes the weights file of `nano`."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from streamcam.vision.models.nano import NANO_ARCHITECTURE, nano_state
from streamcam.vision.models.nano_network import Nano

LICENCE = "Apache-2.0"


def save_nano(
    model: Nano,
    path: Path,
    origin: Mapping[str, str] | None = None,
    training: Mapping[str, str] | None = None,
) -> None:
    """Write weights in half precision, with the classes, where they come from and their training.

    Args:
        model: Any state of the network.
        path: Replaced in one step.
        origin: Of the weights that training started from, None for random ones.
        training: Its figures.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in nano_state(model).items()
    }
    metadata = {
        "architecture": NANO_ARCHITECTURE,
        "categories": json.dumps({str(key): name for key, name in model.categories.items()}),
        "licence": LICENCE if origin else "",
        "origin": json.dumps(dict(origin or {})),
        "training": json.dumps(dict(training or {})),
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata)
    part.replace(path)
