"""RoIAlign by rows gives what torchvision's gives."""

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from streamcam.vision.cpu.optimize import RowRoIAlign, pool_by_rows
from tests.vision.scenes import MOBILENET, module

IMAGES = [(200, 320), (192, 256)]
CANVAS = (224, 320)


def pooler(sampling_ratio: int = 2, size: int = 7) -> MultiScaleRoIAlign:
    return MultiScaleRoIAlign(["0", "1", "2"], size, sampling_ratio)


def levels(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        str(i): torch.randn((2, 16, CANVAS[0] // stride, CANVAS[1] // stride), generator=draw).to(
            dtype, memory_format=torch.channels_last
        )
        for i, stride in enumerate((4, 8, 16))
    }


def boxes(count: int = 60) -> list[torch.Tensor]:
    """Of all sizes, some over the edges, some empty, some far outside."""
    draw = torch.Generator().manual_seed(1)
    found = []
    for _ in IMAGES:
        starts = torch.rand((count, 2), generator=draw) * 340 - 20
        sizes = torch.rand((count, 2), generator=draw) ** 3 * 330
        found.append(torch.cat([starts, starts + sizes], dim=1))
    found[0][0] = torch.tensor([5.0, 5.0, 5.0, 5.0])
    found[0][1] = torch.tensor([400.0, 300.0, 430.0, 330.0])
    found[1][0] = torch.tensor([10.0, 10.0, 234.0, 234.0])  # the canonical size itself
    return found


@pytest.mark.parametrize(("sampling_ratio", "size"), [(2, 7), (1, 7), (3, 14)])
def test_row_sums_equal_torchvisions_roi_align(sampling_ratio: int, size: int) -> None:
    theirs = pooler(sampling_ratio, size)
    ours = RowRoIAlign(theirs)
    expected = theirs(levels(), boxes(), IMAGES)
    found = ours(levels(), boxes(), IMAGES)
    assert found.shape == expected.shape == (120, 16, size, size)
    assert torch.allclose(found, expected, atol=1e-4)


def test_all_levels_take_part() -> None:
    chosen = RowRoIAlign(pooler())._fitting_levels(torch.cat(boxes()), [4, 8, 16])
    assert {0, 1, 2} == set(chosen.tolist())


def test_a_box_that_rounding_made_smaller_than_the_canonical_size_keeps_its_level() -> None:
    box = torch.tensor([[0.0, 0.0, 224 - 8e-5, 224 - 8e-5]])
    assert RowRoIAlign(pooler())._fitting_levels(box, [4, 8, 16]).tolist() == [2]


def test_the_first_of_levels_with_equal_strides_is_used() -> None:
    twins = {"0": levels()["2"], "1": -levels()["2"]}
    expected = pooler()(twins, boxes(), IMAGES)
    assert torch.allclose(RowRoIAlign(pooler())(twins, boxes(), IMAGES), expected, atol=1e-4)


def test_a_picture_without_boxes_has_no_results() -> None:
    some = [torch.zeros((0, 4)), boxes()[1]]
    assert torch.equal(
        RowRoIAlign(pooler())(levels(), some, IMAGES)[:3],
        RowRoIAlign(pooler())(levels(), boxes(), IMAGES)[60:63],
    )
    none = [torch.zeros((0, 4))] * 2
    assert RowRoIAlign(pooler())(levels(), none, IMAGES).shape == (0, 16, 7, 7)


def test_half_precision_is_rounded_and_no_more() -> None:
    expected = pooler()(levels(), boxes(), IMAGES)
    found = RowRoIAlign(pooler())(levels(torch.bfloat16), boxes(), IMAGES)
    assert found.dtype == torch.bfloat16
    error = (found.float() - expected).norm() / expected.norm()
    assert error < 0.005


def test_gradients_reach_the_levels_as_torchvisions_do() -> None:
    gradients = []
    for pool in (pooler(), RowRoIAlign(pooler())):
        own = {name: level.requires_grad_() for name, level in levels().items()}
        pool(own, boxes(), IMAGES).square().sum().backward()
        gradients.append([level.grad for level in own.values()])
    for expected, found in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, atol=1e-2, rtol=1e-3)


def test_only_pooling_with_fixed_points_is_replaced() -> None:
    two_stage, adaptive, one_stage = module(MOBILENET), module(MOBILENET), module("nano")
    adaptive.roi_heads.box_roi_pool = pooler(sampling_ratio=0)
    for each in (two_stage, adaptive, one_stage):
        pool_by_rows(each)
    assert isinstance(two_stage.roi_heads.box_roi_pool, RowRoIAlign)
    assert isinstance(adaptive.roi_heads.box_roi_pool, MultiScaleRoIAlign)
