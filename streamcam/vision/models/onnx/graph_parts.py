"""Parts of ONNX graphs: what a node reads, a graph with more outputs, the end of a graph."""

from collections.abc import Iterator, Mapping, Sequence

import onnx
import torch

ELEMENT_TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.float16: onnx.TensorProto.FLOAT16,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.int32: onnx.TensorProto.INT32,
    torch.int64: onnx.TensorProto.INT64,
    torch.bool: onnx.TensorProto.BOOL,
}
"""ONNX's numbers of the types of tensors that go in and out."""

_LEVEL_RANK = 4


def inputs_of(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, its branches' and loops' bodies included."""
    yield from node.input
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            made = {name for inner in body.node for name in inner.output}
            for inner in body.node:
                yield from (name for name in inputs_of(inner) if name not in made)
            yield from (value.name for value in body.output if value.name not in made)


def tail_of(
    model: onnx.ModelProto, starts: Mapping[str, torch.dtype], outputs: Sequence[str]
) -> onnx.ModelProto | None:
    """The part of a graph that makes outputs of some of its tensors.

    Args:
        model: The whole.
        starts: Those tensors, with their types.
        outputs: Some of the graph's own.

    Returns:
        None where they do not follow from these tensors alone.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    weights = {one.name for one in (*graph.initializer, *graph.sparse_initializer)}
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if not name or name in needed or name in starts:
            continue
        needed.add(name)
        if name in makers:
            waiting += inputs_of(makers[name])
        elif name not in weights:
            return None
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    tail = onnx.ModelProto()
    tail.CopyFrom(model)
    for part in ("node", "input", "output", "value_info", "initializer"):
        tail.graph.ClearField(part)
    tail.graph.node.extend(nodes)
    tail.graph.initializer.extend(one for one in graph.initializer if one.name in needed)
    tail.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    tail.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, ELEMENT_TYPES[dtype], [None] * _LEVEL_RANK)
        for name, dtype in starts.items()
    )
    return tail


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The model with more of its tensors as outputs; it shares the weights' memory."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in copy.graph.output}
    for name in names:
        if name not in present:
            copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return copy
