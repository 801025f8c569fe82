"""What an engine is asked for, and what a model's name stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamcam.vision.cam.eigencam import Grid
from streamcam.vision.devices import Precision
from streamcam.vision.methods.attribution import Explain
from streamcam.vision.models.family import WeightsChoice
from streamcam.vision.models.library import Library
from streamcam.vision.models.names import NANO
from streamcam.vision.models.quantized import QuantizedModel, nano_int8


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The detector and the device that runs it.

    Attributes:
        weights: None for the published (or built-in) ones, a checkpoint, or "random" for the same
            random ones every time.
        precision: "auto" takes half precision where the device has units for it; on a CPU only if
            this network is not slower with it, and detects the same.
    """

    name: str  # of the detector, or of an imported model
    weights: str | Path | None
    labels: Path | None  # names of the classes of `weights`: one a line, or JSON
    library: Path | None  # folder of the imported models; None for the user's own
    device: str  # "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N" or "intel:..."
    precision: Precision
    confidence: float | None  # score from which a detection counts; None for the model's preset
    classes: Sequence[str]  # labels of the detections that are wanted; empty for all
    batch: int  # most frames in one forward pass
    imgsz: int | None  # as for these, see `LoadOptions`
    layer: Sequence[str]
    layout: str
    trust: bool

    @property
    def weights_choice(self) -> WeightsChoice:
        if self.weights is None or self.weights == "random":
            return None if self.weights is None else "random"
        return Path(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class CamOptions:
    """How maps are made.

    Attributes:
        method: One of `streamcam.cam_methods`: "eigencam" for the strongest common pattern, any
            other for why boxes got their scores, see `Attribution` for the next three.
        grid: "fine" for maps of about 16 network pixels a cell, "pool" for the published recipe's.
    """

    method: str
    explain: Explain
    why_every: int
    why_top: int
    grid: Grid


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """What a model's name and options stand for; of an imported model its own.

    Attributes:
        device, precision: As asked for; those of an int8 model where that was left open.
        quantized: The int8 model that is to be used; None for float precisions, and where there is
            none.
    """

    architecture: str
    weights: WeightsChoice
    labels: Path | None
    layer: Sequence[str]
    layout: str
    device: str
    precision: Precision
    quantized: QuantizedModel | None


def resolve(model: ModelOptions) -> ResolvedModel:
    """Look a model's name up in the library.

    Raises:
        WeightsError: The card of the imported model, or of the built-in int8 one, is damaged.
    """
    imported = Library(model.library).find(model.name)
    if imported is None:
        in_int8 = model.precision == "int8" and model.name == NANO and model.weights is None
        return ResolvedModel(
            architecture=model.name,
            weights=model.weights_choice,
            labels=model.labels,
            layer=model.layer,
            layout=model.layout,
            device=model.device,
            precision=model.precision,
            quantized=nano_int8() if in_int8 else None,
        )
    own_int8 = imported.quantized if model.weights is None else None
    by_itself = own_int8 is not None and model.precision == "auto"
    precision: Precision = "int8" if by_itself else model.precision
    return ResolvedModel(
        architecture=imported.architecture,
        weights=model.weights_choice or imported.weights,
        labels=model.labels or imported.labels,
        layer=model.layer or imported.layer,
        layout=imported.layout if model.layout == "auto" else model.layout,
        # OpenVINO does not compute on the GPUs that "auto" would take.
        device="cpu" if by_itself and model.device == "auto" else model.device,
        precision=precision,
        quantized=own_int8 if precision == "int8" else None,
    )
