"""A network whose convolutions run in OpenVINO."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import openvino
from torch import Tensor

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.tuning import threads_of_size
from streamcam.vision.devices import DTYPES
from streamcam.vision.models.network import Candidates, Levels, Network, Raw
from streamcam.vision.models.openvino.compiled_graph import CompiledGraph
from streamcam.vision.models.openvino.convert import graph_of
from streamcam.vision.models.openvino.runtime import IntelPrecision, describe_intel_device


class OpenVinoNetwork(Network):
    """A network of any family, with OpenVINO in place of its own runtime.

    What is no part of its graph, and what starts from feature maps, is computed by the network
    itself, which is taken over.

    Args:
        network: On the CPU.
        model: What `converted` makes of it, or the same quantized.
        device: OpenVINO's name, e.g. "CPU".
        precision: Of all that is not quantized; "int8" for models that are.

    Raises:
        UsageError: OpenVINO can compute nothing of this network.
        WeightsError: The device cannot run the model.
    """

    def __init__(
        self,
        network: Network,
        model: openvino.Model | openvino.CompiledModel,
        *,
        device: str = "CPU",
        precision: IntelPrecision = "fp32",
    ) -> None:
        graph = graph_of(network)
        canvas = graph.canvas or network.sizing.canvas
        super().__init__(
            sizing=replace(network.sizing, canvas=canvas),
            levels=network.levels,
            categories=network.categories,
            confidence=network.confidence,
            suppress=network.suppress,
            differentiable=network.differentiable,
            replayable=network.replayable,
            replays_in_float32=precision == "int8",
            device=network.device,
            device_name=describe_intel_device(device),
            dtype=DTYPES[precision],
            weight_count=network.weight_count,
        )
        network.release_graph()
        self._own = network
        self._graph = graph
        self._compiled = CompiledGraph(
            model,
            device=device,
            precision=precision,
            threads=threads_of_size(network.device, network.weight_count),
            channels_last=graph.channels_last,
        )
        self._computes_itself = False

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        if self._computes_itself:
            return self._own.forward(canvas, placements)
        runs = [self._compiled(inputs) for inputs in self._graph.inputs(canvas, placements)]
        return self._graph.results(runs, placements)

    def from_levels(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        return self._own.from_levels(levels, placements)

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        return self._own.decode(raw, placements, threshold)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Let the network compute itself, without OpenVINO and in float32."""
        self._computes_itself = True
        try:
            with self._own.in_float32():
                yield
        finally:
            self._computes_itself = False

    def close(self) -> None:
        self._own.close()
