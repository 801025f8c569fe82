"""Maps on 8 x 8 cells, as records hold them."""

import numpy as np
import pytest

from streamcam.sinks.coarse_map import coarse_map, decoded, encoded


def test_cells_are_the_means_of_the_map() -> None:
    heat = np.zeros((54, 96), np.float32)
    heat[:, 48:] = 1.0
    heat[:27, :48] = 0.5
    cells = coarse_map(heat)
    assert cells.shape == (8, 8)
    assert (cells[:, 4:] == 255).all()
    assert cells[0, 0] in (127, 128)
    assert cells[7, 0] == 0


def test_any_map_keeps_its_sum_of_heat() -> None:
    heat = np.random.default_rng(1).random((45, 80), np.float32)
    assert coarse_map(heat).mean() / 255 == pytest.approx(heat.mean(), abs=0.005)


def test_a_map_of_fewer_cells_is_spread() -> None:
    assert (coarse_map(np.full((3, 5), 0.2, np.float32)) == 51).all()


def test_cells_survive_their_text() -> None:
    cells = np.arange(64, dtype=np.uint8).reshape(8, 8)
    text = encoded(cells)
    assert len(text) == 88
    found = decoded(text)
    assert found is not None
    assert (found == cells).all()


@pytest.mark.parametrize("text", ["", "AAAA", "no base64", "ä"])
def test_what_is_no_map_is_none(text: str) -> None:
    assert decoded(text) is None
