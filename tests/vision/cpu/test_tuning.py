"""Threads, batches and precision of detectors on a CPU."""

import threading
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from streamcam.vision import build
from streamcam.vision.cpu import tuning
from streamcam.vision.cpu.tuning import saturates_cpu, threads_for
from streamcam.vision.devices import Precision, computing_threads, torch_threads
from streamcam.vision.models.detector import Detector, Forward
from streamcam.vision.models.preprocess import NetworkInput
from streamcam.vision.models.torch_network import TorchNetwork, half_precision_copies
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
from tests.vision.scenes import build as built


@pytest.mark.parametrize(("cores", "share"), [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4)])
def test_a_small_network_leaves_cores_to_the_rest(
    monkeypatch: pytest.MonkeyPatch, cores: int, share: int
) -> None:
    monkeypatch.setattr(tuning, "torch_threads", lambda: cores)
    assert threads_for(detector(SSDLITE)) == share
    assert threads_for(detector("nano")) == cores
    assert threads_for(detector(MOBILENET)) == cores


def test_threads_are_not_limited_by_those_of_another_thread() -> None:
    """torch gives a thread that is new what another one has told it."""
    everything, large = torch_threads(), detector(MOBILENET)
    told: list[int] = []
    with computing_threads(everything + 1):
        fresh = threading.Thread(
            target=lambda: told.extend((torch.get_num_threads(), threads_for(large)))
        )
        fresh.start()
        fresh.join()
    assert told == [everything + 1, everything]


def test_postprocessing_uses_all_threads() -> None:
    with engine(MOBILENET, min_size=96, max_size=160) as large:
        told: list[int] = []
        make = large.cam

        def watched(*given: Any) -> Any:
            told.append(torch.get_num_threads())
            return make(*given)

        large.cam = watched  # type: ignore[assignment]
        outputs = large.forward(large.preprocess([frame(noise(96, 160))]))
        assert not told, "the maps belong to the last step"
        with computing_threads(torch_threads() + 1):
            other = threading.Thread(target=large.postprocess, args=(outputs,))
            other.start()
            other.join()
    assert told == [torch_threads()]


def test_a_picture_of_a_million_pixels_fills_a_cpu() -> None:
    assert saturates_cpu(detector("fasterrcnn_resnet50_fpn"))
    assert not any(saturates_cpu(detector(name)) for name in ("nano", MOBILENET, SSDLITE))


def test_large_pictures_have_batches_of_one() -> None:
    with engine("nano", batch=6) as small, engine("fasterrcnn_resnet50_fpn", batch=6) as large:
        assert (small.batch, large.batch) == (6, 1)


def test_the_forward_pass_restores_the_number_of_threads() -> None:
    with engine("nano") as small, computing_threads(8):
        with small.forwarding():
            assert torch.get_num_threads() == threads_for(small.detector) < 8
        assert torch.get_num_threads() == 8


class Cancelling(nn.Module):
    """A backbone that shows small differences of large numbers."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        levels = self.backbone(pixels)
        return OrderedDict((name, level + 5000.0 - 5000.0) for name, level in levels.items())


def half(plain: nn.Module) -> tuple[Detector, TorchNetwork]:
    network = network_around("nano", plain, dtype=torch.bfloat16)
    return Detector(network, 0.5), network


def test_a_network_that_bfloat16_changes_keeps_float32() -> None:
    plain = module("nano")
    plain.backbone = Cancelling(plain.backbone)
    assert not tuning.prefers_bfloat16(*half(plain))


@pytest.mark.parametrize(("allowed", "expected"), [(100.0, False), (0.0, True)])
def test_equal_precisions_are_chosen_by_time(
    monkeypatch: pytest.MonkeyPatch, allowed: float, expected: bool
) -> None:
    """With the bound at either end the outcome does not depend on this machine."""
    monkeypatch.setattr(tuning, "_MAX_TIME_SHARE", allowed)
    assert tuning.prefers_bfloat16(*half(module("nano"))) is expected


def test_only_boxes_that_the_detector_gives_are_made_in_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand weaker ones would take longer than all the rest."""
    scores: list[Tensor] = []
    forward = Detector.forward

    def recorded(detector: Detector, inputs: NetworkInput) -> Forward:
        outputs = forward(detector, inputs)
        scores.extend(own.scores for own in outputs.detections)
        return outputs

    monkeypatch.setattr(Detector, "forward", recorded)
    tuning.prefers_bfloat16(*half(module("nano")))
    assert len(scores) == 4, "twice in each precision"
    assert all(bool((own >= 0.5).all()) for own in scores)


def test_a_network_that_stays_in_float32_keeps_no_copy() -> None:
    _, network = half(module("nano"))
    assert len(half_precision_copies(network.module)) == 4, "the backbone, three levels of the head"
    network.stay_in_float32()
    assert half_precision_copies(network.module) == []
    assert all(weight.dtype == torch.float32 for weight in network.module.parameters())
    assert network.features(torch.zeros((1, 3, 64, 64)))["0"].dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "pays", "expected"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16")],
)
def test_only_auto_follows_the_trial(
    monkeypatch: pytest.MonkeyPatch, asked: Precision, pays: bool, expected: str
) -> None:
    monkeypatch.setattr(build, "prefers_bfloat16", lambda *_: pays)
    monkeypatch.setattr("streamcam.vision.devices._has_bfloat16_units", lambda: True)
    with built(device="cpu", precision=asked) as engine:
        assert engine.description.precision == expected
