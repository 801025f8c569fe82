"""Maps of boxes: the same numbers as pytorch_grad_cam's on the way, and where the box is."""

import gc

import numpy as np
import pytest
import torch
from pytorch_grad_cam import AblationCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.ablation_layer import AblationLayerFasterRCNN

from streamcam.cam_methods import METHODS
from streamcam.vision.cam.focus import measure_focus
from streamcam.vision.methods.attribution import MapMaker
from streamcam.vision.methods.gradients import _backwards, gradient_maps
from streamcam.vision.methods.perturbation import (
    channel_weights,
    without_channels,
)
from streamcam.vision.methods.targets import BoxTarget, Target, scores_of
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.nano import NANO_LEVELS
from streamcam.vision.models.nano_network import NanoBackbone
from streamcam.vision.models.network import Network
from tests.vision.methods.scenes import OnCanvas, forward_with_targets, nano, street
from tests.vision.scenes import (
    MOBILENET,
    SSDLITE,
    levels_of,
    module,
    network_around,
    noise,
    with_patch,
)
from tests.vision.scenes import detector as detector_of

GRIDS = NANO_LEVELS.grids
SIZE = (14, 24)
WITH_TARGETS = [name for name, method in METHODS.items() if method.formula]
POINTWISE = ("layercam", "hirescam", "eigengradcam", "segeigencam")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return nano()


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_gradients_of_the_shared_forward_equal_those_of_pytorch_grad_cam(
    detector: Detector, level: str
) -> None:
    saved, (targets,) = forward_with_targets(detector, street())
    groups = [[target] for target in targets[:3]]
    ours = [gradients[level][0] for gradients in _backwards(detector, saved, [groups])]
    canvas, placement = detector.canvas(street())
    model = OnCanvas(detector, placement, 0.1)
    with LayerCAM(model, [model.levels[level]]) as cam:
        cam.compute_input_gradient = True  # the network's own weights are frozen
        for target, gradient in zip(targets, ours, strict=False):
            cam(canvas.clone(), targets=[target.box.logit])
            (theirs,) = cam.activations_and_grads.gradients
            assert torch.allclose(gradient, theirs[0], rtol=1e-3, atol=1e-4 * theirs.abs().max())
            assert torch.allclose(
                saved.levels[level], cam.activations_and_grads.activations[0], atol=1e-4
            )


def test_gradients_of_a_batch_equal_those_of_single_pictures(detector: Detector) -> None:
    saved, found = forward_with_targets(detector, street(1.0), street(4.0))
    groups = [
        [[target] for target in own[:count]] for own, count in zip(found, (3, 2), strict=True)
    ]
    formula = METHODS["hirescam"].formula
    together = gradient_maps(detector, saved, groups, formula, GRIDS)
    for index, own in enumerate(groups):
        (alone,) = gradient_maps(detector, saved.select([index]), [own], formula, GRIDS)
        for level, maps in alone[1].items():
            assert len(maps) == len(own)
            assert torch.allclose(together[index][1][level], maps, atol=1e-5)


def test_score_weights_equal_pytorch_grad_cams(detector: Detector) -> None:
    saved, (targets,) = forward_with_targets(detector, street())
    channels = [("1", channel) for channel in range(NanoBackbone.out_channels)]
    ours = channel_weights(detector, saved, [targets[:1]], METHODS["scorecam"].formula, channels)
    canvas, placement = detector.canvas(street())
    model = OnCanvas(detector, placement, 0.01)
    backbone = detector.network.module.get_submodule("backbone")
    with ScoreCAM(model, [backbone], lambda levels: levels["1"].abs()) as cam, torch.no_grad():
        activations = saved.levels["1"].abs().numpy()
        theirs = cam.get_cam_weights(canvas.clone(), None, [targets[0].box], activations, None)
    assert ours[:, 0].numpy() == pytest.approx(theirs[0], abs=1e-5)


def test_scorecam_needs_only_forward_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with nano() as detector:
        saved, (targets,) = forward_with_targets(detector, street())
        expected = MapMaker(detector, "scorecam", GRIDS)(saved, [[targets[:1]]], [SIZE])
        monkeypatch.setattr(detector.network, "from_levels", Network.from_levels)
        made = MapMaker(detector, "scorecam", GRIDS)(saved, [[targets[:1]]], [SIZE])
    assert np.array_equal(made[0], expected[0])


def test_ablated_scores_equal_pytorch_grad_cams() -> None:
    """With its own constant, on the one pyramid that its layer for detectors knows."""
    name = "fasterrcnn_resnet50_fpn"
    small = module(name, min_size=64, max_size=96, rpn_post_nms_top_n_test=8)
    with Detector(network_around(name, small), 0.3) as detector:
        picture = with_patch(noise(64, 96), 20, 10, 40)
        saved, (targets,) = forward_with_targets(detector, picture)
        target = targets[0].box
        canvas, placement = detector.canvas(picture)
        model = OnCanvas(detector, placement, 0.01)
        cam = AblationCAM(
            model,
            [small.backbone],
            lambda _levels: torch.zeros(1, 1280, 1, 1),
            AblationLayerFasterRCNN(),
            batch_size=8,
        )
        chosen = [0, 7, 300, 511, 640, 900, 1024, 1279]
        cam.ablation_layer.activations_to_be_ablated = lambda *_: _remember(cam, chosen)
        theirs = cam.get_cam_weights(
            canvas.clone(), small.backbone, [target], np.zeros((1, 1280, 1, 1), np.float32), None
        )[0][chosen]
        cam.activations_and_grads.release()
        channels = [(list(saved.levels)[place // 256], place % 256) for place in chosen]
        levels = without_channels(saved.levels, channels, value=-1000)
        placements = [saved.placements[0]] * len(channels)
        (whole,) = scores_of(
            detector.detect_from_levels(saved.levels, saved.placements, 0.01), [target]
        )
        ablated = scores_of(detector.detect_from_levels(levels, placements, 0.01), [target])[:, 0]
    assert (whole[0] - ablated) / whole[0] == pytest.approx(theirs, abs=1e-4)
    assert np.ptp(theirs) > 0


def _remember(cam: AblationCAM, chosen: list[int]) -> np.ndarray:
    cam.ablation_layer.indices = np.int32(chosen)
    return cam.ablation_layer.indices


def test_the_score_falls_without_the_channels_of_the_largest_weights(detector: Detector) -> None:
    saved, (targets,) = forward_with_targets(detector, street())
    channels = [(level, channel) for level in ("0", "1", "2") for channel in range(64)]
    formula = METHODS["ablationcam"].formula
    weights = channel_weights(detector, saved, [targets[:1]], formula, channels)[:, 0]
    assert weights.max() <= 1
    assert weights.max() > 0.02
    assert abs(weights.median()) < 0.02


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_maps_of_boxes_are_whole_and_differ(detector: Detector, method: str) -> None:
    saved, (targets,) = forward_with_targets(detector, street())
    groups = [[target] for target in targets[:2]]
    (maps,) = MapMaker(detector, method, GRIDS)(saved, [groups], [SIZE])
    assert maps.shape == (2, *SIZE)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max(axis=(1, 2)).tolist() == pytest.approx([1, 1])
    if method in POINTWISE:
        for heat, target in zip(maps, targets, strict=False):
            (focus,) = measure_focus(heat, [target.box.box], width=384, height=216)
            assert focus.peak_inside
            assert focus.energy > 0.5
    if method != "scorecam":  # nearly the same for every box, which the documentation says
        assert np.abs(maps[0] - maps[1]).mean() > 0.01


def test_padding_does_not_shift_the_map() -> None:
    """The same picture on a wider canvas, beside a larger one, gives the same map."""
    with nano() as detector:
        saved, found = forward_with_targets(detector, street(), np.rot90(street()).copy())
        alone, (own,) = forward_with_targets(detector, street())
        assert saved.placements[0].canvas != alone.placements[0].canvas
        maker = MapMaker(detector, "layercam", GRIDS)
        likeness, shifts = [], []
        for target in own[:5]:
            padded = maker(saved, [[[target]], [found[1][:1]]], [SIZE, SIZE])[0][0]
            plain = maker(alone, [[[target]]], [SIZE])[0][0]
            likeness.append(np.corrcoef(padded.ravel(), plain.ravel())[0, 1])
            shifts.append(padded.argmax() != plain.argmax())
    # Of places with equal scores another one may win, which has a map of its own.
    assert np.median(likeness) > 0.97
    assert np.median(shifts) == 0


# Score-CAM is left out: its softmax of nothing weighs all channels alike.
@pytest.mark.parametrize("method", [name for name in WITH_TARGETS if name != "scorecam"])
def test_a_target_without_match_gets_an_empty_map(detector: Detector, method: str) -> None:
    saved, _ = forward_with_targets(detector, street())
    nowhere = Target(BoxTarget((1.0, 1.0, 4.0, 4.0), 44), 0.5)
    (maps,) = MapMaker(detector, method, GRIDS)(saved, [[[nowhere]]], [SIZE])
    assert maps.max() == 0


@pytest.mark.parametrize(
    ("name", "confidence"),
    [
        (MOBILENET, 0.0105),
        (SSDLITE, 0.0),
        ("retinanet_resnet50_fpn", 0.02),
        ("fcos_resnet50_fpn", 0.1),
    ],
)
def test_every_kind_of_head_has_maps_of_boxes(name: str, confidence: float) -> None:
    sizes = {} if name == SSDLITE else {"min_size": 96, "max_size": 160}
    with detector_of(name, confidence=confidence, **sizes) as detector:
        saved, (targets,) = forward_with_targets(detector, with_patch(noise(96, 160), 40, 20, 60))
        groups = [[target] for target in targets[:2]]
        maker = MapMaker(detector, "layercam", levels_of(name).grids)
        (maps,) = maker(saved, [groups], [SIZE])
    assert maps.max(axis=(1, 2)).tolist() == pytest.approx([1, 1])


def test_no_hooks_or_activations_are_left(detector: Detector) -> None:
    def explain() -> None:
        saved, (targets,) = forward_with_targets(detector, street())
        MapMaker(detector, "layercam", GRIDS)(saved, [[[target] for target in targets]], [SIZE])

    explain()
    counts = []
    for _ in range(3):
        explain()
        gc.collect()
        counts.append(sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects()))
    assert counts[0] == counts[-1]
    assert not detector.network.module.training
    assert all(parameter.grad is None for parameter in detector.network.module.parameters())


def test_the_network_is_unchanged(detector: Detector) -> None:
    before = {name: value.clone() for name, value in detector.network.module.state_dict().items()}
    saved, (targets,) = forward_with_targets(detector, street())
    with pytest.raises((RuntimeError, ValueError)):
        detector.detect_from_levels({"0": torch.zeros(1, 3, 4, 4)}, saved.placements, 0.1)
    canvas, placement = detector.canvas(street())
    assert len(detector.detect_on_canvas(canvas, [placement], 0.01)[0].scores) >= len(targets)
    after = detector.network.module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    scores = detector([street()]).detections[0].scores
    assert scores.min() > 0.3, "its own threshold still holds"
