import cv2
import numpy as np
import pytest

from streamcam.render import COLORMAPS, Style, annotate
from streamcam.render.heat import Heat, enlarge, palette
from tests.render.scene import GREY, explained, plain, spot

BARE = Style(legend=False, timestamp=False)


def test_cold_places_stay_as_they_were_and_hot_ones_take_the_colour() -> None:
    shown = annotate(explained(plain(), spot(row=4, column=8)), BARE)
    assert (shown[200:, 300:] == GREY).all()
    hottest = 0.7 * palette("inferno")[-1] + 0.3 * GREY
    np.testing.assert_allclose(shown[100, 180], hottest, atol=12)


def test_the_frame_is_not_written_to() -> None:
    picture = plain()
    before = picture.copy()
    picture.flags.writeable = False
    annotate(explained(picture, spot()))
    assert (picture == before).all()


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_heat_stands_out_in_every_colormap_on_any_ground(colormap: str) -> None:
    style = Style(colormap=colormap, legend=False, timestamp=False)  # type: ignore[arg-type]
    for level in (0, 128, 255):
        shown = annotate(explained(plain(level=level), spot()), style).astype(int)
        assert np.abs(shown[80:120, 160:200] - level).max() > 60
        assert (shown[300, 500] == level).all()


def test_opacity_zero_shows_the_picture_alone() -> None:
    style = Style(opacity=0.0, legend=False, timestamp=False)
    assert (annotate(explained(plain(), spot()), style) == GREY).all()


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1920, 1080), (1080, 1920), (333, 77)])
def test_the_map_spans_the_frame_from_edge_to_edge(width: int, height: int) -> None:
    rows, columns = 18, 32
    for row, column in [(0, 0), (8, 14), (16, 30)]:
        levels = enlarge(spot(rows, columns, row=row, column=column), width, height).astype(float)
        y, x = np.mgrid[0:height, 0:width] + 0.5
        weight = levels.sum()
        # Half a cell of tolerance: at the rim the spline has one side only.
        assert abs((levels * x).sum() / weight / width * columns - (column + 1)) < 0.5
        assert abs((levels * y).sum() / weight / height * rows - (row + 1)) < 0.5


def test_an_enlarged_map_keeps_its_range() -> None:
    levels = enlarge(spot(), 1280, 720)
    assert levels.min() == 0
    assert levels.max() == 255
    assert (enlarge(np.ones((5, 7), np.float32), 64, 48) == 255).all()


@pytest.mark.parametrize("seed", range(4))
def test_heat_that_is_laid_on_in_parts_is_as_if_laid_on_as_a_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (77, 333, 3), dtype=np.uint8)
    heat = np.where(rng.random((9, 20)) < 0.15, rng.random((9, 20)), 0).astype(np.float32)
    levels = enlarge(heat, 333, 77)
    colours = palette("turbo").astype(float)[levels]
    rise = np.clip((levels / 255 - 0.1) / 0.65, 0, 1)
    opacity = (rise * rise * (3 - 2 * rise))[..., None]
    expected = picture * (1 - opacity) + colours * opacity
    shown = Heat("turbo", 1.0).over(picture, levels)
    assert 0.1 < (shown == picture).all(axis=2).mean() < 0.9
    np.testing.assert_allclose(shown, expected, atol=1.5)
    clear = levels < 26
    assert (shown[clear] == picture[clear]).all()


def test_the_faintest_heat_that_has_a_colour_shows() -> None:
    levels = np.full((40, 60), 34, np.uint8)
    shown = Heat("turbo", 1.0).over(np.zeros((40, 60, 3), np.uint8), levels)
    assert (shown.max(axis=2) > 0).all()


def test_enlarging_is_cubic_to_a_level() -> None:
    heat = np.random.default_rng(0).random((17, 30), dtype=np.float32)
    exact = cv2.resize(heat, (768, 432), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255
    np.testing.assert_allclose(enlarge(heat, 768, 432), exact, atol=1.5)


@pytest.mark.parametrize("bad", [{"opacity": 1.1}, {"opacity": -0.1}, {"colormap": "rainbow"}])
def test_a_style_refuses_what_it_cannot_be(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"rainbow|opacity"):
        Style(**bad)  # type: ignore[arg-type]
