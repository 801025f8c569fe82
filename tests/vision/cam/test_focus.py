import numpy as np
import pytest

from streamcam.types import Box, HeatMap
from streamcam.vision.cam.focus import map_peak, measure_focus

WIDTH, HEIGHT = 120, 80


def brute_force(heat: HeatMap, box: Box) -> tuple[float, float]:
    """Energy and lift by looking at every cell's overlap with the box."""
    rows, columns = heat.shape
    inside = 0.0
    for row in range(rows):
        for column in range(columns):
            left, right = column * WIDTH / columns, (column + 1) * WIDTH / columns
            top, bottom = row * HEIGHT / rows, (row + 1) * HEIGHT / rows
            across = max(0.0, min(right, box[2]) - max(left, box[0])) / (right - left)
            down = max(0.0, min(bottom, box[3]) - max(top, box[1])) / (bottom - top)
            inside += float(heat[row, column]) * across * down
    energy = inside / float(heat.sum())
    area = (box[2] - box[0]) * (box[3] - box[1]) / (WIDTH * HEIGHT)
    return energy, energy / area if area else 0.0


def random_boxes(count: int, seed: int) -> list[Box]:
    rng = np.random.default_rng(seed)
    xs = np.sort(rng.uniform(0, WIDTH, (count, 2)), axis=1)
    ys = np.sort(rng.uniform(0, HEIGHT, (count, 2)), axis=1)
    return [
        (float(x[0]), float(y[0]), float(x[1]), float(y[1])) for x, y in zip(xs, ys, strict=True)
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 12), (13, 5), (47, 84)])
def test_scores_equal_a_brute_force_reference(size: tuple[int, int]) -> None:
    heat = np.random.default_rng(0).random(size, dtype=np.float32) ** 4
    whole, tiny = (0.0, 0.0, float(WIDTH), float(HEIGHT)), (3.0, 4.0, 3.5, 4.25)
    boxes = [*random_boxes(20, 1), whole, tiny]
    for box, focus in zip(
        boxes, measure_focus(heat, boxes, width=WIDTH, height=HEIGHT), strict=True
    ):
        energy, lift = brute_force(heat, box)
        assert focus.energy == pytest.approx(energy, abs=1e-6)
        assert focus.lift == pytest.approx(lift, rel=1e-4, abs=1e-6)


def test_a_box_of_the_whole_frame_has_energy_1_and_lift_1() -> None:
    heat = np.random.default_rng(0).random((9, 16), dtype=np.float32)
    (focus,) = measure_focus(heat, [(0, 0, WIDTH, HEIGHT)], width=WIDTH, height=HEIGHT)
    assert focus.energy == pytest.approx(1)
    assert focus.lift == pytest.approx(1)
    assert focus.peak_inside


def test_the_peak_is_in_one_of_two_boxes() -> None:
    heat = np.zeros((8, 12), np.float32)
    heat[2, 9] = 1
    assert map_peak(heat, WIDTH, HEIGHT) == (95.0, 25.0)
    left, right = measure_focus(
        heat, [(0, 0, 60, 80), (60, 0, 120, 80)], width=WIDTH, height=HEIGHT
    )
    assert (left.energy, left.lift, left.peak_inside) == (0, 0, False)
    assert (right.energy, right.lift, right.peak_inside) == (1, 2, True)


def test_a_map_of_zeros_scores_0() -> None:
    heat = np.zeros((4, 4), np.float32)
    (focus,) = measure_focus(heat, [(0, 0, 60, 80)], width=WIDTH, height=HEIGHT)
    assert (focus.energy, focus.lift, focus.peak_inside) == (0.0, 0.0, False)


def test_an_empty_box_scores_0() -> None:
    heat = np.ones((4, 4), np.float32)
    (focus,) = measure_focus(heat, [(50, 20, 50, 60)], width=WIDTH, height=HEIGHT)
    assert (focus.energy, focus.lift) == (0.0, 0.0)


def test_without_boxes_there_are_no_scores() -> None:
    assert measure_focus(np.ones((4, 4), np.float32), [], width=WIDTH, height=HEIGHT) == []
