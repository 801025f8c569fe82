"""How far boxes overlap, and which are the same."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from streamcam.overlaps import best_pairs, box_overlaps


def test_overlaps_equal_those_of_torchvision() -> None:
    random = np.random.default_rng(0)
    one, other = (
        [(x, y, x + w, y + h) for x, y, w, h in random.uniform(1, 50, (n, 4)).tolist()]
        for n in (7, 5)
    )
    expected = box_iou(torch.tensor(one, dtype=torch.float64), torch.tensor(other)).numpy()
    assert box_overlaps(one, other) == pytest.approx(expected, abs=1e-5)
    assert box_overlaps([], other).shape == (0, 5)
    assert box_overlaps([(3, 3, 3, 3)], [(3, 3, 3, 3)]) == 0


def test_pairs_are_those_of_the_largest_sum() -> None:
    """The best pair of all, 0.9, would leave the second row without one."""
    overlaps = np.array([[0.9, 0.8, 0.0], [0.85, 0.1, 0.0]])
    assert best_pairs(overlaps) == [(0, 1), (1, 0)]


def test_who_overlaps_too_little_has_no_partner() -> None:
    overlaps = np.array([[0.5, 0.0], [0.0, 0.49]])
    assert best_pairs(overlaps) == [(0, 0)]
    assert best_pairs(overlaps, least=0.4) == [(0, 0), (1, 1)]
    assert best_pairs(np.zeros((0, 3))) == best_pairs(np.zeros((2, 2))) == []
