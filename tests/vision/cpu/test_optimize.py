"""Optimised and original networks have equal activations."""

import pytest
import torch
from torch import nn

from streamcam.vision.cpu import optimize
from streamcam.vision.cpu.optimize import (
    Activation,
    FusedBottleneck,
    FusedConvolution,
    fold_batch_norms,
    fuse_convolutions,
)
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.torch_network import HalfPrecisionCopy, convolution_chains
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
        ("nano", ["head.levels.0", "head.levels.1", "head.levels.2"]),
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", PYRAMIDS)
def test_fused_convolutions_give_equal_results(name: str, dtype: torch.dtype) -> None:
    part = backbone(name)
    fold_batch_norms(part)
    part.to(dtype, memory_format=torch.channels_last)
    given = pixels(name).to(dtype)
    with torch.inference_mode():
        expected = part(given)
        fuse_convolutions(part)
        found = part(given)
    fused = [module for module in part.modules() if isinstance(module, FusedConvolution)]
    assert len(fused) >= 15
    assert worst(expected, found) < (1e-5 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.1)])
def test_fused_activations_are_removed(activation: nn.Module) -> None:
    chain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Identity(), activation, nn.Conv2d(8, 4, 1))
    chain = chain.requires_grad_(False)
    given = torch.randn(1, 3, 9, 9)
    expected = chain(given)
    fuse_convolutions(chain)
    assert [type(link) for link in chain] == [
        FusedConvolution,
        nn.Identity,
        nn.Identity,
        FusedConvolution,
    ]
    with torch.inference_mode():
        assert torch.allclose(chain(given), expected, atol=1e-5)


def test_every_residual_block_of_a_resnet_is_fused() -> None:
    body = backbone("fasterrcnn_resnet50_fpn").body
    fold_batch_norms(body)
    fuse_convolutions(body)
    assert sum(isinstance(module, FusedBottleneck) for module in body.modules()) == 16
    assert not any(isinstance(module, nn.Conv2d | nn.ReLU) for module in body.modules())


def test_blocks_with_their_batch_norms_stay() -> None:
    part = backbone("fasterrcnn_resnet50_fpn")
    expected = part(pixels(""))
    fuse_convolutions(part)
    assert not any(isinstance(module, FusedBottleneck) for module in part.modules())
    with torch.inference_mode():
        assert worst(expected, part(pixels(""))) < 1e-5


def layout(weight: torch.Tensor) -> bytes:
    return torch.ops.mkldnn._get_mkldnn_serialized_md(weight).numpy().tobytes()  # type: ignore[no-any-return]


def test_weights_have_the_layout_for_each_input_size() -> None:
    plain = nn.Conv2d(160, 960, 1).requires_grad_(False).bfloat16()
    fused = FusedConvolution(plain, Activation())
    orders = set()
    for count, rows, columns in ((1, 10, 10), (1, 10, 18), (8, 10, 10), (2, 20, 36), (1, 10, 10)):
        given = torch.randn(count, 160, rows, columns).bfloat16()
        with torch.inference_mode():
            found, expected = fused(given).float(), plain(given).float()
        assert torch.allclose(found, expected, rtol=0.02, atol=0.02)
        wanted = torch.ops.mkldnn._reorder_convolution_weight(
            plain.weight, (0, 0), (1, 1), (1, 1), 1, list(given.shape)
        )
        assert layout(fused._ordered_for(given.shape)) == layout(wanted)
        orders.add(layout(wanted))
    assert len(fused._by_input) == 4
    assert set(map(layout, fused._by_input.values())) == orders
    assert len(set(map(id, fused._by_input.values()))) == len(orders), "each kept once"


def test_the_layout_depends_on_the_number_of_threads() -> None:
    """With two threads oneDNN divides 200 channels otherwise than with one."""
    plain = nn.Conv2d(32, 200, 1).requires_grad_(False).bfloat16()
    fused, size = FusedConvolution(plain, Activation()), torch.Size((1, 32, 11, 11))
    for threads in (1, 2, 1):
        with computing_threads(threads):
            wanted = torch.ops.mkldnn._reorder_convolution_weight(
                plain.weight, (0, 0), (1, 1), (1, 1), 1, list(size)
            )
            assert layout(fused._ordered_for(size)) == layout(wanted)


def test_the_number_of_cached_sizes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "_MAX_SIZES", 2)
    plain = nn.Conv2d(3, 8, 3).requires_grad_(False)
    fused = FusedConvolution(plain, Activation("relu"))
    for side in range(5, 12):
        given = torch.randn(1, 3, side, side)
        with torch.inference_mode():
            assert torch.allclose(fused(given), plain(given).relu(), atol=1e-5)
        assert len(fused._by_input) <= 2


def test_without_the_operators_the_network_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "_operators_work", lambda: False)
    whole = module("nano")
    path = "backbone"
    fuse_convolutions(whole.get_submodule(path))
    assert not any(isinstance(module, FusedConvolution) for module in whole.modules())


def test_the_operators_work_here() -> None:
    """Nothing of this would be tested where they do not."""
    assert optimize._operators_work()
