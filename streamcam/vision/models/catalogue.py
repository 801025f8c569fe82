"""What there is to choose from, for people."""

from dataclasses import dataclass, replace

from streamcam.vision.models.download import cached_file
from streamcam.vision.models.library import ImportedModel, Library
from streamcam.vision.models.names import NANO
from streamcam.vision.models.nano import NANO_CATEGORIES
from streamcam.vision.models.registry import NANO_FILE, find_model, model_names


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One detector in a list of them.

    Attributes:
        name: As the user writes it.
        task: What it was made for; streamcam uses its boxes.
        classes: How many kinds of things it finds.
        size_mb: Its weights' file, in megabytes.
        licence: Of the published weights.
        box_map: COCO val2017 box mAP as published, in per cent; None where there is none.
        input_size: To what a picture is resized, in pixels.
        speed: "fast", "medium" or "slow", by its arithmetic for a picture.
        origin: "built in", "torchvision" (downloaded on first use) or "imported".
        present: Whether the weights are here.
    """

    name: str
    task: str
    classes: int
    size_mb: float
    licence: str
    box_map: float | None
    input_size: str
    speed: str
    origin: str
    present: bool


_INPUT_SIZES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "320 to 640",
    "ssd300_vgg16": "300x300",
    "ssdlite320_mobilenet_v3_large": "320x320",
}
_USUAL_INPUT_SIZE = "800 to 1333"


# Billions of multiplications for one picture, as torchvision publishes them.
_FAST, _MEDIUM = 10, 100


def list_models(library: Library) -> list[ModelCard]:
    """Every detector that can be used by name: built in, published, then imported."""
    ours = [_nano_card() if name == NANO else _torchvision_card(name) for name in model_names()]
    return ours + [_imported_card(model) for model in library.models()]


def _nano_card() -> ModelCard:
    present = NANO_FILE.is_file()
    return ModelCard(
        name=NANO,
        task="object detection",
        classes=len(NANO_CATEGORIES),
        size_mb=round(NANO_FILE.stat().st_size / 1e6, 1) if present else 0.0,
        licence="MIT",
        box_map=None,
        input_size="256 to 512",
        speed="fast",
        origin="built in",
        present=present,
    )


def _torchvision_card(name: str) -> ModelCard:
    spec = find_model(name)
    meta = spec.published.meta
    named = [label for label in spec.categories.values() if label not in {"N/A", "__background__"}]
    return ModelCard(
        name=name,
        task=_task(name),
        classes=len([label for label in named if label != "no person"]),
        size_mb=round(meta["_file_size"], 1),
        licence="BSD-3-Clause",
        box_map=meta["_metrics"]["COCO-val2017"]["box_map"],
        input_size=_INPUT_SIZES.get(name, _USUAL_INPUT_SIZE),
        speed=_speed(meta["_ops"]),
        origin="torchvision",
        present=cached_file(spec.published.url).is_file(),
    )


def _imported_card(model: ImportedModel) -> ModelCard:
    nano = model.architecture == NANO
    kin = _nano_card() if nano else _torchvision_card(model.architecture)
    present = model.weights.is_file()
    return replace(
        kin,
        name=model.name,
        classes=len(model.classes),
        size_mb=round(model.weights.stat().st_size / 1e6, 1) if present else 0.0,
        licence="your own",
        box_map=None,
        origin=f"imported {model.architecture}",
        present=present,
    )


def _speed(billions: float) -> str:
    if billions < _FAST:
        return "fast"
    return "medium" if billions < _MEDIUM else "slow"


def _task(name: str) -> str:
    if name.startswith("maskrcnn"):
        return "instance segmentation"
    return "key points" if name.startswith("keypointrcnn") else "object detection"
