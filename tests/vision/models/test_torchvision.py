"""One forward gives what torchvision gives, and leaves nothing behind."""

import gc

import numpy as np
import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import box_iou

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.preprocess import Preprocessor
from streamcam.vision.models.torchvision_network import sizing_of
from tests.vision.methods.scenes import street
from tests.vision.scenes import (
    MOBILENET,
    SSDLITE,
    detector,
    engine,
    frame,
    module,
    network_around,
    noise,
)

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize("fixed_size", [None, (300, 300)])
def test_bytes_are_prepared_as_torchvision_prepares_floats(
    fixed_size: tuple[int, int] | None,
) -> None:
    theirs = GeneralizedRCNNTransform(200, 333, MEAN, STD, fixed_size=fixed_size).eval()
    ours = Preprocessor(sizing_of(theirs), torch.device("cpu"))
    pictures = [noise(360, 640), noise(640, 360), noise(97, 131), noise(431, 97)]
    raw = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]
    expected, _ = theirs([pixels / 255 for pixels in raw])
    prepared = ours(raw)
    # OpenCV's coordinates have single precision: of noise a pixel may be 0.02 grey levels off.
    assert torch.allclose(prepared.canvas, expected.tensors, atol=5e-4)
    canvas = tuple(expected.tensors.shape[-2:])
    for picture, size, placement in zip(
        pictures, expected.image_sizes, prepared.placements, strict=True
    ):
        assert placement == Letterbox(picture.shape[:2], size, canvas)


def spread(plain: torch.nn.Module) -> torch.nn.Module:
    """A network with random weights whose scores differ: as they are, all boxes are ties."""
    for name, parameter in plain.named_parameters():
        if name.endswith("cls_score.weight"):
            parameter.data *= 200
        if name.endswith("class_logits.weight"):
            parameter.data *= 1000
        if name.endswith("class_logits.bias"):
            parameter.data *= 0
    return plain


def plain(name: str) -> torch.nn.Module:
    return load_nano(NANO_FILE) if name == "nano" else spread(module(name)).eval()


def watch(name: str, confidence: float, dtype: torch.dtype = torch.float32) -> Detector:
    return Detector(network_around(name, plain(name), dtype=dtype), confidence)


@pytest.mark.parametrize("name", [MOBILENET, "nano"])
def test_boxes_equal_those_of_the_bare_network(name: str) -> None:
    pictures = [street(), np.rot90(street(4.0)).copy()]
    bare = plain(name)
    getattr(bare, "roi_heads", bare).score_thresh = 0.1
    with torch.inference_mode():
        expected = bare([torch.from_numpy(p).permute(2, 0, 1) / 255 for p in pictures])
    with watch(name, 0.1) as watched:
        found = watched(pictures)
    for index, wanted in enumerate(expected):
        assert len(wanted["boxes"]) > 5
        own = found.detections[index]
        assert torch.allclose(own.scores, wanted["scores"], atol=2e-3)
        same = wanted["labels"][:, None] == own.class_ids
        overlap = (box_iou(wanted["boxes"], own.boxes) * same).amax(dim=1)
        assert (overlap > 0.99).float().mean() > 0.95, "ties may change places, no more"


def test_a_threshold_drops_only_weaker_boxes() -> None:
    pictures = [noise(180, 320, 1)]
    with detector(SSDLITE, confidence=0.005) as low, detector(SSDLITE, confidence=0.02) as high:
        many, few = (one(pictures).detections[0].scores for one in (low, high))
    assert torch.equal(few, many[many > 0.02][: len(few)])


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"])
def test_masks_and_key_points_are_not_computed(name: str) -> None:
    plain = module(name, min_size=64, max_size=96)
    called: list[str] = []
    for part, child in plain.roi_heads.named_children():
        child.register_forward_hook(lambda *_, part=part: called.append(part))
    Detector(network_around(name, plain), 0.0)([noise(64, 96)])
    assert (
        {"box_head", "box_predictor"}
        <= set(called)
        <= {"box_roi_pool", "box_head", "box_predictor"}
    )


def hooks_of(part: torch.nn.Module) -> int:
    return sum(len(each._forward_hooks) for each in part.modules())


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def test_nothing_grows_over_hundreds_of_batches() -> None:
    with engine("nano", min_size=64, max_size=96) as small:
        pictures = [noise(48, 64, seed) for seed in range(8)]

        def work(rounds: int) -> None:
            for index in range(rounds):
                small.explain([frame(pictures[index % 8], index)])

        work(20)
        tensors, hooks = live_tensors(), hooks_of(small.detector.network.module)
        work(300)
        assert live_tensors() <= tensors
        assert hooks_of(small.detector.network.module) == hooks


def test_bfloat16_finds_the_same_boxes() -> None:
    """Coordinates and scores are computed in float32 from bfloat16 features."""
    picture = street()
    with watch("nano", 0.1) as watched:
        full = watched([picture])
    with watch("nano", 0.1, torch.bfloat16) as watched:
        half = watched([picture])
    assert (full.levels["1"].dtype, half.levels["1"].dtype) == (torch.float32, torch.bfloat16)
    whole, rough = full.detections[0], half.detections[0]
    assert rough.boxes.dtype == rough.scores.dtype == torch.float32
    sure = whole.scores > 0.5
    overlap = box_iou(whole.boxes[sure], rough.boxes).amax(dim=1)
    assert sure.sum() >= 4
    assert (overlap > 0.8).float().mean() > 0.8


def test_half_precision_ends_at_the_heads() -> None:
    with watch(MOBILENET, 0.1, torch.bfloat16) as watched:
        outputs = {}
        for name in ("rpn.head", "roi_heads.box_predictor"):
            head = watched.network.module.get_submodule(name)
            head.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
        watched([noise(120, 160)])
    (objectness, deltas), (scores, boxes) = outputs.values()
    for tensor in (*objectness, *deltas, scores, boxes):
        assert tensor.dtype == torch.float32
