"""An ONNX file detects and explains as the network that it was made of."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from streamcam.errors import UsageError
from streamcam.types import Picture
from streamcam.vision.cam.components import join_levels
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import Network
from streamcam.vision.models.registry import find_family
from tests.vision.models.conformance import THRESHOLD, NetworkConformance
from tests.vision.models.onnx.tiny_detectors import ANY_SIZE, Bytes, Query, Yolo8, made, write
from tests.vision.scenes import build, engine_around, frame, grey, noise, with_patch

NOTES = {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "imgsz": "[160, 160]", "task": "detect"}
PICTURE = with_patch(grey(120, 180), 60, 30, 60)


def load(path: Path, **options: object) -> Network:
    return find_family(str(path)).load(str(path), LoadOptions(**options)).network  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    return write(made(Yolo8), path, dynamic=ANY_SIZE, notes=NOTES)


@pytest.fixture(scope="module")
def network(file: Path) -> Network:
    return load(file)


class TestOnnxConformance(NetworkConformance):
    """A YOLO of any size and batch, run by ONNX Runtime."""

    def test_gradients_reach_the_levels(self, network: Network) -> None:
        assert not network.differentiable


def test_names_and_size_are_those_of_the_file(network: Network) -> None:
    assert network.categories == {0: "cat", 1: "dog", 2: "cow"}
    assert network.sizing.longest == 160
    assert network.sizing.centred


def test_the_outputs_equal_the_original(network: Network) -> None:
    canvas, placement = Detector(network, THRESHOLD).canvas(PICTURE)
    with torch.inference_mode():
        raw, _ = network.forward(canvas, [placement])
        expected = made(Yolo8)(canvas)
    assert torch.allclose(raw["output0"], expected, atol=1e-4)


def test_the_map_equals_a_singular_value_decomposition(network: Network) -> None:
    canvas, placement = Detector(network, THRESHOLD).canvas(noise(160, 160))
    with torch.inference_mode():
        _, levels = network.forward(canvas, [placement])
        own = {name: level.clone() for name, level in levels.items()}
        (found,) = EigenCam(network.levels)(levels, [placement], [None])
        joined = joined_cells(network, own)
        _, values, directions = torch.linalg.svd(joined, full_matrices=False)
    assert float(abs(found.directions[0] @ directions[0])) == pytest.approx(1, abs=1e-4)
    share = float(values[0] ** 2 / (values**2).sum())
    assert float(found.shares[0]) == pytest.approx(share, abs=1e-4)


def joined_cells(network: Network, levels: dict[str, Tensor]) -> Tensor:
    """The cells of all levels on the finest grid but one, [cells, channels]."""
    grids = network.levels.grids
    rows, columns = levels[network.levels.fine].shape[-2:]
    joined = join_levels(
        list(levels.values()),
        (rows, columns),
        centre=grids.centre,
        inside=(slice(0, rows), slice(0, columns)),
        ratios=grids.ratios(list(levels), network.levels.fine),
    )
    cells = joined.flatten(0, 2)
    return cells - cells.mean(dim=0)


@pytest.mark.parametrize("size", [(128, 160), (160, 96), (100, 180), (200, 200)])
def test_a_patch_that_moves_moves_the_map_as_far(network: Network, size: tuple[int, int]) -> None:
    height, width = size
    far = (width // 2, height // 2)
    engine = engine_around(Detector(network, 0.99), EigenCam(network.levels))
    places = [hot_spot(engine.explain([frame(bright(size, at))])[0]) for at in ((0, 0), far)]
    cell = 16 * max(size) / 160
    moved = np.subtract(places[1], places[0])
    assert moved == pytest.approx(np.array(far), abs=cell / 2)


def bright(size: tuple[int, int], at: tuple[int, int]) -> Picture:
    """A bright square of a third of the picture's sides, from (x, y) on."""
    picture = grey(*size, 20)
    x, y = at
    picture[y : y + size[0] // 3, x : x + size[1] // 3] = 250
    return picture


def hot_spot(result: object) -> tuple[float, float]:
    """The centre (x, y) of the map's hot part, in pixels of the picture."""
    heat = result.explanation.map  # type: ignore[attr-defined]
    height, width = result.frame.picture.shape[:2]  # type: ignore[attr-defined]
    weights = np.where(heat > heat.max() / 2, heat, 0)
    y = (np.arange(heat.shape[0]) + 0.5) @ weights.sum(axis=1) / weights.sum()
    x = (np.arange(heat.shape[1]) + 0.5) @ weights.sum(axis=0) / weights.sum()
    return x * width / heat.shape[1], y * height / heat.shape[0]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_takes_any_number_of_pictures(batch: int, tmp_path: Path) -> None:
    path = write(made(Yolo8), tmp_path / "a.onnx", batch=batch)
    network = load(path)
    assert network.sizing.canvas == (128, 160)
    inputs = Detector(network, THRESHOLD).preprocess(
        [torch.from_numpy(noise(120, 180, seed)).permute(2, 0, 1) for seed in range(3)]
    )
    with torch.inference_mode():
        raw, levels = network.forward(inputs.canvas, inputs.placements)
        expected = made(Yolo8)(inputs.canvas)
    assert all(level.shape[0] == 3 for level in levels.values())
    assert raw["output0"].shape == expected.shape
    assert torch.allclose(raw["output0"], expected, atol=1e-4)
    with pytest.raises(UsageError, match="160x128 pixels, no other size"):
        load(path, imgsz=320)


def test_another_size_can_be_chosen(file: Path) -> None:
    canvas, _ = Detector(load(file, imgsz=96), THRESHOLD).canvas(PICTURE)
    assert canvas.shape == (1, 3, 64, 96)


def test_half_precision_is_fed_and_told(tmp_path: Path) -> None:
    outputs = ("logits", "pred_boxes")
    path = write(made(Query).half(), tmp_path / "a.onnx", dtype=torch.float16, outputs=outputs)
    model = onnx.load(path)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    network = load(path)
    assert network.dtype == torch.float16
    forward = Detector(network, THRESHOLD)([PICTURE])
    assert all(level.dtype == torch.float32 for level in forward.levels.values())
    assert len(forward.detections[0].scores) > 0


def test_a_graph_that_takes_bytes_gets_grey_levels(tmp_path: Path) -> None:
    network = load(write(Bytes(), tmp_path / "a.onnx", dtype=torch.uint8))
    canvas, placement = Detector(network, THRESHOLD).canvas(noise(128, 160))
    with torch.inference_mode():
        raw, _ = network.forward(canvas, [placement])
        expected = made(Yolo8)(canvas / 255)
    assert float(canvas.max()) > 200
    assert torch.allclose(raw["output0"], expected, atol=1e-4)


@pytest.mark.parametrize("method", ["ablationcam", "scorecam"])
def test_perturbation_methods_explain_boxes(file: Path, method: str) -> None:
    with build(name=str(file), method=method, confidence=0.5, why_top=1) as engine:
        (result,) = engine.explain([frame(PICTURE)])
    assert result.explanation.method == method
    assert result.detections[0].why is not None
    assert float(result.detections[0].why.map.max()) == pytest.approx(1, abs=0.2)


def test_gradient_methods_are_refused_with_those_that_there_are(file: Path) -> None:
    with pytest.raises(
        UsageError, match="has no method 'gradcam': it gives no gradients"
    ) as caught:
        build(name=str(file), method="gradcam")
    assert "ablationcam" in str(caught.value.hint)


def test_a_precision_of_another_kind_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="computes in fp32 only, not in bf16"):
        build(name=str(file), precision="bf16")
