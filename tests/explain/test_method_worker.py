"""Maps and their numbers in the background: what is wanted first, and what is given up."""

from collections.abc import Callable, Sequence

import numpy as np

from streamcam.audit.faithfulness import FaithfulnessMeter
from streamcam.explain.box_verdict import Trust
from streamcam.explain.masking import Fill
from streamcam.explain.method_worker import MethodView, Stage
from streamcam.explain.session import ExplainSession, open_session
from streamcam.types import HeatMap
from streamcam.vision.methods.targets import BoxTarget
from tests.explain.drawn_street import SCENE, SETTINGS, number_of
from tests.explain.drawn_street import session as session
from tests.jobs.conftest import eventually
from tests.vision.methods.scenes import nano

PATIENCE = 120


def wait_for(
    session: ExplainSession, box: int, methods: Sequence[str], done: Callable[[MethodView], bool]
) -> list[MethodView]:
    """Return the views of methods once all of them are as they should be."""
    eventually(
        lambda: all(done(view) for view in session.views(box, methods)), "done", within=PATIENCE
    )
    return session.views(box, methods)


def is_done(view: MethodView) -> bool:
    assert view.error is None
    return view.stage is Stage.DONE


def has_map(view: MethodView) -> bool:
    return view.heat is not None


def test_maps_are_made_and_measured_as_in_an_audit(session: ExplainSession) -> None:
    person = number_of(session, "person")
    session.want(person, ["layercam", "eigencam"])
    layercam, eigencam = wait_for(session, person, ["layercam", "eigencam"], is_done)
    assert eigencam.heat is session.result.explanation.map
    assert eigencam.seconds is None
    assert layercam.heat is not None
    assert layercam.heat.max() == 1
    assert layercam.focus is not None
    assert layercam.focus.peak_inside
    assert layercam.trust is Trust.BETTER
    assert layercam.verdict is not None
    assert layercam.verdict.startswith("LayerCAM shows what this score depends on (0.")
    assert layercam.verdict.endswith("its peak lies in the box.")
    assert layercam.faithfulness is not None
    again = measured(session, layercam.heat, person)
    assert abs(layercam.faithfulness.deletion - again) < 1e-3


def measured(session: ExplainSession, heat: HeatMap, box: int) -> float:
    with nano() as detector:
        meter = FaithfulnessMeter(detector, session.result.frame.picture)
        (found,) = meter.measure(heat, [BoxTarget.of(session.result.detections[box])])
        return found.deletion


def test_what_is_not_wanted_any_more_is_given_up_and_scores_come_in_between(
    session: ExplainSession,
) -> None:
    box = len(session.result.detections) - 1
    session.want(box, ["scorecam"])
    eventually(lambda: session.views(box, ["scorecam"])[0].share > 0, "begun", within=PATIENCE)
    attempt = session.attempt(box, [], Fill.BLUR)
    assert attempt.score == attempt.unmasked
    (view,) = session.views(box, ["scorecam"])
    assert view.heat is None, "the score did not wait for the map"
    session.want(box, ["hirescam"])
    (made,) = wait_for(session, box, ["hirescam"], has_map)
    (view,) = session.views(box, ["scorecam"])
    assert (view.stage, view.heat) == (Stage.WAITING, None)
    assert made.heat is not None
    assert np.isfinite(made.heat).all()
    session.want(box, [])


def test_a_fault_of_one_method_leaves_the_others(session: ExplainSession) -> None:
    box = number_of(session, "person")
    session.want(box, ["no such method", "gradcam"])
    _, gradcam = wait_for(
        session, box, ["no such method", "gradcam"], lambda v: bool(v.error) or has_map(v)
    )
    (failed,) = session.views(box, ["no such method"])
    assert failed.stage is Stage.FAILED
    assert failed.error == "KeyError: 'no such method'"
    assert gradcam.heat is not None
    session.want(box, [])


def test_a_session_ends_between_two_passes_of_a_map() -> None:
    with open_session(SETTINGS, SCENE, at=1.0) as other:
        other.want(0, ["scorecam"])
        eventually(lambda: other.views(0, ["scorecam"])[0].share > 0, "begun", within=PATIENCE)
    assert other.views(0, ["scorecam"])[0].heat is None
