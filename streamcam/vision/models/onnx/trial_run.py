"""One run of an ONNX graph with a picture of noise, and the shapes that follow from it."""

import difflib
from collections.abc import Sequence

import onnx
import torch
from torch import Tensor

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox, Size, Stride
from streamcam.vision.models.onnx.graph_inputs import GraphInputs
from streamcam.vision.models.onnx.graph_parts import ELEMENT_TYPES, with_outputs
from streamcam.vision.models.onnx.level_search import GraphLevel, GraphWalk, stride_of
from streamcam.vision.models.onnx.onnx_file import OnnxFile
from streamcam.vision.models.onnx.onnx_session import OnnxSession

_COLOURS = 3

# Of a picture where the graph takes any and does not resize it: enough for the coarsest level.
_SMALL_SIDE = 320

Shape = tuple[int, ...]


class TrialRun:
    """A run of a graph with one picture, or as many as it takes.

    Args:
        side: Of the picture where the graph takes any; less where that changes nothing.
        layer: Layers to measure, by the name of a tensor or of the node that makes it.

    Attributes:
        canvas: Height and width of the picture.
        outputs: The graph's own outputs by name.
        layers: What the layers gave, by the name of their tensors.

    Raises:
        UsageError: There is no such layer.
        WeightsError: The graph cannot be run.
    """

    def __init__(
        self, file: OnnxFile, inputs: GraphInputs, side: int, layer: Sequence[str] = ()
    ) -> None:
        graph = file.model.graph
        layers = [_tensor(graph, name) for name in layer]
        first, resized = _pixels(graph, inputs.name)
        if resized == inputs.name:
            side = min(side, _SMALL_SIDE)
        self.canvas = (inputs.sides[0] or side, inputs.sides[1] or side)
        self._file, self._feeds = file, _noise(inputs, self.canvas)
        results = self._feeds | self._run([first, resized, *layers])(self._feeds)
        names = [tensor.name for tensor in file.outputs if tensor.name not in layers]
        self.outputs = {name: results[name] for name in names}
        if results[first].shape[1:2] != (_COLOURS,):
            # Its pixels were sorted into channels: their grid is another.
            first = resized = inputs.name
        self._start, self._pixels = first, results[first]
        self._picture = tuple(results[resized].shape[-2:])
        self.layers = {name: results[name] for name in layers}

    def walk(self, outputs: Sequence[str]) -> GraphWalk:
        """The graph from its pixels to some of its outputs."""
        shapes = _infer_shapes(self._file.model, self._start, self._pixels)
        unknown = [
            name
            for node in self._file.model.graph.node
            for name in node.output
            if name and name not in shapes
        ]
        shapes |= self._run(unknown).shapes(self._feeds)
        return GraphWalk(self._file.model.graph, self._start, outputs, shapes)

    def stride(self, level: GraphLevel) -> Stride:
        """A level's stride in pixels of the canvas: the graph may resize pictures itself."""
        y, x = (
            level.stride * side / own for side, own in zip(self.canvas, self._picture, strict=True)
        )
        return y, x

    def level(self, name: str) -> GraphLevel:
        """A measured layer as a feature map.

        Raises:
            UsageError: It is none.
        """
        shape = tuple(self.layers[name].shape)
        height, width = self._pixels.shape[2:]
        stride = stride_of(shape, (height, width))
        if stride is None:
            raise UsageError(
                f"layer {name!r} is no feature map: it is {list(shape)} for pictures of "
                f"{height} x {width} pixels"
            )
        return GraphLevel(name, shape, stride)

    def _run(self, names: Sequence[str]) -> OnnxSession:
        """A session with more outputs."""
        measured = [name for name in names if name not in self._feeds]
        model = with_outputs(self._file.model, measured)
        cpu = torch.device("cpu")
        return OnnxSession(self._file.path, model, cpu, threads=1, optimize=False)


def _noise(inputs: GraphInputs, canvas: Size) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand((inputs.batch or 1, _COLOURS, *canvas), generator=draw)
    if inputs.takes_bytes:
        pixels *= 255
    return inputs.feeds(pixels, [Letterbox(canvas, canvas, canvas)] * len(pixels))


def _tensor(graph: onnx.GraphProto, name: str) -> str:
    """The tensor of that name, or the first that the node of that name makes."""
    tensors = [output for node in graph.node for output in node.output]
    if name in tensors:
        return name
    nodes: dict[str, str] = {node.name: node.output[0] for node in graph.node if node.name}
    if name in nodes:
        return nodes[name]
    near = difflib.get_close_matches(name, [*tensors, *nodes], n=3, cutoff=0.5)
    raise UsageError(
        f"the graph has no layer {name!r}",
        hint=f"Did you mean {' or '.join(near)}?"
        if near
        else "streamcam models inspect lists some.",
    )


def _pixels(graph: onnx.GraphProto, image: str) -> tuple[str, str]:
    """What the first convolution is given, and what its picture was resized to before."""
    derived = {image}
    first = resized = image
    for node in graph.node:
        if not derived.intersection(node.input):
            continue
        if node.op_type == "Conv":
            first = node.input[0]
            break
        derived.update(node.output)
        if node.op_type == "Resize":
            resized = node.output[0]
    return first, resized


def _infer_shapes(model: onnx.ModelProto, start: str, pixels: Tensor) -> dict[str, Shape]:
    """The shapes of a graph's tensors, as far as they follow from the first convolution's input."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        node.output[:] = [f"{name} before" if name == start else name for name in node.output]
    kind, shape = ELEMENT_TYPES[pixels.dtype], tuple(pixels.shape)
    others = [value for value in graph.input if value.name != start]
    del graph.input[:]
    graph.input.extend([onnx.helper.make_tensor_value_info(start, kind, shape), *others])
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    except onnx.shape_inference.InferenceError:
        return {start: shape}
    return {start: shape} | {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*inferred.value_info, *inferred.output)
        if all(side.dim_value > 0 for side in value.type.tensor_type.shape.dim)
    }
