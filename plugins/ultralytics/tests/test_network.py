"""YOLO networks: boxes as Ultralytics predicts them, features, maps and gradients."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from random_models import SIDE, averaging_model, load, random_model, saved, street
from streamcam_ultralytics.library import read_model
from streamcam_ultralytics.network import UltralyticsNetwork
from torch import Tensor, nn
from torchvision.ops import box_iou

from streamcam.audit.gradcam_comparison import projection_as_published
from streamcam.overlaps import best_pairs
from streamcam.types import Picture
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.engine import Engine
from streamcam.vision.methods.targets import BoxTarget
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.detector_module import join_as_published
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from tests.vision.cam.test_alignment import cell, centre_of_heat, patches
from tests.vision.models.conformance import NetworkConformance
from tests.vision.scenes import engine_around, frame, grey

MODELS = {
    "yolov8n": "yolo",
    "yolov10n": "end2end",
    "yolo11n": "yolo",
    "yolo26n": "end2end",
}

PICTURES = [street(90, 160), street(333, 97), street(251, 240), street(539, 958)]
"""Of the network's size, tall, nearly square, and shrunk by no whole number."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def checkpoint(model: str, folder: Path) -> Path:
    return saved(random_model(f"{model}.yaml"), folder / f"{model}.pt")


@pytest.fixture(scope="module")
def network(model: str, checkpoint: Path) -> Iterator[UltralyticsNetwork]:
    made = load(checkpoint, MODELS[model])
    yield made
    made.close()


class TestYoloConformance(NetworkConformance):
    """What every network keeps, with suppression and without."""


def test_boxes_are_those_that_ultralytics_predicts(
    model: str, checkpoint: Path, network: UltralyticsNetwork
) -> None:
    check_boxes(checkpoint, Detector(network, network.confidence), nms=MODELS[model] == "yolo")


def test_a_model_with_both_heads_predicts_as_ultralytics_does_by_default(folder: Path) -> None:
    checkpoint = saved(random_model("yolo26n.yaml"), folder / "both.pt")
    network = load(checkpoint)
    assert network.suppress == 0.7
    check_boxes(checkpoint, Detector(network, network.confidence), nms=True)


def check_boxes(checkpoint: Path, detector: Detector, *, nms: bool) -> None:
    from ultralytics import YOLO

    yolo = YOLO(checkpoint)
    for picture in PICTURES:
        (found,) = detector([picture]).detections
        (wanted,) = yolo.predict(
            picture[..., ::-1], verbose=False, max_det=len(found.scores), nms=None if nms else False
        )
        assert len(wanted.boxes) == len(found.scores) > 10
        classes = wanted.boxes.cls.int()
        assert sorted(found.class_ids.tolist()) == sorted(classes.tolist())
        assert torch.allclose(found.scores, wanted.boxes.conf, atol=1e-5)
        # Boxes that end beyond the picture may have no area left.
        area = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(dim=1) > 1
        assert float(area.float().mean()) > 0.5
        # Each has one of its own class in its place, of the same score: scores that differ by
        # rounding only have no order.
        overlaps = box_iou(found.boxes, wanted.boxes.xyxy)
        overlaps = overlaps * (found.class_ids[:, None] == classes[None])
        overlaps = overlaps * torch.isclose(
            found.scores[:, None], wanted.boxes.conf[None], rtol=0, atol=1e-5
        )
        pairs = best_pairs(overlaps[area].numpy(), least=0.99)
        assert len(pairs) == int(area.sum())


def features_and_logits(
    checkpoint: Path, canvas: Tensor, layout: str
) -> tuple[list[Tensor], Tensor]:
    """What the original model gives to its head, and the classes' logits [classes, cells]."""
    model = read_model(checkpoint).requires_grad_(requires_grad=False)
    features: list[Tensor] = []

    def as_leaves(_head: nn.Module, inputs: tuple[list[Tensor]]) -> tuple[list[Tensor]]:
        features.extend(one.detach().requires_grad_() for one in inputs[0])
        return (list(features),)

    model.model[-1].register_forward_pre_hook(as_leaves)
    _, raw = model(canvas)
    raw = raw.get("one2one" if layout == "end2end" else "one2many", raw)
    logits: Tensor = raw["scores"][0]
    return features, logits


def test_levels_are_what_the_head_is_given(
    model: str, checkpoint: Path, network: UltralyticsNetwork
) -> None:
    canvas, placement = Detector(network, 0.25).canvas(PICTURES[3])
    with torch.inference_mode():
        _, levels = network.forward(canvas, [placement])
    features, _ = features_and_logits(checkpoint, canvas, MODELS[model])
    assert list(levels) == ["p3", "p4", "p5"]
    assert network.levels.strides == {"p3": (8, 8), "p4": (16, 16), "p5": (32, 32)}
    for level, feature in zip(levels.values(), features, strict=True):
        scale = feature.abs().max().item()
        assert torch.allclose(level, feature, atol=1e-4 * scale)


def test_gradients_are_those_of_the_original_model(
    model: str, checkpoint: Path, network: UltralyticsNetwork
) -> None:
    """Of the best box's class logit, by the levels; autograd runs through the whole model."""
    detector = Detector(network, network.confidence)
    canvas, placement = detector.canvas(PICTURES[0])
    with torch.inference_mode():
        _, levels = network.forward(canvas, [placement])
    leaves = {name: torch.from_numpy(one.numpy().copy()) for name, one in levels.items()}
    for leaf in leaves.values():
        leaf.requires_grad_()
    (found,) = detector.detect_from_levels(leaves, [placement], network.confidence)
    class_id = int(found.class_ids[0])
    x1, y1, x2, y2 = found.boxes[0].tolist()
    logit = BoxTarget((x1, y1, x2, y2), class_id).logit(found)
    gradients = torch.autograd.grad(logit, list(leaves.values()))
    features, logits = features_and_logits(checkpoint, canvas, MODELS[model])
    best = logits[class_id].max()
    assert best.item() == pytest.approx(logit.item(), abs=1e-4)
    wanted = torch.autograd.grad(best, features)
    assert any(float(gradient.abs().max()) > 0 for gradient in wanted)
    for gradient, own in zip(gradients, wanted, strict=True):
        scale = float(own.abs().max()) or 1.0
        assert torch.allclose(gradient, own, atol=1e-3 * scale)


def test_the_projection_is_that_of_a_plain_svd(
    model: str, checkpoint: Path, network: UltralyticsNetwork
) -> None:
    detector = Detector(network, network.confidence)
    canvas, _ = detector.canvas(PICTURES[3])
    features, _ = features_and_logits(checkpoint, canvas, MODELS[model])
    named = dict(zip(network.levels.strides, features, strict=True))
    joined = join_as_published(named, network.levels.pool)[0].detach()
    cells = joined.flatten(1).T.double().numpy()
    cells = cells - cells.mean(axis=0)
    _, _, directions = np.linalg.svd(cells, full_matrices=False)
    wanted = (cells @ directions[0]).reshape(joined.shape[1:])
    found, placement = projection_as_published(detector, network.levels, PICTURES[3])
    found = found * np.sign((found * wanted).sum())
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert placement.resized == (90, 160)


@pytest.fixture(scope="module")
def averaging(model: str, folder: Path) -> Iterator[Engine]:
    path = saved(averaging_model(f"{model}.yaml"), folder / f"{model}-averaging.pt")
    network = load(path, MODELS[model])
    with engine_around(Detector(network, 0.25), EigenCam(network.levels)) as engine:
        yield engine


@pytest.mark.parametrize(
    ("height", "width"), [(360, 640), (640, 360), (1080, 1080), (300, 900)], ids=str
)
def test_the_map_moves_with_a_bright_patch(averaging: Engine, height: int, width: int) -> None:
    """By as many pixels, to half a cell, on letterboxed pictures of four shapes."""
    places = patches(width, height)
    pictures = [with_bright_patch(grey(height, width), *place) for place in places]
    results = averaging.explain([frame(p, source=f"{i}") for i, p in enumerate(pictures)])
    centres = [centre_of_heat(result) for result in results]
    for place, centre, result in zip(places, centres, results, strict=True):
        moved, wanted = centre - centres[0], np.subtract(place[:2], places[0][:2])
        assert (np.abs(moved - wanted) <= cell(result) / 2).all()
        assert max(result.explanation.map.shape) == SIDE // 16


def with_bright_patch(picture: Picture, x: int, y: int, side: int) -> Picture:
    picture[y : y + side, x : x + side] = 255
    return picture


def test_half_precision_finds_the_best_boxes(checkpoint: Path, network: UltralyticsNetwork) -> None:
    from streamcam_ultralytics.family import UltralyticsFamily

    from streamcam.vision.models.family import LoadOptions

    half = UltralyticsFamily().load(
        str(checkpoint), LoadOptions(dtype=torch.bfloat16, trust=True, layout="auto")
    )
    (found,) = Detector(half.network, 0.25)([PICTURES[0]]).detections
    (wanted,) = Detector(load(checkpoint), 0.25)([PICTURES[0]]).detections
    assert found.boxes.dtype == found.scores.dtype == torch.float32
    overlaps = box_iou(wanted.boxes[:10], found.boxes)
    assert float(overlaps.max(dim=1).values.median()) > 0.9
    del network


def test_openvino_computes_the_same(folder: Path) -> None:
    network = load(saved(random_model("yolo11n.yaml"), folder / "openvino.pt"), "yolo")
    intel = OpenVinoNetwork(network, converted(network))
    canvas, placement = Detector(network, 0.001).canvas(street(90, 160))
    with torch.inference_mode():
        raw, levels = intel.forward(canvas, [placement])
        expected_raw, expected = network.forward(canvas, [placement])
    assert list(raw) == list(expected_raw)
    for name, value in expected_raw.items():
        assert torch.allclose(raw[name], value, atol=1e-3), name
    for name, value in expected.items():
        assert torch.allclose(levels[name], value, atol=1e-3), name
