from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import TensorProto, helper

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network_graph import NetworkGraph, pixels_alone
from streamcam.vision.models.openvino.convert import converted, graph_of
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.registry import find_family
from tests.vision.models.tiny_detectors import save_tiny


class OwnOperation:
    """A network whose graph has an operation that nobody knows."""

    def graph(self) -> NetworkGraph:
        sides = ["batch", 3, 32, 32]
        pixels, out = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)
            for name in ("pixels", "out")
        )
        node = helper.make_node("Conjure", ["pixels"], ["out"], domain="own")
        graph = helper.make_graph([node], "own", [pixels], [out])
        imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        return NetworkGraph(
            model=helper.make_model(graph, opset_imports=imports),
            trial=(32, 32),
            inputs=pixels_alone,
            results=lambda _runs, _placements: ({}, {}),
        )


def test_operations_that_openvino_lacks_are_told() -> None:
    network: Any = OwnOperation()
    with pytest.raises(UsageError, match=r"cannot run this model: No conversion rule.*Conjure"):
        converted(network)


def test_a_network_in_half_precision_converts_as_the_float_one(tmp_path: Path) -> None:
    folder = str(save_tiny("rt_detr", tmp_path / "model"))
    network = find_family(folder).load(folder, LoadOptions(dtype=torch.bfloat16)).network
    random = torch.Generator().manual_seed(0)
    canvas = torch.rand(1, 3, *graph_of(network).trial, generator=random)
    size = (canvas.shape[2], canvas.shape[3])
    placements = [Letterbox(size, size, size)]
    with torch.inference_mode(), network.in_float32():
        _, expected = network.forward(canvas, placements)
    with torch.inference_mode():
        _, levels = OpenVinoNetwork(network, converted(network)).forward(canvas, placements)
    for name, level in expected.items():
        torch.testing.assert_close(levels[name].float(), level, atol=1e-4, rtol=1e-3)
