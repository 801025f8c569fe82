"""From a user's settings to an engine that is ready to explain."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
import torchvision

from streamcam.cam_methods import EIGENCAM, find_method
from streamcam.errors import UsageError
from streamcam.vision.cam.eigencam import EigenCam, Grid
from streamcam.vision.cpu.tuning import bfloat16_pays
from streamcam.vision.devices import (
    DTYPES,
    Precision,
    choose_device,
    choose_precision,
    describe_device,
    device_errors,
)
from streamcam.vision.engine import Engine, EngineDescription
from streamcam.vision.methods.attribution import Attribution, Explain
from streamcam.vision.methods.map_maker import MapMaker
from streamcam.vision.models.download import Progress
from streamcam.vision.models.library import Library
from streamcam.vision.models.registry import DEFAULT_MODEL, ModelSpec, find_model
from streamcam.vision.models.torchvision import Detector
from streamcam.vision.models.weights import Loaded, load_detector

DEFAULT_BATCH = 8
DEFAULT_TOP = 5


def build_engine(
    *,
    model: str = DEFAULT_MODEL,
    weights: Path | Literal["random"] | None = None,
    labels: Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    confidence: float | None = None,
    classes: Sequence[str] | None = None,
    grid: Grid = "fine",
    method: str = EIGENCAM,
    explain: Explain = "box",
    why_every: int = 1,
    why_top: int = DEFAULT_TOP,
    batch: int = DEFAULT_BATCH,
    library: Library | None = None,
    progress: Progress | None = None,
    fuse: bool = True,
) -> Engine:
    """Build a detector with its weights on a device, and the engine around it.

    Args:
        model: The detector's name, or that of an imported model.
        weights: None for the published (or built-in) ones, a checkpoint, or "random" for the same
            random ones every time.
        labels: Names of the classes of `weights`: one a line, or JSON.
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" takes half precision where the device has units for it; on a CPU only if
            this network is not slower with it, and sees the same.
        confidence: Score from which a detection counts, 0..1; None for the model's preset.
        classes: Labels of the detections that are wanted; None for all.
        grid: "fine" for maps of about 16 network pixels a cell, "pool" for the published recipe's.
        method: How maps are made, one of `streamcam.cam_methods`: "eigencam" for the strongest
            common pattern, any other for why boxes got their scores.
        explain: With another method, "box" for a map of each box, "frame" for one of all together.
        why_every: With another method, every n-th explained frame of a source has its maps; those
            in between have EigenCAM's.
        why_top: So many boxes of a frame are explained, the most confident.
        batch: The most frames in one forward.
        library: The imported models; None for the user's own folder of them.
        progress: Is told how far a download is.
        fuse: Fuse convolutions where that is quicker, see `Detector`.

    Raises:
        UsageError: There is no such model, device, precision, class or method.
        WeightsError: The weights cannot be used.
        WeightsUnavailableError: The weights are neither here nor can they be fetched.
        DeviceError: The GPU is missing or failed.
    """
    find_method(method)
    place = choose_device(device)
    type_name = choose_precision(precision, place)
    half_is_a_guess = precision == "auto" and type_name == "bf16"
    spec, loaded = load_model(model, weights, labels, library, progress)
    keep = None if classes is None else _class_ids(classes, loaded.classes, model)
    threshold = spec.confidence if confidence is None else confidence
    with device_errors():
        detector = Detector(
            loaded.network,
            watched=spec.activations.module,
            device=place,
            dtype=DTYPES[type_name],
            confidence=threshold,
            fuse=fuse,
        )
    if half_is_a_guess and not bfloat16_pays(detector):
        detector.stay_in_float32()
        type_name = "fp32"
    description = EngineDescription(
        model=model,
        weights=loaded.weights,
        weights_sha256=loaded.sha256,
        classes=loaded.classes,
        method=method,
        device=describe_device(place),
        precision=type_name,
        confidence=threshold,
        grid=grid,
        batch=batch,
        versions={"torch": torch.__version__, "torchvision": torchvision.__version__},
        preset=spec.confidence,
    )
    cam = EigenCam(spec.activations, grid)
    attribution = None
    if method != EIGENCAM:
        maker = MapMaker(detector, method, cam.grids)
        attribution = Attribution(maker, explain=explain, every=why_every, top=why_top)
    return Engine(detector, cam, description, keep=keep, attribution=attribution)


def load_model(
    model: str,
    weights: Path | Literal["random"] | None = None,
    labels: Path | None = None,
    library: Library | None = None,
    progress: Progress | None = None,
) -> tuple[ModelSpec, Loaded]:
    """A detector by its name, or that of an imported model, with its weights.

    Raises:
        UsageError: There is no such model.
        WeightsError: The weights cannot be used, or are neither here nor can be fetched.
    """
    imported = (library or Library()).find(model)
    spec = find_model(imported.architecture if imported else model)
    if imported is not None:
        weights, labels = weights or imported.weights, labels or imported.labels
    return spec, load_detector(spec, weights, labels, progress)


def _class_ids(wanted: Sequence[str], classes: Mapping[int, str], model: str) -> frozenset[int]:
    """The ids of the labels that are wanted.

    Raises:
        UsageError: The model knows no such label.
    """
    ids: set[int] = set()
    for label in wanted:
        matches = {i for i, name in classes.items() if name.casefold() == label.casefold()}
        if not matches:
            near = difflib.get_close_matches(label, classes.values(), n=3, cutoff=0.5)
            raise UsageError(
                f"{model} has no class {label!r}",
                hint=f"Did you mean {' or '.join(near)}?" if near else "models list names them.",
            )
        ids |= matches
    return frozenset(ids)
