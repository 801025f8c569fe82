"""The feature maps that are found are those between the neck and the head."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.onnx.inspection import inspect_file
from streamcam.vision.models.onnx.level_search import stride_of
from streamcam.vision.models.registry import find_family
from tests.vision.models.onnx.tiny_detectors import ANY_SIZE, Patches, Query, Yolo8, made, write

QUERY_OUTPUTS = ("logits", "pred_boxes")
SIZE = (128, 160)


@pytest.mark.parametrize("dynamic", [None, ANY_SIZE], ids=["fixed", "any"])
@pytest.mark.parametrize(("kind", "outputs"), [(Yolo8, ("output0",)), (Query, QUERY_OUTPUTS)])
def test_the_necks_outputs_are_found(
    kind: type[nn.Module],
    outputs: tuple[str, ...],
    dynamic: dict[int, str] | None,
    tmp_path: Path,
) -> None:
    module = made(kind)
    path = write(module, tmp_path / "a.onnx", size=SIZE, outputs=outputs, dynamic=dynamic)
    network = find_family(str(path)).load(str(path), LoadOptions()).network
    assert [stride for stride, _ in network.levels.strides.values()] == [8, 16, 32]
    # By the kernels, a cell looks at the first pixels of its stride.
    assert network.levels.centre == pytest.approx(0.5 / 8)
    pixels = torch.rand(1, 3, *SIZE)
    with torch.inference_mode():
        _, levels = network.forward(pixels, [Letterbox(SIZE, SIZE, SIZE)])
        for found, own in zip(levels.values(), module.neck(pixels), strict=True):
            assert torch.allclose(found, own, atol=1e-5)


def test_a_grid_of_tokens_is_found_with_its_stride(tmp_path: Path) -> None:
    module = made(Patches)
    path = write(module, tmp_path / "a.onnx", size=(140, 168), outputs=QUERY_OUTPUTS)
    found = inspect_file(path)
    (level,) = found.levels
    assert (level.shape, level.stride) == ((1, 8, 10, 12), 14)
    facts = json.loads(json.dumps(found.facts()))
    assert facts["inputs"] == ["images float32 [1, 3, 140, 168]"]
    assert facts["layout"] == "rtdetr"
    assert facts["layers"] == [{"name": level.name, "shape": [1, 8, 10, 12], "stride": 14}]
    assert facts["preparation"]["stretch"] == [140, 168]


def test_layers_can_be_named(tmp_path: Path) -> None:
    path = write(made(Yolo8), tmp_path / "a.onnx", size=SIZE)
    found = inspect_file(path)
    earlier = found.others[found.levels[1].name][0]
    named = inspect_file(path, layer=[earlier.name])
    assert [(one.name, one.stride) for one in named.levels] == [(earlier.name, 16)]
    node = found.levels[0].name.removesuffix("_output_0")
    assert inspect_file(path, layer=[node]).levels[0].name == found.levels[0].name
    with pytest.raises(UsageError, match="the graph has no layer 'neck'"):
        inspect_file(path, layer=["neck"])
    with pytest.raises(UsageError, match="'output0' is no feature map: it is"):
        inspect_file(path, layer=["output0"])


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        ((1, 64, 20, 30), 16),
        ((1, 64, 23, 35), 14),
        ((1, 64, 10, 15), 32),
        ((1, 64, 9, 15), None),
        ((1, 64, 320, 480), None),
        ((1, 64, 600), None),
    ],
)
def test_strides_are_whole_numbers(shape: tuple[int, ...], stride: int | None) -> None:
    canvas = (322, 490) if stride == 14 else (320, 480)
    assert stride_of(shape, canvas) == stride


def test_the_last_cell_may_be_rounded_up() -> None:
    assert stride_of((1, 8, 38, 38), (300, 300)) == 8
