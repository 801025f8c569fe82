"""What an ONNX file holds: its layout, how pictures are prepared, where its feature maps are."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from streamcam.errors import StreamcamError, UsageError
from streamcam.vision.models.checkpoints import parse_labels, read_labels, unnamed
from streamcam.vision.models.network import FeatureLevels, Sizing
from streamcam.vision.models.onnx.graph_inputs import GraphInputs
from streamcam.vision.models.onnx.layout import Layout, Trial
from streamcam.vision.models.onnx.layouts import find_layout
from streamcam.vision.models.onnx.level_search import GraphLevel, GraphWalk
from streamcam.vision.models.onnx.notes import KEY, Notes
from streamcam.vision.models.onnx.onnx_file import OnnxFile
from streamcam.vision.models.onnx.trial_run import TrialRun
from streamcam.vision.models.onnx.yolo_layouts import Yolo

# Where neither the graph nor its metadata tells a size.
_SIDE = 640

# Layers that are offered beside each that was found.
_OTHERS = 4

# Of a cell, where nothing tells its centre.
_MIDDLE = 0.5

# Tasks of Ultralytics' exports whose boxes can be used.
_TASKS = ("detect", "segment", "pose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in a file.

    Attributes:
        layout: Of its outputs; the error where it has none that is known.
        names: Class names by the outputs' class numbers.
        sizing: How pictures are prepared; None without a layout.
        levels: The feature maps that are explained, the finest first.
        others: For each of those some feature maps before it, on the same grid.
        where: Where the levels' cells lie on the canvas; None without levels.
        notes: What streamcam noted when it exported the file.
    """

    file: OnnxFile
    inputs: GraphInputs
    layout: Layout | StreamcamError
    names: Mapping[int, str]
    sizing: Sizing | None
    levels: Sequence[GraphLevel]
    others: Mapping[str, Sequence[GraphLevel]]
    where: FeatureLevels | None
    notes: Notes | None

    def facts(self) -> dict[str, Any]:
        """What people and programs want to know of it, in values that JSON has."""
        model = self.file.model
        return {
            "file": str(self.file.path),
            "made by": f"{model.producer_name} {model.producer_version}".strip(),
            "opset": self.file.opset,
            "inputs": [tensor.describe() for tensor in self.file.inputs],
            "outputs": [tensor.describe() for tensor in self.file.outputs],
            "layout": self.layout.name if isinstance(self.layout, Layout) else None,
            "meaning": self.layout.meaning if isinstance(self.layout, Layout) else str(self.layout),
            "classes": {str(i): name for i, name in self.names.items()},
            "preparation": asdict(self.sizing) if self.sizing else None,
            "layers": [asdict(level) for level in self.levels],
            "other layers": [asdict(one) for some in self.others.values() for one in some],
        }


def inspect_file(
    path: Path,
    *,
    labels: Path | None = None,
    layout: str = "auto",
    layer: Sequence[str] = (),
    imgsz: int | None = None,
) -> Inspection:
    """Read a file, run it once with a picture of noise, and tell what it is.

    Args:
        path: An ONNX file.
        labels: Names of its classes, instead of those in the file.
        layout: A layout's name, or "auto".
        layer: The names of the layers to explain; empty to search for them.
        imgsz: Pixels of the longer side of its input; None for the usual size.

    Raises:
        UsageError: It takes no pictures, or none of that size, or has no such layers.
        WeightsError: It cannot be read or run; or the class names do not fit.
        WeightsUnavailableError: There is no such file.
    """
    file = OnnxFile(path)
    inputs = GraphInputs.of(path, file.inputs)
    notes = Notes.read(file.metadata[KEY]) if KEY in file.metadata else None
    side = _side(file.metadata) if imgsz is None else inputs.side_for(imgsz)
    run = TrialRun(file, inputs, side, layer or (notes.levels if notes else ()))
    names = _own_names(file.metadata) if labels is None else _told_names(labels)
    wanted = notes.layout if notes and layout == "auto" else layout
    found = _layout(wanted, file, _trial(file, inputs, run, names))
    if notes and isinstance(found, Yolo):
        # As the originals of exports do it.
        found.all_classes = True
    sizing, used = None, list(run.outputs)
    if isinstance(found, Layout):
        used = list(found.outputs)
        names = _names(found.class_count, names, labels)
        sizing = found.sizing(inputs.canvas, side)
        if inputs.takes_bytes:
            sizing = replace(sizing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        if notes:
            sizing = notes.sizing if imgsz is None else notes.sizing.at(imgsz)
    walk = run.walk(used)
    where: FeatureLevels | None
    if notes and not layer:
        levels, where = _noted_levels(run), notes.where
    else:
        levels = [run.level(name) for name in run.layers] if layer else walk.levels()
        where = _where(run, walk, levels)
    return Inspection(
        file=file,
        inputs=inputs,
        layout=found,
        names=names,
        sizing=sizing,
        levels=levels,
        others={one.name: list(islice(walk.earlier(one), _OTHERS)) for one in levels},
        where=where,
        notes=notes,
    )


def _trial(file: OnnxFile, inputs: GraphInputs, run: TrialRun, names: Mapping[int, str]) -> Trial:
    counted = bool(names) and set(names) == set(range(len(names)))
    return Trial(
        outputs=run.outputs,
        inputs=[inputs.name, *inputs.others],
        canvas=run.canvas,
        classes=len(names) if counted else None,
        keypoints=file.metadata.get("task") == "pose",
    )


def _names(count: int | None, names: Mapping[int, str], labels: Path | None) -> dict[int, str]:
    """A name for each class, as far as it is known how many there are."""
    count = len(names) if count is None else count
    if labels is not None and count:
        return read_labels(labels, range(count))
    return {i: names.get(i, unnamed(i)) for i in range(count)}


def _layout(name: str, file: OnnxFile, trial: Trial) -> Layout | StreamcamError:
    try:
        task = file.metadata.get("task", _TASKS[0])
        if task not in _TASKS:
            raise UsageError(f"{file.path} is for the task {task!r}, which has no upright boxes")
        return find_layout(name, trial)
    except StreamcamError as error:
        return error


def _side(metadata: Mapping[str, str]) -> int:
    """The side of a square canvas, where the graph takes any."""
    sizes = _literal(metadata.get("imgsz", ""))
    sizes = [sizes] if isinstance(sizes, int) else sizes
    return max((size for size in sizes or () if isinstance(size, int)), default=_SIDE)


def _own_names(metadata: Mapping[str, str]) -> dict[int, str]:
    """The class names that exporters of YOLO note: a dictionary or a list, as Python writes it."""
    names = _literal(metadata.get("names", ""))
    if isinstance(names, list):
        return {i: str(name) for i, name in enumerate(names)}
    return {int(i): str(name) for i, name in names.items()} if isinstance(names, dict) else {}


def _told_names(labels: Path) -> dict[int, str]:
    names = parse_labels(labels)
    return dict(enumerate(names)) if isinstance(names, list) else names


def _literal(text: str) -> Any:  # noqa: ANN401 - whatever was written
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _noted_levels(run: TrialRun) -> list[GraphLevel]:
    return [
        GraphLevel(name, tuple(value.shape), run.canvas[0] / value.shape[2])
        for name, value in run.layers.items()
    ]


def _where(run: TrialRun, walk: GraphWalk, levels: Sequence[GraphLevel]) -> FeatureLevels | None:
    """Cells' centres are those of the finest level that tells them by its kernels."""
    if not levels:
        return None
    places = [place for one in levels if (place := walk.centre(one.name)) is not None]
    strides = {one.name: run.stride(one) for one in levels}
    return FeatureLevels.of(strides, places[0] if places else _MIDDLE)
