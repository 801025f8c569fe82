"""From a loaded network to an OpenVINO model."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import openvino
import torch
from torch import nn

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Size
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.network import Network
from streamcam.vision.models.network_graph import PIXELS, NetworkGraph, is_output
from streamcam.vision.models.openvino.runtime import reason

_WITHOUT = "Leave out --device intel:... and --precision int8."


def graph_of(network: Network) -> NetworkGraph:
    """What OpenVINO can compute of a network.

    Raises:
        UsageError: Nothing.
    """
    graph = network.graph()
    if graph is None:
        raise UsageError(
            "this model cannot run in OpenVINO: its decoder's sizes follow from the pictures'",
            hint=_WITHOUT,
        )
    return graph


def converted(network: Network) -> openvino.Model:
    """The part of a network that OpenVINO computes, its weights shared with the network.

    Its inputs and outputs are those of the network's graph, by name. The batch is free, and the
    canvas's size is if the graph takes more than one. What the network holds to compute that part
    quickly itself is released: tracing cannot follow it.

    Raises:
        UsageError: OpenVINO can compute nothing of this network.
    """
    graph = graph_of(network)
    if not isinstance(graph.model, nn.Module):
        with _converting():
            return openvino.Core().read_model(graph.model.SerializeToString())
    network.release_graph()
    height, width = graph.canvas or (-1, -1)
    with warnings.catch_warnings(), computing_threads(1), network.in_float32():
        # That sizes which Python computes with become constants, and that torch will rename this.
        warnings.simplefilter("ignore")
        traced = _traced(graph.model, graph.trial)
        with _converting():
            model = openvino.convert_model(traced, input=[(PIXELS, [-1, 3, height, width])])
    for output in model.outputs:
        # It has the names that torch's tracing gave it, too.
        output.get_tensor().set_names({name for name in output.get_names() if is_output(name)})
    return model


@contextmanager
def _converting() -> Iterator[None]:
    """Say which operations OpenVINO lacks, or what else it says."""
    try:
        yield
    except RuntimeError as error:
        lacks = [line[3:] for line in str(error).splitlines() if line.startswith("-- ")]
        raise UsageError(
            f"OpenVINO cannot run this model: {lacks[0] if lacks else reason(error)}",
            hint=_WITHOUT,
        ) from error


def _traced(module: nn.Module, canvas: Size) -> torch.jit.ScriptModule:
    pixels = torch.rand((1, 3, *canvas), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            module.eval(), pixels, check_trace=False, strict=False
        )
    return traced
