"""What every detector family keeps, and what all have in common."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import torch

from streamcam.errors import UsageError
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models import preprocess
from streamcam.vision.models.detector import Detector, suppress
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import Candidates, Network, Sizing
from streamcam.vision.models.preprocess import Preprocessor
from streamcam.vision.models.registry import find_family
from tests.vision.models.conformance import THRESHOLD, NetworkConformance
from tests.vision.scenes import (
    MOBILENET,
    SSDLITE,
    TokenNetwork,
    engine_around,
    frame,
    grey,
    module,
    network_around,
    noise,
    with_patch,
)

SMALL = {"min_size": 128, "max_size": 192}


NETWORKS: dict[str, Callable[[], Network]] = {
    "nano": lambda: network_around("nano", module("nano", **SMALL)),
    MOBILENET: lambda: network_around(MOBILENET, module(MOBILENET, **SMALL)),
    SSDLITE: lambda: network_around(SSDLITE, module(SSDLITE)),
    "fcos_resnet50_fpn": lambda: network_around(
        "fcos_resnet50_fpn", module("fcos_resnet50_fpn", **SMALL)
    ),
    "retinanet_resnet50_fpn": lambda: network_around(
        "retinanet_resnet50_fpn", module("retinanet_resnet50_fpn", **SMALL)
    ),
    "tokens": TokenNetwork,
}


@pytest.mark.parametrize("name", ["nano", MOBILENET, SSDLITE])
def test_the_size_of_the_input_can_be_chosen(name: str) -> None:
    options = LoadOptions(weights="random", imgsz=192)
    network = find_family(name).load(name, options).network
    canvas, placement = Detector(network, THRESHOLD).canvas(noise(90, 120))
    assert max(placement.resized) == 192
    assert canvas.shape[3] == 192
    assert Detector(network, THRESHOLD)([noise(90, 120)]).levels[network.levels.fine].numel() > 0


def test_a_sizing_for_another_length() -> None:
    assert Sizing(shortest=800, longest=1333).at(320).resized((600, 800)) == (240, 320)
    assert Sizing(stretch=(640, 640), multiple=14).at(320).stretch == (322, 322)
    with pytest.raises(UsageError, match="640x480 pixels, no other"):
        Sizing(canvas=(480, 640)).at(320)


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    made = NETWORKS[request.param]()
    yield made
    made.close()


class TestConformance(NetworkConformance):
    """Every network of streamcam's own."""


def test_suppression_keeps_the_best_of_each_class() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [1, 0, 10, 10], [50, 50, 60, 60]])
    one = Candidates(boxes, torch.tensor([0.5, 0.9, 0.7, 0.2]), torch.tensor([1, 1, 2, 1]))
    empty = Candidates(boxes[:0], one.scores[:0], one.class_ids[:0])
    kept, none = suppress([one, empty], 0.5)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7, 0.2])
    assert kept.class_ids.tolist() == [1, 2, 1]
    assert len(none.scores) == 0
    (few, _) = suppress([one, empty], 0.5, limit=1)
    assert few.scores.tolist() == pytest.approx([0.9])


def test_channels_are_swapped_and_padding_is_grey_where_a_network_asks_for_it() -> None:
    network = TokenNetwork()
    network.sizing = Sizing(shortest=20, longest=40, multiple=32, bgr=True, pad=114)
    picture = grey(20, 30)
    picture[..., 0] = 200
    inputs = Detector(network, 0.5).preprocess([torch.from_numpy(picture).permute(2, 0, 1)])
    assert inputs.canvas.shape == (1, 3, 32, 32)
    assert inputs.placements == [Letterbox((20, 30), (20, 30), (32, 32))]
    assert torch.allclose(inputs.canvas[0, 2, :20, :30] * 255, torch.tensor(200.0))
    assert torch.allclose(inputs.canvas[0, 0, :20, :30] * 255, torch.tensor(128.0))
    assert torch.allclose(inputs.canvas[0, :, 20:] * 255, torch.tensor(114.0))
    assert torch.allclose(inputs.canvas[0, :, :, 30:] * 255, torch.tensor(114.0))


@pytest.mark.parametrize(("nearest", "rows"), [(False, 320), (True, 321)])
def test_sides_are_rounded_as_a_network_asks_and_none_vanishes(nearest: bool, rows: int) -> None:
    """640 / 1920 * 962 is 320.67."""
    preprocessor = Preprocessor(
        Sizing(shortest=640, longest=640, nearest=nearest), torch.device("cpu")
    )
    images = [torch.zeros((3, height, 1920), dtype=torch.uint8) for height in (962, 1)]
    placements = preprocessor(images).placements
    assert [placement.resized for placement in placements] == [(rows, 640), (1, 640)]


def test_resized_pixels_are_rounded_where_a_network_asks_for_it() -> None:
    picture = noise(240, 320)
    for bgr in (False, True):
        sizing = Sizing(shortest=64, longest=64, std=(1, 1, 1), rounded=True, bgr=bgr)
        image = torch.from_numpy(picture).permute(2, 0, 1)
        canvas = Preprocessor(sizing, torch.device("cpu"))([image]).canvas[0, :, :48]
        wanted = cv2.resize(picture, (64, 48))
        found = canvas.permute(1, 2, 0).numpy()
        assert np.array_equal(found[..., ::-1] if bgr else found, wanted)


def test_boxes_are_cut_off_at_the_edges_of_the_picture() -> None:
    """The first row of cells begins 24 pixels above the picture and ends 4 below its edge."""
    network = TokenNetwork()
    network.sizing = Sizing(shortest=112, longest=112, multiple=160, centred=True)
    (found,) = Detector(network, 0.05)([grey(112, 56)]).detections
    assert found.boxes[:, 1::2].unique().tolist() == [0, 4, 32, 60, 88, 112]
    assert found.boxes[:, ::2].amin() == 0
    assert found.boxes[:, ::2].amax() == 56


def test_a_large_picture_is_resized_as_bytes_to_the_same_canvas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = TokenNetwork()
    image = torch.from_numpy(noise(300, 500)).permute(2, 0, 1)
    exact = Detector(network, 0.5).preprocess([image]).canvas
    monkeypatch.setattr(preprocess, "_MAX_FLOATS", 1000)
    rounded = Detector(network, 0.5).preprocess([image]).canvas
    assert 0 < float((rounded - exact).abs().max() * 255) < 1


def test_a_canvas_of_a_fixed_size_is_padded_on_every_side() -> None:
    network = TokenNetwork()
    network.sizing = Sizing(shortest=96, longest=96, canvas=(112, 140), centred=True, pad=114)
    inputs = Detector(network, 0.5).preprocess([torch.full((3, 60, 120), 200, dtype=torch.uint8)])
    assert inputs.placements == [Letterbox((60, 120), (48, 96), (112, 140), (32, 22))]
    grey_levels = (inputs.canvas[0] * 255).round()
    assert int((grey_levels == 200).all(dim=0).sum()) == 48 * 96
    assert int((grey_levels == 114).all(dim=0).sum()) == 112 * 140 - 48 * 96
    assert network.sizing.trial_canvas == (112, 140)


@pytest.mark.parametrize("bgr", [False, True])
def test_every_pixel_counts_where_a_network_wants_antialiasing(bgr: bool) -> None:
    """Stripes of one pixel become grey; the nearest four of thousands of pixels would miss them."""
    network = TokenNetwork()
    network.sizing = Sizing(stretch=(20, 30), multiple=1, antialias=True, bgr=bgr)
    striped = grey(200, 330, 0)
    striped[:, ::2] = (250, 150, 50)
    inputs = Detector(network, 0.5).preprocess([torch.from_numpy(striped).permute(2, 0, 1)])
    mean = inputs.canvas.mean(dim=(0, 2, 3)) * 255
    assert mean.tolist() == pytest.approx([25, 75, 125] if bgr else [125, 75, 25], abs=1)
    assert float(inputs.canvas.std(dim=(2, 3)).max()) < 0.03


def test_a_picture_in_the_middle_of_the_canvas_keeps_its_boxes_and_its_map() -> None:
    """The same picture in the corner and in the middle, moved by whole cells."""
    results = []
    for centred in (False, True):
        network = TokenNetwork()
        network.sizing = Sizing(shortest=112, longest=112, multiple=168, centred=centred)
        picture = with_patch(grey(112, 56), 14, 28, 28)
        inputs = Detector(network, 0.4).preprocess([torch.from_numpy(picture).permute(2, 0, 1)])
        assert inputs.placements[0].offset == ((28, 56) if centred else (0, 0))
        results.append(
            engine_around(Detector(network, 0.4), EigenCam(network.levels)).explain(
                [frame(picture)]
            )[0]
        )
    corner, middle = results
    inside = [d for d in middle.detections if d.box[2] > 0 and d.box[3] > 0]
    assert {d.box for d in corner.detections} <= {d.box for d in inside}
    assert corner.explanation.map.shape == middle.explanation.map.shape == (4, 4)
    assert middle.explanation.map == pytest.approx(corner.explanation.map, abs=1e-3)
