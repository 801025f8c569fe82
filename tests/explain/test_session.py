"""One picture under study: scores fall where what they depend on is covered."""

import numpy as np
import pytest

from streamcam.config import Settings
from streamcam.errors import SourceError, UsageError
from streamcam.explain.masking import Fill
from streamcam.explain.session import ExplainSession, open_session
from streamcam.types import Box
from streamcam.vision.methods.targets import overlap
from tests.explain.drawn_street import SCENE, SETTINGS, box_of, number_of
from tests.explain.drawn_street import session as session

CORNER: Box = (0, 0, 40, 30)


@pytest.mark.parametrize("fill", list(Fill))
def test_a_persons_score_falls_when_the_person_is_covered(
    session: ExplainSession, fill: Fill
) -> None:
    person = number_of(session, "person")
    attempt = session.attempt(person, [box_of(session, "person")], fill)
    assert attempt.unmasked == pytest.approx(session.result.detections[person].confidence, abs=1e-4)
    assert attempt.score < attempt.unmasked - 0.3
    assert not attempt.detected
    assert person in attempt.lost


@pytest.mark.parametrize("fill", list(Fill))
def test_it_stays_when_a_corner_of_the_sky_is_covered(session: ExplainSession, fill: Fill) -> None:
    person = number_of(session, "person")
    attempt = session.attempt(person, [CORNER], fill)
    assert attempt.score == pytest.approx(attempt.unmasked, abs=0.02)
    assert attempt.detected
    assert person not in attempt.lost
    assert attempt.box is not None
    assert overlap(attempt.box, box_of(session, "person")) > 0.95


def test_a_score_below_the_threshold_is_told(session: ExplainSession) -> None:
    """Some part of a person, covered, leaves a candidate that would not be reported."""
    person = number_of(session, "person")
    x1, y1, x2, y2 = box_of(session, "person")
    shares = np.arange(0.3, 1.0, 0.1)
    found = [
        session.attempt(person, [(x1, y1, x2, y1 + share * (y2 - y1))], Fill.BLUR)
        for share in shares
    ]
    below = [one for one in found if 0.01 <= one.score < session.engine.confidence]
    assert below
    for one in below:
        assert not one.detected
        assert person in one.lost
        assert one.box is not None


def test_other_boxes_are_lost_and_new_ones_are_told_apart(session: ExplainSession) -> None:
    """Over the whole picture nothing is left; what appears overlaps no box of its class."""
    height, width = session.result.frame.picture.shape[:2]
    everything = session.attempt(0, [(0, 0, width, height)], Fill.BLACK)
    assert list(everything.lost) == list(range(len(session.result.detections)))
    assert everything.score == 0
    assert everything.box is None
    person = box_of(session, "person")
    for fill in Fill:
        for one in session.attempt(0, [person], fill).appeared:
            assert one.score >= session.engine.confidence
            same = [d for d in session.result.detections if d.class_id == one.class_id]
            assert all(overlap(d.box, one.box) < 0.5 for d in same)


def test_classes_that_are_not_wanted_do_not_appear() -> None:
    model = SETTINGS.model.model_copy(update={"classes": ("Person",)})
    with open_session(Settings(model=model), SCENE, at=1.0) as people:
        assert {one.label for one in people.result.detections} == {"person"}
        height, width = people.result.frame.picture.shape[:2]
        attempt = people.attempt(0, [(0, 0, width / 2, height)], Fill.BLACK)
    assert {one.label for one in attempt.appeared} <= {"person"}


def test_the_frame_is_the_first_one_from_that_time_on(session: ExplainSession) -> None:
    assert session.result.frame.time == pytest.approx(1.0)
    assert session.methods[:2] == ["eigencam", "eigengradcam"]


def test_what_cannot_be_looked_at_is_refused() -> None:
    with (
        pytest.raises(UsageError, match="no method 'gradcamm'"),
        open_session(SETTINGS, SCENE, methods=["gradcamm"]),
    ):
        pass
    with (
        pytest.raises(SourceError, match=r"no frame at 9 s or later: it lasts 4\.0 s"),
        open_session(SETTINGS, SCENE, at=9),
    ):
        pass
    model = SETTINGS.model.model_copy(update={"confidence": 0.999})
    with (
        pytest.raises(SourceError, match="nothing was detected") as caught,
        open_session(Settings(model=model), SCENE),
    ):
        pass
    assert "--confidence, which is 0.999" in (caught.value.hint or "")
