"""One forward gives what torchvision gives, and leaves nothing behind."""

import gc

import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import box_iou

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.registry import find_model
from streamcam.vision.models.torchvision import Detector
from streamcam.vision.models.torchvision_transform import BytesTransform
from tests.vision.scenes import MOBILENET, SSDLITE, detector, engine, frame, network, noise

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize("fixed_size", [None, (300, 300)])
def test_bytes_are_prepared_as_torchvision_prepares_floats(
    fixed_size: tuple[int, int] | None,
) -> None:
    theirs = GeneralizedRCNNTransform(200, 333, MEAN, STD, fixed_size=fixed_size).eval()
    ours = BytesTransform.like(theirs)
    pictures = [noise(360, 640), noise(640, 360), noise(97, 131), noise(431, 97)]
    raw = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]
    expected, _ = theirs([pixels / 255 for pixels in raw])
    prepared = ours.prepare(raw)
    assert [tuple(pixels.shape) for pixels in prepared] == [tuple(p.shape) for p in raw]
    # OpenCV's coordinates have single precision: of noise a pixel may be 0.02 grey levels off.
    assert torch.allclose(prepared.canvas, expected.tensors, atol=5e-4)
    canvas = tuple(expected.tensors.shape[-2:])
    for picture, size, placement in zip(
        pictures, expected.image_sizes, prepared.placements, strict=True
    ):
        assert placement == Letterbox(picture.shape[:2], size, canvas)
    for given, _ in (ours(prepared), ours(raw)):
        assert torch.equal(given.tensors, prepared.canvas)
        assert given.image_sizes == expected.image_sizes


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


def watch(name: str, confidence: float, dtype: torch.dtype = torch.float32) -> Detector:
    return Detector(
        spread(network(name)),
        watched=find_model(name).activations.module,
        device=torch.device("cpu"),
        dtype=dtype,
        confidence=confidence,
    )


@pytest.mark.parametrize("name", [MOBILENET, "nano"])
def test_boxes_equal_those_of_the_bare_network(name: str) -> None:
    pictures = [noise(180, 320, 1), noise(200, 150, 2)]
    plain = spread(network(name)).eval()
    getattr(plain, "roi_heads", plain).score_thresh = 0.1
    with torch.inference_mode():
        expected = plain([torch.from_numpy(p).permute(2, 0, 1) / 255 for p in pictures])
    with watch(name, 0.1) as watched:
        found = watched(pictures)
    for index, wanted in enumerate(expected):
        assert len(wanted["boxes"]) > 5
        assert torch.allclose(found.scores[index], wanted["scores"], atol=2e-3)
        same = wanted["labels"][:, None] == found.class_ids[index]
        overlap = (box_iou(wanted["boxes"], found.boxes[index]) * same).amax(dim=1)
        assert (overlap > 0.99).float().mean() > 0.95, "ties may change places, no more"


def test_a_threshold_drops_only_weaker_boxes() -> None:
    pictures = [noise(180, 320, 1)]
    with detector(SSDLITE, confidence=0.005) as low, detector(SSDLITE, confidence=0.02) as high:
        many, few = low(pictures).scores[0], high(pictures).scores[0]
    assert torch.equal(few, many[many > 0.02][: len(few)])


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"])
def test_masks_and_key_points_are_not_computed(name: str) -> None:
    with detector(name, confidence=0.0, min_size=64, max_size=96) as watched:
        assert len(watched([noise(64, 96)]).boxes) == 1
        heads = watched._network.roi_heads
        assert not heads.has_mask()
        assert not heads.has_keypoint()


def hooks_of(module: torch.nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


def test_closing_removes_every_hook() -> None:
    plain = network(SSDLITE)
    watched = Detector(
        plain,
        watched=find_model(SSDLITE).activations.module,
        device=torch.device("cpu"),
        dtype=torch.bfloat16,
        confidence=0.5,
    )
    assert hooks_of(plain) > 0
    watched.close()
    watched.close()
    assert hooks_of(plain) == 0


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
        tensors, hooks = live_tensors(), hooks_of(small._detector._network)
        work(300)
        assert live_tensors() <= tensors
        assert hooks_of(small._detector._network) == hooks
        assert small._detector._seen is None


def test_bfloat16_finds_the_same_boxes() -> None:
    """Coordinates and scores are computed in float32 from bfloat16 features."""
    picture = noise(180, 320, 1)
    with watch("nano", 0.1) as watched:
        full = watched([picture])
    with watch("nano", 0.1, torch.bfloat16) as watched:
        half = watched([picture])
    assert (full.levels["1"].dtype, half.levels["1"].dtype) == (torch.float32, torch.bfloat16)
    assert half.boxes[0].dtype == half.scores[0].dtype == torch.float32
    sure = full.scores[0] > 0.5
    overlap = box_iou(full.boxes[0][sure], half.boxes[0]).amax(dim=1)
    assert sure.sum() > 5
    assert (overlap > 0.8).float().mean() > 0.8


def test_half_precision_ends_at_the_heads() -> None:
    with watch(MOBILENET, 0.1, torch.bfloat16) as watched:
        outputs = {}
        for name in ("rpn.head", "roi_heads.box_predictor"):
            head = watched._network.get_submodule(name)
            head.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
        watched([noise(120, 160)])
    (objectness, deltas), (scores, boxes) = outputs.values()
    for tensor in (*objectness, *deltas, scores, boxes):
        assert tensor.dtype == torch.float32
