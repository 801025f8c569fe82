"""The built-in detector in int8 as it ships."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest

from streamcam.demo.source import DemoSource
from streamcam.pipeline.stream import Sampler
from streamcam.quantization.agreement import FloatReference, agreement
from streamcam.types import Picture
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import NanoFamily
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.quantized import QuantizedModel, digest_of, nano_int8

# Sums a canvas's outputs with instructions that older processors have; what is not quantized is in
# float32, since OpenVINO looks at the processor itself for bfloat16.
PROGRAM = """
import sys
import numpy as np
import openvino

model = openvino.Core().read_model(sys.argv[1])
options = {"INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True}
request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
canvas = np.kron(np.random.default_rng(0).standard_normal((1, 3, 12, 20)), np.ones((16, 16)))
request.infer({"pixels": canvas.astype(np.float32)})
np.savez(sys.argv[2], **{one.any_name: request.get_tensor(one).data for one in model.outputs})
print(*{one.exec_type for one in request.profiling_info})
"""


@pytest.fixture(scope="module")
def shipped() -> QuantizedModel:
    found = nano_int8()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network() -> Network:
    return NanoFamily().load("nano", LoadOptions()).network


@pytest.fixture(scope="module")
def float_model(network: Network) -> openvino.Model:
    return converted(network)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    source = DemoSource("demo://street?seconds=4&width=640&height=360&seed=5")
    return [frame.picture for frame in source.frames(Sampler(max_fps=2))]


def test_its_files_are_whole_small_and_of_the_float_weights(shipped: QuantizedModel) -> None:
    shipped.check()
    assert shipped.size < 5_000_000
    assert shipped.source_sha256 == digest_of((NANO_FILE,))


def test_its_graph_has_the_inputs_and_outputs_of_the_float_one(
    shipped: QuantizedModel, float_model: openvino.Model
) -> None:
    model = openvino.Core().read_model(shipped.graph)
    for kind in ("inputs", "outputs"):
        expected = [one.any_name for one in getattr(float_model, kind)]
        assert [one.any_name for one in getattr(model, kind)] == expected


def test_it_agrees_with_the_float_weights(
    shipped: QuantizedModel, network: Network, pictures: list[Picture]
) -> None:
    reference = FloatReference(network, network.confidence, pictures)
    model = openvino.Core().read_model(shipped.graph)
    measured = agreement(reference.scores(OpenVinoNetwork(network, model, precision="int8")))
    assert measured.float_boxes > 20
    assert measured.shortfall is None
    assert measured.map_mean > 0.99


def run_with(instructions: str, graph: Path, folder: Path) -> tuple[dict[str, np.ndarray], str]:
    path = folder / f"{instructions}.npz"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, graph, path],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": instructions},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(np.load(path)), done.stdout


@pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text(), reason="needs AVX2")
def test_processors_without_integer_units_compute_the_same(
    shipped: QuantizedModel, tmp_path: Path
) -> None:
    expected, _ = run_with("ALL", shipped.graph, tmp_path)
    found, kernels = run_with("AVX2", shipped.graph, tmp_path)
    assert "jit_avx2_I8" in kernels
    for name, value in expected.items():
        assert np.corrcoef(value.ravel(), found[name].ravel())[0, 1] > 0.999
