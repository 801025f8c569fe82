"""The names of all detectors, without torch: for commands that only check a name."""

import difflib
import os
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from streamcam.errors import UsageError

NANO = "nano"

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

ENTRY_POINTS = "streamcam.detectors"
"""The group of entry points by which other distributions bring detectors."""

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
    if ":" in name and name.partition(":")[0] in known:
        return True
    return name in known or Path(name).exists()


def unknown_model(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that no detector has, with those that are near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return UsageError(
        f"there is no detector named {name!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "streamcam models list names them.",
    )
