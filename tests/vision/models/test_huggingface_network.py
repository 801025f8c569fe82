"""transformers' detectors give here what they give by themselves."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor, nn

from streamcam.audit.gradcam_comparison import projection_as_published
from streamcam.types import Picture
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.engine import Engine
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.detector_module import join_as_published
from streamcam.vision.models.huggingface_network import QueryNetwork
from streamcam.vision.models.network import Candidates, Levels, Network, Raw
from streamcam.vision.models.preprocess import Preprocessor
from tests.vision.cam.test_alignment import cell, centre_of_heat
from tests.vision.models.tiny_detectors import (
    CUT_TYPES,
    TYPES,
    plain_model,
    processor,
    tiny_network,
    without_attention,
)
from tests.vision.scenes import engine_around, frame, grey, noise, with_patch

PICTURES = [noise(120, 180), with_patch(grey(200, 130), 30, 60, 80)]

SHAPES = [(360, 240), (240, 360), (1000, 380), (190, 190)]
"""Width and height."""


def inputs_of(name: str, *pictures: Picture) -> Any:
    return processor(name)(images=list(pictures), return_tensors="pt")


@pytest.mark.parametrize("name", TYPES)
def test_the_canvas_is_the_processors(name: str) -> None:
    detector = Detector(tiny_network(name), 0.5)
    for width, height in SHAPES:
        picture = noise(height, width)
        wanted = inputs_of(name, picture)["pixel_values"]
        canvas, placement = detector.canvas(picture)
        assert placement.resized == tuple(wanted.shape[2:])
        inside = canvas[..., : wanted.shape[2], : wanted.shape[3]]
        assert torch.allclose(inside, wanted, atol=1e-3)


@pytest.mark.parametrize("name", TYPES)
def test_detections_equal_the_models_own(name: str) -> None:
    """Of a batch of different sizes, which all but those that stretch pad."""
    detector = Detector(tiny_network(name), 0.0)
    with torch.inference_mode():
        outputs = plain_model(name)(**inputs_of(name, *PICTURES))
    sizes = [picture.shape[:2] for picture in PICTURES]
    options = {"top_k": 20} if "top_k" in _postprocessing(name) else {}
    expected = processor(name).post_process_object_detection(
        outputs, threshold=0.0, target_sizes=sizes, **options
    )
    found = detector(PICTURES).detections
    for own, wanted, (height, width) in zip(found, expected, sizes, strict=True):
        order = wanted["scores"].argsort(descending=True, stable=True)
        limits = torch.tensor([width, height] * 2)
        boxes = wanted["boxes"][order].clamp(min=0).minimum(limits)
        assert len(own.scores) == len(order) == 20
        assert torch.allclose(own.scores, wanted["scores"][order], atol=2e-4)
        assert own.class_ids.tolist() == wanted["labels"][order].tolist()
        assert torch.allclose(own.boxes, boxes, atol=0.05)


def _postprocessing(name: str) -> tuple[str, ...]:
    return processor(name).post_process_object_detection.__code__.co_varnames


def own_levels(name: str, model: Any, inputs: Any) -> tuple[Any, list[Tensor]]:
    """The outputs of a plain model, and its feature maps on their way, leaves of the graph."""
    paths = {
        "detr": ["model.input_projection"],
        "conditional_detr": ["model.input_projection"],
        "deformable_detr": [f"model.input_proj.{index}" for index in range(4)],
        "rf_detr": ["model.backbone.projector"],
        "lw_detr": ["model.backbone.projector"],
    }.get(name, ["model.encoder"])
    recorded: list[Tensor] = []

    def leaf(level: Tensor) -> Tensor:
        recorded.append(level.detach().requires_grad_())
        return recorded[-1]

    def record(_module: object, _inputs: object, output: Any) -> Any:
        if isinstance(output, Tensor):
            return leaf(output)
        if isinstance(output, list):
            return [leaf(level) for level in output]
        maps = "feature_maps" if hasattr(output, "feature_maps") else "last_hidden_state"
        setattr(output, maps, [leaf(level) for level in getattr(output, maps)])
        return output

    for path in paths:
        model.get_submodule(path).register_forward_hook(record)
    return model(**inputs), recorded


def batch_norm(part: nn.BatchNorm2d, pixels: Tensor) -> Tensor:
    """A batch norm by its formula.

    On a CPU torch 2.14 takes a gradient that lies transposed in memory for one that does not.
    """
    mean, variance = (
        one[:, None, None] for one in (part.running_mean, part.running_var) if one is not None
    )
    normal = (pixels - mean) / (variance + part.eps).sqrt()
    return normal * part.weight[:, None, None] + part.bias[:, None, None]


@pytest.mark.parametrize("name", CUT_TYPES)
def test_gradients_equal_autograds_on_the_original_model(name: str) -> None:
    picture = PICTURES[0]
    model = plain_model(name)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.forward = partial(batch_norm, part)
    outputs, maps = own_levels(name, model, inputs_of(name, picture))
    logits = outputs.logits
    if logits.shape[-1] == 4:
        probabilities = logits[0].softmax(-1)[:, :-1]
        target = torch.logit(probabilities.max())
    else:
        target = logits[0].max()
    expected = torch.autograd.grad(target, maps)

    detector = Detector(tiny_network(name), 0.0)
    forward = detector([picture])
    with torch.inference_mode(mode=False):
        leaves = {key: one.clone().requires_grad_() for key, one in forward.levels.items()}
        (found,) = detector.detect_from_levels(leaves, forward.placements, 0.0)
        logit = torch.logit(found.scores[0])
        # As the levels below: folded batch norms round differently, on some processors by 4e-5.
        assert float(logit.detach()) == pytest.approx(float(target.detach()), rel=1e-4)
        made = torch.autograd.grad(logit, list(leaves.values()))
    for (key, level), own, wanted, gradient in zip(
        forward.levels.items(), maps, expected, made, strict=True
    ):
        assert torch.allclose(level, own, atol=1e-4 * float(own.detach().abs().max())), key
        assert float(wanted.abs().max()) > 0
        assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", CUT_TYPES)
def test_eigencam_equals_the_svd_of_the_models_own_features(name: str) -> None:
    network = tiny_network(name)
    picture = PICTURES[1]
    with torch.no_grad():
        _, maps = own_levels(name, plain_model(name), inputs_of(name, picture))
    levels = {str(index): level.detach() for index, level in enumerate(maps)}
    expected = get_2d_projection(join_as_published(levels, network.levels.pool).numpy())[0]
    made, _ = projection_as_published(Detector(network, 0.5), network.levels, picture)
    error = min(np.linalg.norm(made - expected), np.linalg.norm(made + expected))
    assert error <= 1e-4 * np.linalg.norm(expected)


class ChangeOfGrey(Network):
    """A network whose feature maps are how far another one's are from those of grey pictures.

    Random weights do not look at a patch more than elsewhere, but only there do they see a change.
    """

    def __init__(self, network: QueryNetwork) -> None:
        super().__init__(sizing=network.sizing, levels=network.levels, categories={})
        self._network = network
        self._grey = Preprocessor(network.sizing, network.device).normalize(
            torch.full((3, 1, 1), 128.0)
        )

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        plain = canvas.clone()
        for own, placement in zip(plain, placements, strict=True):
            own[:, : placement.resized[0], : placement.resized[1]] = self._grey
        raw, levels = self._network.forward(canvas, placements)
        _, before = self._network.forward(plain, placements)
        return raw, {
            name: (level - before[name]).square().sum(dim=1, keepdim=True)
            for name, level in levels.items()
        }

    def decode(self, _: Raw, placements: Sequence[Letterbox], __: float) -> list[Candidates]:
        nothing = torch.zeros(0)
        return [Candidates(torch.zeros(0, 4), nothing, nothing.long()) for _ in placements]


@pytest.mark.parametrize("name", TYPES)
def test_the_map_moves_with_a_bright_patch(name: str) -> None:
    """In pictures of four shapes, by whole cells; strides of 14 pixels too."""
    unit = 28 if name == "rf_detr" else 32
    side = 16 * unit
    network = ChangeOfGrey(without_attention(tiny_network(name, imgsz=side)))
    with engine_around(Detector(network, 0.5), EigenCam(network.levels)) as engine:
        for width, height in ((2, 1), (1, 2), (1, 1), (4, 2)):
            check_moves_by_cells(engine, (width * side, height * side), unit)


def check_moves_by_cells(engine: Engine, size: tuple[int, int], unit: int) -> None:
    """The map moves as the patch does, and is nowhere else; `unit` is in pixels of the canvas."""
    width, height = size
    placement = engine.detector.canvas(grey(height, width))[1]
    step = np.array([width / placement.resized[1], height / placement.resized[0]]) * unit
    places = [np.array(place) * step for place in ((2, 2), (4, 2), (2, 4), (4, 4))]
    pictures = [bright_patch(size, place, 2 * step) for place in places]
    results = engine.explain([frame(p, source=str(i)) for i, p in enumerate(pictures)])
    centres = [centre_of_heat(result) for result in results]
    for place, centre, result in zip(places, centres, results, strict=True):
        moved, wanted = centre - centres[0], place - places[0]
        assert (np.abs(moved - wanted) <= cell(result) / 2).all()
        # Random weights put what they see beside a place as well as on it.
        assert (np.abs(centre - (place + step)) <= 1.5 * step).all()


def bright_patch(size: tuple[int, int], place: np.ndarray, side: np.ndarray) -> Picture:
    picture = grey(size[1], size[0])
    (left, top), (right, bottom) = place.astype(int), (place + side).astype(int)
    picture[top:bottom, left:right] = 255
    return picture
