"""Detectors in ONNX files, used by their path: `--model detector.onnx`."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from streamcam.errors import StreamcamError, UsageError
from streamcam.vision.models.family import Family, Loaded, LoadOptions, ModuleFamily

if TYPE_CHECKING:
    from streamcam.vision.models.onnx.inspection import Inspection

_PACKAGES = ("onnx", "onnxruntime")


class OnnxFamily(Family):
    """Detectors in ONNX files of any of the common layouts."""

    takes: ClassVar[frozenset[str]] = frozenset({"layer", "layout"})

    def names(self) -> Sequence[str]:
        return []

    def has(self, name: str) -> bool:
        return Path(name).suffix.lower() == ".onnx"

    def load(self, name: str, options: LoadOptions) -> Loaded:
        if options.weights is not None:
            raise UsageError(f"{name} has weights of its own", hint="Leave --weights out.")
        found = inspect_onnx(
            Path(name),
            labels=options.labels,
            layout=options.layout,
            layer=options.layer,
            imgsz=options.imgsz,
        )
        if isinstance(found.layout, StreamcamError):
            raise found.layout
        if not found.levels:
            raise UsageError(
                f"no feature maps were found in {name}",
                hint="Name its layers: --layer, see streamcam models inspect.",
            )
        from streamcam.vision.models.onnx.onnx_network import OnnxNetwork

        return Loaded(OnnxNetwork(found, options.device), name, found.file.sha256)

    def weights_file(self, name: str) -> Path:
        return Path(name)


def inspect_onnx(
    path: Path,
    *,
    labels: Path | None = None,
    layout: str = "auto",
    layer: Sequence[str] = (),
    imgsz: int | None = None,
) -> "Inspection":
    """What a file holds, see `inspect_file`; raises a `UsageError` without the packages for it."""
    _require_packages()
    from streamcam.vision.models.onnx.inspection import inspect_file

    return inspect_file(path, labels=labels, layout=layout, layer=layer, imgsz=imgsz)


def export_onnx(name: str, family: Family, target: Path, options: LoadOptions) -> Path:
    """Write a model as an ONNX file, see `export`; raises a `UsageError` without the packages."""
    if not isinstance(family, ModuleFamily):
        raise UsageError(
            f"{name} cannot be exported: it is no detector of streamcam's or torchvision's own"
        )
    _require_packages()
    from streamcam.vision.models.onnx.onnx_export import export

    return export(family, name, target, options)


def _require_packages() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX files need {' and '.join(missing)}", hint="pip install 'streamcam[onnx]'"
        )
