from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from streamcam.vision import build
from streamcam.vision.cpu import precision
from streamcam.vision.cpu.optimize import casts
from streamcam.vision.devices import Precision
from streamcam.vision.models.torchvision import Detector, Forward
from streamcam.vision.models.torchvision_transform import Prepared
from tests.vision.scenes import network


class Cancelling(nn.Module):
    """A backbone that shows small differences of large numbers."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        levels = self.backbone(pixels)
        return OrderedDict((name, level + 5000.0 - 5000.0) for name, level in levels.items())


def watch(plain: nn.Module) -> Detector:
    return Detector(
        plain,
        watched="backbone",
        device=torch.device("cpu"),
        dtype=torch.bfloat16,
        confidence=0.5,
    )


def test_a_network_that_bfloat16_changes_keeps_float32() -> None:
    plain = network("nano")
    plain.backbone = Cancelling(plain.backbone)
    with watch(plain) as detector:
        assert not precision.bfloat16_pays(detector)


@pytest.mark.parametrize(("allowed", "expected"), [(100.0, False), (0.0, True)])
def test_what_agrees_is_chosen_by_its_time(
    monkeypatch: pytest.MonkeyPatch, allowed: float, expected: bool
) -> None:
    """With the bound at either end the outcome does not depend on this machine."""
    monkeypatch.setattr(precision, "_CLEARLY", allowed)
    with watch(network("nano")) as detector:
        assert precision.bfloat16_pays(detector) is expected


def test_only_boxes_that_the_detector_gives_are_made_in_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand weaker ones would take longer than all the rest."""
    found: list[Tensor] = []
    look = Detector.look

    def watched(detector: Detector, pictures: Prepared) -> Forward:
        forward = look(detector, pictures)
        found.extend(forward.scores)
        return forward

    monkeypatch.setattr(Detector, "look", watched)
    with watch(network("nano")) as detector:
        precision.bfloat16_pays(detector)
    assert len(found) == 4, "twice in each precision"
    assert all(bool((scores >= 0.5).all()) for scores in found)


def test_a_detector_that_stays_in_float32_keeps_no_copy() -> None:
    with watch(network("nano")) as detector:
        assert len(casts(detector.network)) == 10, "the backbone and nine towers of the head"
        detector.stay_in_float32()
        assert casts(detector.network) == []
        assert all(weight.dtype == torch.float32 for weight in detector.network.parameters())
        assert detector.levels(torch.zeros((1, 3, 64, 64)))["0"].dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "pays", "expected"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16")],
)
def test_auto_follows_what_was_tried_and_a_wish_does_not(
    monkeypatch: pytest.MonkeyPatch, asked: Precision, pays: bool, expected: str
) -> None:
    monkeypatch.setattr(build, "bfloat16_pays", lambda *_: pays)
    monkeypatch.setattr("streamcam.vision.devices._has_bfloat16_units", lambda: True)
    with build.build_engine(device="cpu", precision=asked) as engine:
        assert engine.description.precision == expected
