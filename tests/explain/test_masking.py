"""Masked copies of a picture, pixel by pixel."""

import numpy as np
import pytest

from streamcam.explain.masking import FILLS, Fill, MaskedPictures
from streamcam.types import Picture


@pytest.fixture
def picture() -> Picture:
    """Left half red, right half blue, with a white line."""
    made = np.zeros((40, 60, 3), np.uint8)
    made[:, :30] = (200, 0, 0)
    made[:, 30:] = (0, 0, 100)
    made[20] = 255
    return made


def test_every_fill_is_described() -> None:
    assert set(FILLS) == set(Fill)


@pytest.mark.parametrize("fill", list(Fill))
def test_only_what_lies_in_a_rectangle_changes(picture: Picture, fill: Fill) -> None:
    pictures = MaskedPictures.of(picture, blur=6.0)
    masked = pictures.masked([(10, 5, 20, 25), (50.6, 30.4, 80, 90)], fill)
    inside = np.zeros((40, 60), bool)
    inside[5:25, 10:20] = True
    inside[30:, 51:] = True
    np.testing.assert_array_equal(masked[~inside], picture[~inside])
    np.testing.assert_array_equal(masked[inside], pictures.fillings[fill][inside])
    assert masked is not picture


def test_fills_are_black_the_mean_and_a_blur(picture: Picture) -> None:
    fillings = MaskedPictures.of(picture, blur=6.0).fillings
    assert (fillings[Fill.BLACK] == 0).all()
    mean = picture.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(fillings[Fill.MEAN][7, 9], mean, atol=0.5)
    blurred = fillings[Fill.BLUR].astype(float)
    assert blurred.shape == picture.shape
    # The line has gone, far from the middle the colours have stayed.
    assert np.abs(blurred[20, 5] - blurred[12, 5]).max() < 20
    assert blurred[5, 5, 0] > 170
    assert blurred[5, 55, 2] > 80
    # The edge between the halves rises as the integral of a Gaussian of that width.
    edge = (blurred[4, :, 0] - blurred[4, 59, 0]) / (blurred[4, 0, 0] - blurred[4, 59, 0])
    assert edge[24] == pytest.approx(0.84, abs=0.06), "one standard deviation left of the edge"


def test_rectangles_outside_of_the_picture_and_empty_ones_do_nothing(picture: Picture) -> None:
    pictures = MaskedPictures.of(picture, blur=6.0)
    masked = pictures.masked([(-20, -20, -5, 10), (70, 0, 90, 40), (10, 10, 10.4, 10.4)], Fill.MEAN)
    np.testing.assert_array_equal(masked, picture)
