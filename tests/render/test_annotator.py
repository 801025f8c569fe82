"""Maps are held between explained frames, but never on a picture that stands still."""

from dataclasses import replace

import numpy as np

from streamcam.render import Annotator, annotate
from streamcam.render.style import Style
from streamcam.types import STANDSTILL_SECONDS, FrameResult, Picture
from tests.render.scene import GREY, cold, detection, explained, frame, plain, spot

COLOURED: Picture = np.concatenate([plain(320), plain(320) * np.array([1, 0, 2], np.uint8)], axis=1)
BARE = Style(legend=False, timestamp=False)


def result(unchanged: float) -> FrameResult:
    seen = explained(COLOURED, spot(), [detection((60, 60, 200, 200))])
    return replace(seen, frame=replace(seen.frame, unchanged=unchanged))


def test_a_still_picture_is_grey_and_without_heat_and_boxes() -> None:
    picture = annotate(result(STANDSTILL_SECONDS), BARE)
    assert picture.shape == COLOURED.shape
    assert (np.ptp(picture, axis=2) == 0).all(), "no colour is left: no heat, no box"
    assert len(np.unique(picture)) == 2, "nothing is drawn on the two areas"


def test_a_picture_is_shown_as_usual_until_it_counts_as_still() -> None:
    before = annotate(result(STANDSTILL_SECONDS - 0.1), BARE)
    assert np.array_equal(before, annotate(result(0.0), BARE))
    assert (np.ptp(before, axis=2) > 0).any()


def test_a_still_picture_says_for_how_long() -> None:
    warned = annotate(result(42.0), Style(timestamp=False))
    assert not np.array_equal(warned, annotate(result(43.0), Style(timestamp=False)))
    bare = annotate(result(42.0), BARE)
    assert not np.array_equal(warned, bare)
    assert np.array_equal(warned[:300], bare[:300]), "only the corner at the bottom differs"


def test_a_held_map_fades_with_its_age() -> None:
    annotator = Annotator(BARE)
    heats = [float(annotator.annotate(explained(plain(), spot(), time=1.0))[100, 180, 0])]
    for time in (1.2, 1.5, 2.0, 9.0):
        passing = frame(plain(), time=time, sampled=False)
        heats.append(float(annotator.annotate(passing)[100, 180, 0]))
    assert heats[0] > heats[1] > heats[2] > heats[3] == heats[4] > GREY


def test_a_frame_before_the_first_map_or_after_a_cut_is_left_as_it_is() -> None:
    annotator = Annotator(BARE)
    passing = frame(plain(), sampled=False)
    first = annotator.annotate(passing)
    assert (first == GREY).all()
    assert first is not passing.picture
    annotator.annotate(explained(plain(), spot(), time=1.0))
    cut = frame(plain(), time=1.1, sampled=False, discontinuity=True)
    assert (annotator.annotate(cut) == GREY).all()


def test_every_explained_frame_has_its_own_map() -> None:
    annotator = Annotator(BARE)
    annotator.annotate(explained(plain(), spot()))
    assert (annotator.annotate(explained(plain(), cold())) == GREY).all()
