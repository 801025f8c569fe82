"""Quantizes a detector on footage of its user, and keeps the result if it is good enough."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from streamcam.cam_methods import EIGENCAM
from streamcam.config import Settings
from streamcam.errors import UsageError
from streamcam.pipeline.engine_provider import FetchProgress, build_engine, model_options
from streamcam.quantization.footage import Footage, sample_footage
from streamcam.sources.limits import Limits

if TYPE_CHECKING:
    from streamcam.quantization.int8_model import Measurement
    from streamcam.vision.engine_io import EngineDescription
    from streamcam.vision.models.library import Library
    from streamcam.vision.models.quantized import QuantizedModel

_PACKAGES = ("openvino", "nncf")

_GRAPH = "int8.xml"

WriteInt8: TypeAlias = "Callable[[Path], QuantizedModel]"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationPlan:
    """On what to quantize, and what to call the result."""

    footage: str  # a file or a folder
    name: str | None = None  # None for the model's own with "-int8"
    force: bool = False  # keep it even if it agrees too little with the float model
    overwrite: bool = False  # replace an imported model of that name


@dataclass(frozen=True, slots=True)
class QuantizationReport:
    """What came of it."""

    name: str
    model: str  # the float one's name
    footage: Footage
    measured: "Measurement"
    float_ms: float  # median of a picture's forward pass, as the float model runs by default
    folder: Path | None  # where it is kept; None if it is not


def quantize_model(
    plan: QuantizationPlan,
    settings: Settings,
    *,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    fetching: FetchProgress | None = None,
) -> QuantizationReport:
    """Make an int8 model of the settings' detector, and keep it if it agrees with the float one.

    Args:
        plan: On what, and what to call it.
        settings: The detector; where and in what it computes is left aside.
        progress: Called with the current step's description, its number, and how many there are.
        fetching: Called with the progress of downloads.

    Raises:
        UsageError: A package is missing, the name cannot be used, or the model not be quantized.
        SourceError: There are too few frames.
        WeightsError: The model's weights cannot be used.
    """
    _require_packages()
    footage = sample_footage(
        plan.footage,
        Limits(**settings.limits.model_dump()),
        lambda done, total: progress("choosing frames", done, total),
    )
    # They import torch, which takes seconds: not before missing footage has been reported.
    from streamcam.quantization.agreement import forward_time
    from streamcam.quantization.int8_model import make_int8, measure_int8, write_int8
    from streamcam.vision.models.library import Library

    library = Library(settings.model.library)
    name = plan.name or default_name(settings.model.name)
    library.check_name(name, replace=plan.overwrite)
    with build_engine(_for_float(settings, library), fetching) as engine:
        detector, described = engine.detector, engine.description
        float_ms = forward_time(detector, footage.held_out)
        model = make_int8(detector, footage.calibration, progress)
        measured = measure_int8(detector, model, footage.held_out, progress)
        folder = None
        if plan.force or measured.agreement.shortfall is None:
            lineage = _lineage(described, footage, measured)
            folder = _keep(
                name, settings, described, lambda to: write_int8(model, to / _GRAPH, lineage)
            )
    return QuantizationReport(name, settings.model.name, footage, measured, float_ms, folder)


def _require_packages() -> None:
    if any(find_spec(name) is None for name in _PACKAGES):
        raise UsageError(
            f"quantizing needs {' and '.join(_PACKAGES)}",
            hint="pip install 'streamcam[quantize]'",
        )


def default_name(model: str) -> str:
    """A name like "rtdetr_v2_r50vd-int8", of a model's name, path or repository."""
    last = Path(model.rpartition(":")[2]).name.lower()
    return f"{re.sub(r'[^a-z0-9._-]+', '-', last.removesuffix('.onnx')).strip('-._')}-int8"


def _for_float(settings: Settings, library: "Library") -> Settings:
    """The settings for the float model as it runs on this CPU.

    Raises:
        UsageError: It is in int8 already.
    """
    imported = library.find(settings.model.name)
    if imported is not None and imported.quantized is not None:
        raise UsageError(
            f"{imported.name} is in int8 already", hint=f"Quantize {imported.architecture}."
        )
    return settings.model_copy(
        update={
            "model": settings.model.model_copy(
                update={"device": "cpu", "precision": "auto", "classes": ()}
            ),
            "cam": settings.cam.model_copy(update={"method": EIGENCAM}),
        }
    )


def _lineage(
    described: "EngineDescription", footage: Footage, measured: "Measurement"
) -> dict[str, Any]:
    """What an int8 model was made of, and how far it agrees with that, as plain JSON values."""
    return {
        "source": {
            "model": described.model,
            "weights": described.weights,
            "sha256": described.weights_sha256,
        },
        "footage": {
            "fingerprint": footage.fingerprint,
            "files": footage.files,
            "calibration_frames": len(footage.calibration),
        },
        "agreement": asdict(measured.agreement),
    }


def _keep(
    name: str, settings: Settings, described: "EngineDescription", write: "WriteInt8"
) -> Path:
    """Add the int8 model to the library, with what is needed to load the float one."""
    from streamcam.vision.engine_options import resolve
    from streamcam.vision.models.imported_model import ImportedModel
    from streamcam.vision.models.library import Library

    resolved = resolve(model_options(settings))
    library = Library(settings.model.library)
    model = ImportedModel(
        name=name,
        architecture=_from_anywhere(resolved.architecture),
        weights=resolved.weights,
        sha256=described.weights_sha256,
        classes=described.classes,
        folder=library.folder,
        layer=resolved.layer,
        layout=resolved.layout,
    )
    return library.add_quantized(model, write, named=resolved.labels is not None).folder


def _from_anywhere(architecture: str) -> str:
    """An architecture's name; of a file or a folder its absolute path."""
    from streamcam.vision.models.registry import model_names

    path = Path(architecture)
    return (
        str(path.absolute())
        if architecture not in model_names() and path.exists()
        else architecture
    )
