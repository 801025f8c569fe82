from typing import Any

import pytest
from onnx import TensorProto, helper

from streamcam.errors import UsageError
from streamcam.vision.models.network_graph import NetworkGraph, pixels_alone
from streamcam.vision.models.openvino.convert import converted


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
