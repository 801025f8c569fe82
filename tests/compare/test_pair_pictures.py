"""Two detectors in one picture: the marks are where the boxes are, in their colours."""

import numpy as np
import pytest

from streamcam.compare.box_matching import FoundBy, match_boxes
from streamcam.compare.pair_pictures import COLOURS, PairArtist
from streamcam.compare.tally import Tally
from streamcam.render.style import Colour, Style
from streamcam.types import Box, FrameResult, HeatMap, Picture
from tests.compare.made_results import SIZE, detection, result

HEIGHT, WIDTH = SIZE
BOTH, DOG, CAR, BUS = (4, 24, 20, 60), (26, 24, 42, 60), (48, 24, 64, 60), (70, 24, 86, 60)


def drawn(a: FrameResult, b: FrameResult) -> tuple[Picture, PairArtist]:
    artist = PairArtist(("fp32", "int8"), (WIDTH, HEIGHT), Style())
    matched = match_boxes(a.detections, b.detections)
    return artist.draw(a, b, matched, Tally().add(a, b, matched)), artist


def results(heat_a: HeatMap | None = None, heat_b: HeatMap | None = None) -> list[FrameResult]:
    a = [detection("person", 0.9, BOTH), detection("dog", 0.8, DOG), detection("car", 0.7, CAR)]
    b = [detection("person", 0.8, BOTH), detection("cat", 0.8, DOG), detection("bus", 0.7, BUS)]
    return [result(1.0, a, heat_a), result(1.0, b, heat_b)]


def edge(picture: Picture, box: Box, side: int, artist: PairArtist) -> Colour:
    """The colour of a box's left edge, two thirds down, in A's part (side 0) or B's (1)."""
    factor = artist.size[0] / 2 / WIDTH
    x = round(box[0] * factor) + side * artist.size[0] // 2
    y = round((box[1] + 2 * box[3]) / 3 * factor)
    red, green, blue = picture[y, x].tolist()
    return red, green, blue


def test_each_kind_of_box_has_its_colour_in_its_part() -> None:
    picture, artist = drawn(*results())
    assert picture.shape == (artist.size[1], artist.size[0], 3)
    assert edge(picture, BOTH, 0, artist) == edge(picture, BOTH, 1, artist)
    assert edge(picture, BOTH, 0, artist) == COLOURS[FoundBy.BOTH]
    for side in (0, 1):
        assert edge(picture, DOG, side, artist) == COLOURS[FoundBy.OTHER_CLASS]
    assert edge(picture, CAR, 0, artist) == COLOURS[FoundBy.ONLY_A]
    assert edge(picture, BUS, 1, artist) == COLOURS[FoundBy.ONLY_B]
    assert edge(picture, CAR, 1, artist) == (90, 90, 90)
    assert edge(picture, BUS, 0, artist) == (90, 90, 90)


def test_the_difference_of_the_maps_is_blue_for_a_and_orange_for_b() -> None:
    left, right = np.zeros((8, 12), np.float32), np.zeros((8, 12), np.float32)
    left[:, :4], right[:, 8:] = 1, 1
    picture, artist = drawn(*results(left, right))
    width, height = (side // 2 for side in artist.size)
    row = height + height * 3 // 4
    red, _, blue = picture[row, width // 12].astype(int)
    assert blue > red + 80
    red, _, blue = picture[row, width - width // 12].astype(int)
    assert red > blue + 80
    assert np.ptp(picture[row, width // 2].astype(int)) == 0


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (3840, 2160), (120, 90), (64, 900)])
def test_sizes_are_even_and_bounded(size: tuple[int, int]) -> None:
    artist = PairArtist(("x" * 300, "y"), size, Style())
    assert all(side % 2 == 0 for side in artist.size)
    assert 960 <= max(artist.size) <= 1920


def test_the_chart_grows_with_the_frames() -> None:
    a, b = results()
    matched = match_boxes(a.detections, b.detections)
    artist = PairArtist(("fp32", "int8"), (WIDTH, HEIGHT), Style())
    numbers = Tally().add(a, b, matched)
    first, *_, last = [artist.draw(a, b, matched, numbers) for _ in range(40)]
    corner = np.s_[artist.size[1] * 7 // 8 :, artist.size[0] // 2 :]
    assert not np.array_equal(first[corner], last[corner])
