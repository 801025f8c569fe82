"""Boxes of one frame against other boxes of it: how far they overlap, and which are the same."""

import numpy as np
import numpy.typing as npt

Overlaps = npt.NDArray[np.float64]

SAME_PLACE = 0.5
"""Intersection over union from which boxes are one object, as in PASCAL VOC and COCO's AP50."""


def box_overlaps(one: npt.ArrayLike, other: npt.ArrayLike) -> Overlaps:
    """Return the intersection over union of every pair of boxes, float64, [one, other], 0..1.

    Args:
        one: [boxes, 4]: x1, y1, x2, y2 in pixels; may be empty.
        other: The same. Boxes without an area overlap nothing.
    """
    a = np.asarray(one, np.float64).reshape(-1, 1, 4)
    b = np.asarray(other, np.float64).reshape(1, -1, 4)
    corners = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(corners, 0, None).prod(axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b)]
    union = areas[0] + areas[1] - shared
    overlaps: Overlaps = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def best_pairs(overlaps: Overlaps, least: float = SAME_PLACE) -> list[tuple[int, int]]:
    """Pair rows with columns, each once at most, so that the sum of overlaps is largest.

    That is the Hungarian method (Kuhn 1955, https://doi.org/10.1002/nav.3800020109).

    Args:
        overlaps: [rows, columns], 0..1.
        least: Who overlaps less is no pair.
    """
    # Takes 0.2 s, and is needed by a few commands only.
    from scipy.optimize import linear_sum_assignment

    gains = np.where(overlaps >= least, overlaps, 0)
    rows, columns = linear_sum_assignment(gains, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if gains[i, j] > 0]
