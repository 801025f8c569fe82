"""Optimised and original networks have equal activations."""

import pytest
import torch

from streamcam.vision.cpu.optimize import HalfPrecisionCopy, convolution_chains, fold_batch_norms
from tests.vision.scenes import MOBILENET, SSDLITE, module

PYRAMIDS = [MOBILENET, SSDLITE, "nano", "fasterrcnn_resnet50_fpn_v2", "ssd300_vgg16"]


def backbone(name: str) -> torch.nn.Module:
    """A backbone whose batch norms change what passes, as after training."""
    part = module(name).get_submodule("backbone").eval()
    draw = torch.Generator().manual_seed(1)
    for child in part.modules():
        if isinstance(child, torch.nn.BatchNorm2d):
            for values, low in ((child.weight.data, 0.5), (child.running_var, 0.5)):
                values.copy_(low + torch.rand(values.shape, generator=draw))
            child.running_mean.copy_(0.2 * torch.randn(child.running_mean.shape, generator=draw))
    return part.requires_grad_(False)


def pixels(name: str) -> torch.Tensor:
    size = (300, 300) if name.startswith("ssd300") else (96, 128)
    return torch.randn((1, 3, *size), generator=torch.Generator().manual_seed(2))


def worst(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> float:
    """The largest relative error of a level."""
    assert list(expected) == list(found)
    return max(
        float((found[level].float() - value).norm() / value.norm())
        for level, value in expected.items()
    )


@pytest.mark.parametrize("name", PYRAMIDS)
def test_folded_batch_norms_change_nothing(name: str) -> None:
    part = backbone(name)
    with torch.inference_mode():
        expected = part(pixels(name))
        fold_batch_norms(part)
        assert not any(isinstance(child, torch.nn.BatchNorm2d) for child in part.modules())
        assert worst(expected, part(pixels(name))) < 1e-5


@pytest.mark.parametrize("name", PYRAMIDS)
def test_half_precision_copies_equal_autocast(name: str) -> None:
    part = backbone(name)
    fold_batch_norms(part)
    copied = HalfPrecisionCopy(part, torch.bfloat16)
    with torch.inference_mode():
        expected = part(pixels(name))
        assert worst(expected, copied(pixels(name))) == 0, "outside autocast it is the part itself"
        with torch.autocast("cpu", torch.bfloat16):
            usual, ours = part(pixels(name)), copied(pixels(name))
    assert all(level.dtype == torch.bfloat16 for level in ours.values())
    # Eight bits of mantissa: a per cent or two after fifty layers, by either way.
    assert worst(expected, ours) < max(0.01, 1.5 * worst(expected, usual))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "nano",
            [
                f"head.{part}.{i}"
                for part in ("trunk", "class_tower", "box_tower")
                for i in range(3)
            ],
        ),
        (MOBILENET, ["rpn.head.conv"]),
        ("retinanet_resnet50_fpn", ["head.classification_head.conv", "head.regression_head.conv"]),
        ("retinanet_resnet50_fpn_v2", []),
        ("fcos_resnet50_fpn", []),
    ],
)
def test_chains_of_convolutions_are_found_in_heads_and_group_norms_left_out(
    name: str, expected: list[str]
) -> None:
    whole = module(name).eval()
    fold_batch_norms(whole)
    assert convolution_chains(whole, ["rpn.head", "head"]) == expected
