"""Which frames are kept as pictures."""

import numpy as np

from streamcam.compare.selected_frames import BestOfUnits, decoded, jpeg


def test_the_highest_scores_are_kept_one_of_each_unit() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    best = BestOfUnits[str](2)
    for unit, score, name in [
        *((0, 1.0, "a"), (0, 3.0, "b"), (0, 2.0, "c"), (1, 1.0, "d"), (2, 0.5, "e")),
        *((3, 2.0, "f"), (4, 0.0, "g")),
    ]:
        best.consider(unit, score, lambda name=name: make(name))  # type: ignore[misc]
    assert best.best() == ["b", "f"]
    assert made == ["a", "b", "d", "f"]


def test_nothing_is_kept_where_nothing_is_wanted() -> None:
    best = BestOfUnits[str](0)
    best.consider(0, 1.0, lambda: "never")
    assert best.best() == []


def test_colours_survive_encoding() -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = 200
    back = decoded(jpeg(picture, exact=True))
    assert back.shape == picture.shape
    assert np.abs(back.astype(int) - picture).max() <= 4
