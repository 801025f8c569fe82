"""Every detector works by its name."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models import detection

from streamcam.errors import ExitCode, UsageError
from streamcam.types import Explanation
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.names import NANO
from streamcam.vision.models.registry import find_family, model_names
from tests.vision.scenes import (
    detector,
    engine_around,
    family_of,
    frame,
    grey,
    levels_of,
    module,
    noise,
    with_patch,
)

ALL = torchvision.models.list_models(module=detection)

SMALL = {"min_size": 128, "max_size": 192}
FIXED = {"ssd300_vgg16", "ssdlite320_mobilenet_v3_large"}

# Where it is not one cell for 16 pixels of the network's input.
GRIDS = {
    "ssd300_vgg16": (38, 38),
    "ssdlite320_mobilenet_v3_large": (20, 20),
    "fasterrcnn_mobilenet_v3_large_fpn": (4, 6),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (4, 6),
}


def test_all_of_torchvision_and_the_built_in_one_are_known() -> None:
    assert NANO == "nano"
    assert model_names() == ["nano", *sorted(ALL)]
    assert len(ALL) >= 12


@pytest.mark.parametrize("name", ["nano", *ALL])
def test_every_detector_explains_on_both_grids(name: str) -> None:
    pictures = [with_patch(grey(120, 180), 60, 30, 60), noise(90, 60)]
    activations = levels_of(name)
    with detector(name, **({} if name in FIXED else SMALL)) as watched:
        for grid in ("fine", "pool"):
            small = engine_around(watched, EigenCam(activations, grid))
            results = small.explain([frame(p, source=str(i)) for i, p in enumerate(pictures)])
            for result in results:
                check_map(result.explanation)
            if grid == "fine":
                assert results[0].explanation.map.shape == GRIDS.get(name, (8, 12))


def check_map(explanation: Explanation) -> None:
    heat = explanation.map
    assert heat.ndim == 2
    assert heat.dtype == np.float32
    assert np.isfinite(heat).all()
    assert 0 <= heat.min() <= heat.max() <= 1
    assert 0 < explanation.explained_variance <= 1


@pytest.mark.parametrize("name", ALL)
def test_building_downloads_nothing(name: str) -> None:
    """The registry's host cannot be reached from a test; a download would fail."""
    with torch.device("meta"):
        assert any(True for _ in module(name).parameters())


def categories(name: str) -> Mapping[int, str]:
    return family_of(name).load_module(name, LoadOptions(weights="random")).categories


def test_categories_are_the_published_ones() -> None:
    assert categories("fasterrcnn_resnet50_fpn")[17] == "cat"
    assert categories("nano")[17] == "cat"
    assert categories("keypointrcnn_resnet50_fpn")[1] == "person"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        find_family("fasterrcnn_resnet_50_fpn")
    assert caught.value.exit_code == ExitCode.USAGE
    assert "fasterrcnn_resnet_50_fpn" in caught.value.message
    assert caught.value.hint is not None
    assert "fasterrcnn_resnet50_fpn" in caught.value.hint
