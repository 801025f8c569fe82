"""Exported detectors detect and explain as the originals."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from streamcam.errors import UsageError
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.library import Library, export
from streamcam.vision.models.network import Candidates, Network
from streamcam.vision.models.onnx_family import inspect_onnx
from streamcam.vision.models.registry import find_family
from tests.vision.models.onnx.tiny_detectors import Yolo8, made, write
from tests.vision.scenes import (
    MOBILENET,
    SSDLITE,
    engine_around,
    frame,
    grey,
    module,
    noise,
    with_patch,
)

CAT = 17
PICTURES = [with_patch(noise(120, 180), 60, 30, 60), with_patch(grey(200, 150), 20, 90, 80)]

THRESHOLD = 0.06


def checkpoint(name: str, path: Path) -> Path:
    """Random weights whose activations neither vanish nor explode, and that see cats everywhere."""
    made_of = module(name)
    for part in made_of.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        features = made_of.train().backbone(torch.rand((4, 3, 320, 320), generator=draw))
        if name == SSDLITE:
            made_of.head(list(features.values()))
    state = made_of.state_dict()
    for key, bias in state.items():
        if key.endswith("cls_score.bias"):
            bias[CAT] += 4
        if "classification_head" in key and key.endswith(".1.bias"):
            bias[CAT::91] += 8
    torch.save(state, path)
    return path


@pytest.fixture(scope="module", params=["nano", SSDLITE, MOBILENET])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, Network]:
    """A network, and what was exported of it."""
    name, folder = request.param, tmp_path_factory.mktemp("export")
    weights = None if name == "nano" else checkpoint(name, folder / "weights.pth")
    path = export(
        name,
        folder / "out.onnx",
        Library(folder),
        weights=None if weights is None else str(weights),
    )
    return loaded(name, weights=weights), loaded(str(path))


def loaded(name: str, *, weights: Path | None = None) -> Network:
    return find_family(name).load(name, LoadOptions(weights=weights)).network


def test_the_boxes_are_the_same(pair: tuple[Network, Network]) -> None:
    original, exported = pair
    assert exported.categories == original.categories
    for picture in PICTURES:
        own, found = (
            Detector(network, THRESHOLD)([picture]).detections[0]
            for network in (original, exported)
        )
        # torchvision's one-stage detectors choose among each class's 300 best places.
        count = min(10, len(own.scores))
        assert len(found.scores) >= count > 0
        assert bool(there_too(found, own)[:count].all())


def there_too(found: Candidates, own: Candidates) -> Tensor:
    """Which detections are among others: of the same class, score and box."""
    same_class = found.class_ids[:, None] == own.class_ids
    same_score = (found.scores[:, None] - own.scores).abs() < 1e-3
    same_box = ((found.boxes[:, None] - own.boxes).abs() < 0.05).all(dim=2)
    return (same_class & same_score & same_box).any(dim=1)


def test_the_maps_are_the_same(pair: tuple[Network, Network]) -> None:
    original, exported = pair
    results = [
        engine_around(Detector(network, 0.99), EigenCam(network.levels, grid)).explain(
            [frame(PICTURES[0])]
        )[0]
        for network in (original, exported)
        for grid in ("fine", "pool")
    ]
    for own, found in zip(results[:2], results[2:], strict=True):
        assert own.explanation.map.shape == found.explanation.map.shape
        assert np.abs(own.explanation.map - found.explanation.map).max() < 0.01


def test_a_plain_reader_finds_the_same_feature_maps(tmp_path: Path) -> None:
    """Without the notes the layout and the levels are found by search."""
    path = export("nano", tmp_path / "nano.onnx", Library(tmp_path))
    noted = inspect_onnx(path)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.output] == ["output0"]
    onnx.helper.set_model_props(model, {})
    onnx.save(model, path)
    found = inspect_onnx(path)
    assert getattr(found.layout, "name", None) == "yolo"
    assert [level.stride for level in found.levels] == [8, 16, 32]
    # The head's first convolution, which boxes and scores share, comes after the noted ones.
    for level, own in zip(found.levels, noted.levels, strict=True):
        assert own.name in {one.name for one in found.others[level.name]}


def test_only_own_detectors_are_exported(tmp_path: Path) -> None:
    path = write(made(Yolo8), tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="cannot be exported"):
        export(str(path), tmp_path / "b.onnx", Library(tmp_path))
