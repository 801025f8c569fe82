"""What a broker is to hold, and what it is told."""

import json

import pytest

from streamcam.notifications.retained_state import RetainedState
from streamcam.notifications.topics import Topics
from streamcam.types import CameraState
from tests.events.tracked import found, result
from tests.notifications.conftest import camera


@pytest.fixture
def state() -> RetainedState:
    made = RetainedState(Topics("cams", "ha"), snapshots=False)
    made.set_cameras({"yard": ()})
    return made


def tell(state: RetainedState) -> dict[str, bytes]:
    """Tell a broker what is pending; return it, but for Home Assistant's devices."""
    pending = state.pending()
    for topic, payload in pending:
        state.note_told(topic, payload)
    return {topic: payload for topic, payload in pending if not topic.startswith("ha/")}


def test_only_what_differs_is_told(state: RetainedState) -> None:
    assert state.note_status(camera())
    assert tell(state) == {
        "cams/yard/status": b"live",
        "cams/yard/enabled/state": b"ON",
        "cams/yard/recordings/state": b"ON",
    }
    assert not state.note_status(camera())
    assert state.note_status(camera(state=CameraState.PAUSED))
    assert tell(state) == {"cams/yard/status": b"paused", "cams/yard/enabled/state": b"OFF"}
    assert tell(state) == {}
    state.forget_told()
    assert len(tell(state)) == 3, "a broker that may have forgotten is told everything"


def test_frames_count_only_where_numbers_change(state: RetainedState) -> None:
    assert state.note_frame(result(0, found(1), found(2, "dog")))
    assert not state.note_frame(result(1, found(3, "dog"), found(1)))
    assert tell(state) == {"cams/yard/person": b"1", "cams/yard/dog": b"1"}
    assert state.note_frame(result(2))
    assert tell(state) == {"cams/yard/person": b"0", "cams/yard/dog": b"0"}
    assert not state.note_frame(result(3, found(), source="nobody"))


def test_labels_that_share_a_level_are_counted_together(state: RetainedState) -> None:
    state.note_frame(result(0, found(1, "Big dog"), found(2, "big/dog"), found(3, "big dog")))
    assert tell(state) == {"cams/yard/big_dog": b"3"}


def test_a_camera_without_a_recording_any_more_has_no_switch(state: RetainedState) -> None:
    state.note_status(camera())
    tell(state)
    assert state.records("yard")
    state.note_status(camera(recording=None))
    assert tell(state) == {"cams/yard/recordings/state": b""}
    assert not state.records("yard")
    assert not state.records("nobody")


def test_a_model_with_thousands_of_classes_has_a_bounded_number_of_topics(
    state: RetainedState,
) -> None:
    for number in range(1000):
        state.note_frame(result(number, found(1, f"class {number}")))
    assert len(tell(state)) == 200
    assert state.pending() == []
    (message,) = [payload for topic, payload in all_of(state) if topic.startswith("ha/")]
    assert len(json.loads(message)["components"]) == 2 + 2 * 200


def all_of(state: RetainedState) -> list[tuple[str, bytes]]:
    state.forget_told()
    return state.pending()


@pytest.mark.parametrize(
    "topic", ["cams/yard/status", "cams/door/person", "cams/yard/person/snapshot", "cams/yard"]
)
def test_other_retained_topics_are_left_alone(state: RetainedState, topic: str) -> None:
    assert not state.note_found(topic, b"1")


def test_a_count_of_a_former_run_is_none_now(state: RetainedState) -> None:
    assert state.note_found("cams/yard/big_dog", b"2")
    assert tell(state) == {"cams/yard/big_dog": b"0"}
    assert not state.note_found("cams/yard/cat", b"many")
