"""A camera's picture that stands still is never shown as if it were seen now."""

from dataclasses import replace

import numpy as np

from streamcam.render import annotate
from streamcam.render.style import Style
from streamcam.types import STANDSTILL_SECONDS, FrameResult, Picture
from tests.render.scene import detection, explained, plain, spot

COLOURED: Picture = np.concatenate([plain(320), plain(320) * np.array([1, 0, 2], np.uint8)], axis=1)
BARE = Style(legend=False, timestamp=False)


def result(unchanged: float) -> FrameResult:
    seen = explained(COLOURED, spot(), [detection((60, 60, 200, 200))])
    return replace(seen, frame=replace(seen.frame, unchanged=unchanged))


def test_it_is_grey_and_without_heat_and_boxes() -> None:
    picture = annotate(result(STANDSTILL_SECONDS), BARE)
    assert picture.shape == COLOURED.shape
    assert (np.ptp(picture, axis=2) == 0).all(), "no colour is left: no heat, no box"
    assert len(np.unique(picture)) == 2, "nothing is drawn on the two areas"


def test_until_then_it_is_shown_as_ever() -> None:
    before = annotate(result(STANDSTILL_SECONDS - 0.1), BARE)
    assert np.array_equal(before, annotate(result(0.0), BARE))
    assert (np.ptp(before, axis=2) > 0).any()


def test_it_says_for_how_long() -> None:
    said = annotate(result(42.0), Style(timestamp=False))
    assert not np.array_equal(said, annotate(result(43.0), Style(timestamp=False)))
    unsaid = annotate(result(42.0), BARE)
    assert not np.array_equal(said, unsaid)
    assert np.array_equal(said[:300], unsaid[:300]), "only the corner at the bottom tells"
