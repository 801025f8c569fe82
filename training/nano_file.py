"""Writes the weights file of `nano`."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from streamcam.vision.models.nano import NANO_ARCHITECTURE, nano_state
from streamcam.vision.models.nano_network import Nano


def save_nano(model: Nano, path: Path, training: Mapping[str, str] | None = None) -> None:
    """Write weights in half precision, with the classes and a summary of the training."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in nano_state(model).items()
    }
    metadata = {
        "architecture": NANO_ARCHITECTURE,
        "categories": json.dumps({str(key): name for key, name in model.categories.items()}),
        "training": json.dumps(dict(training or {})),
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata)
    part.replace(path)
