"""The names of all detectors, without torch: for commands that only check a name."""

import os
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from streamcam.errors import UsageError, did_you_mean

NANO = "nano"

NANO_FILE = Path(__file__).parents[1] / "weights" / "nano.safetensors"
"""The built-in detector's weights."""

TORCHVISION = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
"""torchvision's detectors, as `torchvision.models.list_models` names them."""

HUGGING_FACE = "hf"
"""The family of transformers' models: `hf:ORGANISATION/NAME`."""

ENTRY_POINTS = "streamcam.detectors"
"""The group of entry points by which other distributions bring detectors."""

_ULTRALYTICS = {".pt", ".yaml"}
_WEIGHTS = {".pth", ".safetensors", ".ckpt"}
_OTHER_RUNTIMES = {".engine", ".trt", ".torchscript", ".tflite", ".xml", ".pb", ".mlpackage", ".h5"}
"""Endings of files that other tools call models."""

CARD = "model.json"
"""The file that describes an imported model, in a folder named after the model."""


def default_library() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "streamcam" / "models"


def known_names(library: Path | None = None) -> list[str]:
    """Return every detector's name: built in, installed, imported into a library's folder."""
    installed = (entry.name for entry in entry_points(group=ENTRY_POINTS))
    imported = (card.parent.name for card in (library or default_library()).glob(f"*/{CARD}"))
    return list(dict.fromkeys([NANO, *TORCHVISION, *sorted(installed), *sorted(imported)]))


def is_known(name: str, library: Path | None = None) -> bool:
    """Whether there is a model of this name; of `family:model` only the family is checked.

    A file or a folder may be a model: which family reads it shows when it is loaded.
    """
    known = known_names(library)
    if ":" in name and name.partition(":")[0] in (HUGGING_FACE, *known):
        return True
    return name in known or Path(name).exists()


def unknown_model(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that no detector has, with those that are near, or a way."""
    hint = _advice(name) or did_you_mean(name, known) or "`streamcam models list` names them."
    return UsageError(f"there is no detector named {name!r}", hint=hint)


def _advice(name: str) -> str | None:
    """Return what can be done with a file or a name of another tool; None where it is neither."""
    suffix, folder = Path(name).suffix.lower(), Path(name).is_dir()
    as_weights = f"--model NAME --weights {name}"
    if suffix in _ULTRALYTICS:
        return (
            "For Ultralytics' models: pip install streamcam-ultralytics; "
            f"for weights of another detector: {as_weights}"
        )
    if suffix in _WEIGHTS:
        return f"Weights are given beside the name of their detector: {as_weights}"
    if suffix in _OTHER_RUNTIMES:
        return "Export it to ONNX: --model FILE.onnx"
    if re.match(r"yolo", name, re.IGNORECASE):
        return f"Ultralytics' models are named by their files: --model {name}.pt"
    if name and folder:
        return "A folder holds a model of transformers: config.json and *.safetensors."
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return f"Models of Hugging Face begin with hf: --model hf:{name}"
    return None
