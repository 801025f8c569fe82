"""Settings of events: of all cameras and files, and what a camera has of its own."""

from pathlib import Path

import pytest

from tests.config.test_camera_schema import camera, fault, load


def test_a_table_turns_on_the_events_of_a_camera(tmp_path: Path) -> None:
    text = camera("[camera.events]", "classes = 'person, dog'", "min_seconds = '2s'")
    with_events, without = load(text + camera(name="door"), tmp_path).camera
    assert with_events.events is not None
    assert with_events.events.classes == ("person", "dog")
    assert with_events.events.min_seconds == 2
    assert with_events.events.min_confidence is without.events is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["min_confidence = 2"], "camera.0.events.min_confidence: must be 0 to 1, not 2"),
        (["min_sekonds = 2"], 'camera.0.events.min_sekonds: unknown, did you mean "min_seconds"?'),
        (["min_seconds = 'x'"], "camera.0.events.min_seconds: must be a duration such as"),
        (["zones = ['dor']"], "camera.0.events: zones: 'dor' is unknown (known: none)"),
        (["min_lift = 2", "max_lift = 1"], "camera.0.events.max_lift: must be more than min_lift"),
    ],
)
def test_faults_are_told_with_their_place(lines: list[str], message: str, tmp_path: Path) -> None:
    assert fault(camera("[camera.events]", *lines), tmp_path).startswith(message)
