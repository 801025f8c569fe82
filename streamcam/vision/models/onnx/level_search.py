"""Where the feature maps are in an ONNX graph: found by walking back from its outputs.

A detector computes its boxes from feature maps of some strides. At each stride the search finds
where the graph leaves the grid of cells (flattened, pooled or gathered for the outputs), and takes
the last feature map that all of this is computed from: the nearest common dominator, see Cooper,
Harvey and Kennedy 2001, "A Simple, Fast Dominance Algorithm". For YOLO that is what the neck gives
to the head, for Faster R-CNN the pyramid, for RT-DETR and DETR what goes into the decoder.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import onnx

from streamcam.vision.cam.geometry import Size
from streamcam.vision.models.onnx.graph_parts import inputs_of

# Finer ones are not meant for objects, coarser ones have too few cells for a map.
_MIN_STRIDE, _MAX_STRIDE = 4, 64

_POWERS = (4, 8, 16, 32, 64)
_RANK = 4

# What tells a tensor's size depends on no pixel.
_SIZES_ONLY = frozenset({"Shape", "Size"})

# What puts values on a grid of cells: of pixels, of other cells, or of a row of tokens.
_GRID_MAKERS = frozenset(
    {
        "AveragePool",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "MaxPool",
        "QLinearConv",
        "Reshape",
        "Resize",
        "SpaceToDepth",
        "Upsample",
    }
)

_POOLS = frozenset({"Conv", "MaxPool", "AveragePool"})


@dataclass(frozen=True, slots=True)
class GraphLevel:
    """A feature map of a graph.

    Attributes:
        shape: Batch, channels, rows, columns, for the picture of the search.
        stride: That picture's pixels from one cell to the next.
    """

    name: str
    shape: tuple[int, ...]
    stride: float


class GraphWalk:
    """A graph's tensors, from one of them on to the outputs.

    Args:
        start: The tensor that holds the pixels.
        outputs: Those that boxes are made of.
        shapes: The tensors' shapes, as far as they are known; the start's is
            [batch, channels, height, width].
    """

    def __init__(
        self,
        graph: onnx.GraphProto,
        start: str,
        outputs: Sequence[str],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self._batch, _, *canvas = shapes[start]
        self._canvas = (canvas[0], canvas[1])
        self._shapes = shapes
        self._parents = {start: ()} | _parents(graph, start)
        self._order = {name: index for index, name in enumerate(self._parents)}
        self._operators = {name: node for node in graph.node for name in node.output}
        wanted = self._above(outputs)
        self._children: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._parents:
            if name in wanted:
                for parent in self._parents[name]:
                    self._children[parent].append(name)
        self._strides: dict[str, float | None] = {}
        for name in self._parents:
            if name in wanted:
                self._strides[name] = self._stride(name)
        self._dominators = self._immediate_dominators()

    def levels(self) -> list[GraphLevel]:
        """The last feature map of each stride, the finest first; empty where none is found."""
        found = []
        for stride, exits in sorted(self._exits().items()):
            name = self._common(exits, stride)
            if name is not None:
                found.append(self._level(name, stride))
        return found

    def earlier(self, level: GraphLevel) -> Iterator[GraphLevel]:
        """Feature maps that a level is computed from entirely, on the same grid, the next first."""
        name = self._dominators.get(level.name)
        while name is not None and self._strides.get(name) == level.stride:
            yield self._level(name, level.stride)
            name = self._dominators[name]

    def centre(self, level: str) -> float | None:
        """Where in its stride a cell's centre lies by the kernels on its way, 0..1.

        The mean of the pixels that a cell looks at; None where something else than convolutions
        and pools gives it its grid.
        """
        # Of each tensor its stride and the centre of its first cell, in pixels.
        places: dict[str, tuple[float, float] | None] = {}
        for name, parents in self._parents.items():
            known = [place for parent in parents if (place := places.get(parent)) is not None]
            finest = min(known, default=None)
            places[name] = _shift(self._operators[name], finest) if parents else (1.0, 0.5)
            if name == level:
                break
        place = places.get(level)
        return None if place is None else min(1.0, max(0.0, place[1] / place[0]))

    def _level(self, name: str, stride: float) -> GraphLevel:
        return GraphLevel(name, self._shapes[name], stride)

    def _above(self, outputs: Sequence[str]) -> set[str]:
        """Everything between the start and the outputs."""
        found: set[str] = set()
        waiting = list(outputs)
        while waiting:
            name = waiting.pop()
            if name in self._parents and name not in found:
                found.add(name)
                waiting += self._parents[name]
        return found

    def _stride(self, name: str) -> float | None:
        """The stride of a tensor's cells; None if it is no feature map.

        Other tensors may have as many rows and columns by chance: attention between as many queries
        as there are cells, channels behind the columns.
        """
        if name not in self._operators:
            return None
        kind = self._operators[name].op_type
        from_grid = any(self._strides.get(parent) for parent in self._parents[name])
        if kind == "Transpose":
            return None if from_grid else self._on_grid(name)
        return self._on_grid(name) if from_grid or kind in _GRID_MAKERS else None

    def _on_grid(self, name: str) -> float | None:
        shape = self._shapes.get(name, ())
        return stride_of(shape, self._canvas) if shape[:1] == (self._batch,) else None

    def _exits(self) -> dict[float, list[str]]:
        """By stride the feature maps after which the way to the outputs has none any more."""
        returns: dict[str, bool] = {}
        for name in reversed(self._strides):
            returns[name] = self._strides[name] is not None or any(
                returns[child] for child in self._children[name]
            )
        exits: defaultdict[float, list[str]] = defaultdict(list)
        for name, stride in self._strides.items():
            children = self._children[name]
            if stride is not None and (
                not children or any(not returns[child] for child in children)
            ):
                exits[stride].append(name)
        return exits

    def _common(self, exits: Sequence[str], stride: float) -> str | None:
        """The last feature map that all exits of a stride are computed from."""
        name: str | None = reduce(self._meet, exits)
        # A single exit is the head's own output: boxes and scores of every cell.
        if name is not None and len(exits) == 1:
            name = self._dominators[name]
        while name is not None and self._strides[name] != stride:
            name = self._dominators[name]
        return name

    def _immediate_dominators(self) -> dict[str, str | None]:
        """For each tensor the next one before it through which every way from the start leads."""
        self._dominators = {}
        for name in self._strides:
            parents = [parent for parent in self._parents[name] if parent in self._dominators]
            self._dominators[name] = reduce(self._meet, parents) if parents else None
        return self._dominators

    def _meet(self, one: str, other: str) -> str:
        while one != other:
            if self._order[one] < self._order[other]:
                one, other = other, one
            dominator = self._dominators[one]
            assert dominator is not None, "all ways begin at the start"
            one = dominator
        return one


def stride_of(shape: Sequence[int], canvas: Size) -> float | None:
    """The stride of a feature map [batch, channels, rows, columns]; None if it is none.

    Whole numbers, or powers of two where the last cell is rounded up.
    """
    if len(shape) != _RANK or 0 in shape:
        return None
    rows, columns = shape[2:]
    height, width = canvas
    whole = height // rows if height % rows == 0 and width * rows == columns * height else 0
    for stride in (whole, *_POWERS):
        if _MIN_STRIDE <= stride <= _MAX_STRIDE and (rows, columns) == (
            -(-height // stride),
            -(-width // stride),
        ):
            return float(stride)
    return None


def _parents(graph: onnx.GraphProto, start: str) -> dict[str, tuple[str, ...]]:
    """The tensors that are computed from the start, in order, each with those it is made of."""
    found: dict[str, tuple[str, ...]] = {start: ()}
    for node in graph.node:
        if node.op_type in _SIZES_ONLY:
            continue
        parents = tuple(dict.fromkeys(name for name in inputs_of(node) if name in found))
        if parents and start not in node.output:
            found |= dict.fromkeys(node.output, parents)
    return found


def _shift(node: onnx.NodeProto, place: tuple[float, float] | None) -> tuple[float, float] | None:
    """Stride and first cell's centre after an operator."""
    if place is None or node.op_type in {"Resize", "Upsample", "ConvTranspose", "Reshape"}:
        return None
    if node.op_type not in _POOLS:
        return place
    stride, centre = place
    attributes = {one.name: one for one in node.attribute}
    step, kernel, dilation = (
        attributes[name].ints[0] if name in attributes else 1
        for name in ("strides", "kernel_shape", "dilations")
    )
    pads = attributes["pads"].ints if "pads" in attributes else ()
    before = pads[0] if pads else 0
    return stride * step, centre + stride * ((kernel - 1) * dilation / 2 - before)
