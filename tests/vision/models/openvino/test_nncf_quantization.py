"""Int8 models of every kind of graph, and the search for layers that hurt."""

from collections.abc import Sequence
from pathlib import Path

import openvino
import pytest
import torch

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino import nncf_quantization
from streamcam.vision.models.openvino.convert import converted, graph_of
from streamcam.vision.models.openvino.nncf_quantization import Feeds, Judgement, quantized
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from tests.vision.models.openvino.networks import NETWORKS
from tests.vision.scenes import MOBILENET

FRAMES = 4

# Random weights give the MobileNet levels without content.
_CONSTANT = 1e-6


def canvases(network: Network) -> list[torch.Tensor]:
    height, width = network.sizing.canvas or network.sizing.resized((96, 128))
    multiple = network.sizing.multiple
    size = [-(-side // multiple) * multiple for side in (height, width)]
    random = torch.Generator().manual_seed(0)
    return [
        torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=random), size)
        for _ in range(FRAMES)
    ]


def placement(canvas: torch.Tensor) -> Letterbox:
    size = (canvas.shape[2], canvas.shape[3])
    return Letterbox(size, size, size)


def feeds_of(network: Network) -> list[Feeds]:
    graph = graph_of(network)
    return [
        {name: value.numpy() for name, value in run.items()}
        for canvas in canvases(network)
        for run in graph.inputs(canvas, [placement(canvas)])
    ]


def content(_model: openvino.CompiledModel, frames: Sequence[int]) -> Judgement:
    return Judgement(1.0, [1.0] * len(frames))


def count_of(model: openvino.Model, kind: str) -> int:
    return sum(operation.get_type_name() == kind for operation in model.get_ops())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return NETWORKS["onnx"](tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def graph(small: Network) -> openvino.Model:
    return converted(small)


@pytest.fixture(scope="module", params=[MOBILENET, "rt_detr", "onnx"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return NETWORKS[request.param](tmp_path_factory.mktemp("networks"))


def test_every_kind_of_graph_is_quantized_and_keeps_its_maps(network: Network) -> None:
    feeds = feeds_of(network)
    model = converted(network)
    found = quantized(model, feeds, count=len(feeds), judge=content, judged=2)
    assert count_of(found, "FakeQuantize") > 0
    assert count_of(model, "FakeQuantize") == 0
    assert [one.any_name for one in found.outputs] == [one.any_name for one in model.outputs]
    int8 = OpenVinoNetwork(network, found, precision="int8")
    for canvas in canvases(network):
        with torch.inference_mode():
            _, expected = network.forward(canvas, [placement(canvas)])
            _, levels = int8.forward(canvas, [placement(canvas)])
        for name, level in expected.items():
            assert levels[name].shape == level.shape
            if float(level.std()) > _CONSTANT:
                pair = torch.stack([level.flatten(), levels[name].float().flatten()])
                assert torch.corrcoef(pair)[0, 1] > 0.97


def test_layers_go_back_to_float_until_the_judge_is_content(
    small: Network, graph: openvino.Model
) -> None:
    feeds = feeds_of(small)
    whole = quantized(graph, feeds, count=len(feeds), judge=content, judged=2)
    totals: list[float] = []

    def judge(_model: openvino.CompiledModel, frames: Sequence[int]) -> Judgement:
        # The float model twice, the quantized one, then candidates; the tenth is good enough.
        totals.append(1.0 if len(totals) in (0, 1) or len(totals) > 10 else 0.5)
        return Judgement(totals[-1], [totals[-1]] * len(frames))

    restored = quantized(graph, feeds, count=len(feeds), judge=judge, judged=2)
    assert 0 < count_of(restored, "FakeQuantize") < count_of(whole, "FakeQuantize")
    assert totals[-1] == 1.0


def test_the_search_ends_when_its_time_is_over(
    small: Network, graph: openvino.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nncf_quantization, "_SEARCH_SECONDS", 0.0)
    feeds = feeds_of(small)
    calls: list[int] = []

    def judge(_model: openvino.CompiledModel, frames: Sequence[int]) -> Judgement:
        calls.append(len(frames))
        return Judgement(0.5 if len(calls) > 1 else 1.0, [0.5] * len(frames))

    found = quantized(graph, feeds, count=len(feeds), judge=judge, judged=2)
    assert len(calls) == 1
    assert count_of(found, "FakeQuantize") > 0


def test_nothing_is_printed_and_the_result_can_be_read_again(
    small: Network, graph: openvino.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    feeds = feeds_of(small)
    model = quantized(graph, feeds, count=len(feeds), judge=content, judged=2)
    nncf_quantization.save(model, tmp_path / "int8.xml")
    assert capfd.readouterr() == ("", "")
    read = openvino.Core().read_model(tmp_path / "int8.xml")
    assert count_of(read, "FakeQuantize") == count_of(model, "FakeQuantize")
