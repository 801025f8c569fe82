"""Writing detectors made of torch modules as ONNX files, which other tools read too.

The exporter is torch's older one (`dynamo=False`): it needs no package beside torch, and is in
every version from 2.6 on.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_convert

from streamcam.errors import UsageError
from streamcam.files import write_file
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.family import LoadOptions, ModuleFamily
from streamcam.vision.models.onnx.notes import KEY, Notes, tensor_of
from streamcam.vision.models.onnx.query_layouts import Detections
from streamcam.vision.models.onnx.yolo_layouts import Yolo
from streamcam.vision.models.torch_network import DenseNetwork, TorchNetwork

_OPSET = 17
_INPUT = "images"


class DenseExport(nn.Module):
    """A network with a box for each place, its pictures [batch, 3, height, width]."""

    layout = Yolo.name
    outputs = ("output0",)
    dynamic: Mapping[str, Mapping[int, str]] = {
        _INPUT: {0: "batch", 2: "height", 3: "width"},
        "output0": {0: "batch", 2: "places"},
    }

    def __init__(self, network: DenseNetwork) -> None:
        super().__init__()
        self.backbone = network.module.get_submodule("backbone")
        self._network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        levels = self.backbone(pixels)
        # While it is traced, these are tensors: the sizes stay free.
        size = (pixels.shape[2], pixels.shape[3])
        raw = self._network.heads(levels, [Letterbox(size, size, size)])
        boxes, scores = self._network.places(raw)
        rows = torch.cat([box_convert(boxes, "xyxy", "cxcywh"), scores], dim=2)
        return rows.transpose(1, 2), *levels.values()


class DetectionsExport(nn.Module):
    """A module of torchvision, which chooses its boxes itself, and one picture."""

    layout = Detections.name
    outputs = ("boxes", "scores", "labels")
    dynamic: Mapping[str, Mapping[int, str]] = {
        _INPUT: {2: "height", 3: "width"},
        **{name: {0: "boxes"} for name in outputs},
    }

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        module.transform = _NoTransform()
        for part in ("mask_roi_pool", "keypoint_roi_pool"):
            if hasattr(module, "roi_heads") and hasattr(module.roi_heads, part):
                setattr(module.roi_heads, part, None)
        self._levels: Sequence[Tensor] = ()
        module.get_submodule("backbone").register_forward_hook(self._keep)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        (found,) = self.module([pixels[0]])
        return found["boxes"], found["scores"], found["labels"], *self._levels

    def _keep(self, _: nn.Module, __: object, levels: Mapping[str, Tensor]) -> None:
        self._levels = list(levels.values())


class _NoTransform(nn.Module):
    """Takes pictures as they are: normalised and of the canvas's size."""

    def forward(self, images: list[Tensor], _: None = None) -> tuple[ImageList, None]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        return ImageList(torch.stack(images), sizes), None

    def postprocess(
        self, found: list[dict[str, Tensor]], _: list[Size], __: list[Size]
    ) -> list[dict[str, Tensor]]:
        return found


def export(family: ModuleFamily, name: str, target: Path, options: LoadOptions) -> Path:
    """Write a model as an ONNX file, which notes how streamcam uses it.

    It detects the same as the model itself, and has the same maps; see `DenseExport` and
    `DetectionsExport` for its inputs and outputs.

    Returns:
        The file.

    Raises:
        UsageError: The model cannot be exported.
        WeightsError: Its weights cannot be used.
        SinkError: The file cannot be written.
    """
    loaded = family.load_module(name, options)
    network = family.network(name, loaded, options)
    suppress = None
    if isinstance(network, DenseNetwork):
        made: DenseExport | DetectionsExport = DenseExport(network)
        suppress = network.overlap
    elif isinstance(network, TorchNetwork):
        made = DetectionsExport(family.load_module(name, options).module)
    else:
        raise UsageError(f"{name} cannot be exported: it is not made of torch modules")
    canvas = network.sizing.trial_canvas
    levels = list(network.features(torch.zeros(1, 3, *canvas)))
    model = _traced(made.eval(), canvas, [tensor_of(level) for level in levels])
    notes = Notes.of(network, made.layout, levels, suppress)
    # As Ultralytics writes them, for other tools.
    names = repr(dict(enumerate(network.categories.values())))
    for key, value in {"names": names, "task": "detect", KEY: notes.write()}.items():
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    return write_file(target, model.SerializeToString())


def _traced(
    made: DenseExport | DetectionsExport, canvas: Size, levels: Sequence[str]
) -> onnx.ModelProto:
    content = io.BytesIO()
    pixels = torch.rand((1, 3, *canvas), generator=torch.Generator().manual_seed(0))
    # More threads only wait for each other: a single small picture is traced.
    with warnings.catch_warnings(), torch.inference_mode(), computing_threads(1):
        # That sizes which Python computes with become constants; those of pictures do not.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            made,
            (pixels,),
            content,  # type: ignore[arg-type]  # of this exporter it may be a stream
            dynamo=False,
            opset_version=_OPSET,
            input_names=[_INPUT],
            output_names=[*made.outputs, *levels],
            dynamic_axes={name: dict(axes) for name, axes in made.dynamic.items()},
        )
    model = onnx.load_from_string(content.getvalue())
    # The levels were outputs for their names.
    del model.graph.output[len(made.outputs) :]
    return model
