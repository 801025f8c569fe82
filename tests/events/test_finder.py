"""Which tracked objects become events, and when they begin, change and end."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from streamcam.clock import Clock
from streamcam.config.event_schema import EventSettings
from streamcam.events.event import Event, EventChange, EventStage, Suspicion
from streamcam.events.event_json import as_json
from streamcam.events.finder import EventFinder
from streamcam.types import FrameResult
from tests.events.tracked import BEGIN, found, result, stretch

LOST_AFTER = 3.0


def finder(**rule: Any) -> EventFinder:
    return EventFinder("yard", EventSettings(**rule), LOST_AFTER, Clock())


def told(frames: Iterable[FrameResult], **rule: Any) -> list[EventChange]:
    """Return all that is told of some frames, and of the source's end after them."""
    events = finder(**rule)
    changes = [change for frame in frames for change in events.update(frame)]
    return changes + events.end()


def ended(frames: Iterable[FrameResult], **rule: Any) -> list[Event]:
    return [change.event for change in told(frames, **rule) if change.stage is EventStage.END]


def test_an_event_lasts_from_the_first_to_the_last_frame_of_its_track() -> None:
    frames = [*stretch(0, 3), *stretch(3, 20, found()), *stretch(20, 40)]
    new, end = told(frames)
    assert (new.stage, end.stage) == (EventStage.NEW, EventStage.END)
    assert new.event.latest is not None
    assert new.event.latest.frame == 8, "a second after its first frame"
    event = end.event
    assert (event.begin.frame, event.end and event.end.frame) == (3, 19)
    assert (event.frames, event.confidence, event.label) == (17, 0.8, "person")
    assert event.id == new.event.id
    assert event.id.startswith(f"{BEGIN.timestamp() + 0.6:.6f}-")
    assert end.before == new.event


def test_what_is_told_of_an_event_has_the_form_of_the_schema() -> None:
    frames = [*stretch(0, 20, found(zones=("door",))), *stretch(20, 40)]
    validator = jsonschema.Draft202012Validator(schemas.schema("event"))
    for change in told(frames):
        validator.validate(as_json(change.event))
    (event,) = ended(frames)
    assert as_json(event)["begin"] == {
        "frame": 0,
        "time": 0.0,
        "time_utc": "2025-03-01T12:00:00.000Z",
    }
    assert as_json(event)["zones"] == ["door"]


def test_an_end_is_told_when_the_object_has_been_gone_for_some_time() -> None:
    events = finder()
    for frame in stretch(0, 20, found()):
        events.update(frame)
    at = next(f.frame.time for f in stretch(20, 60) if events.update(f))
    assert at == pytest.approx(19 / 5 + LOST_AFTER, abs=0.21)


def test_at_one_frame_in_five_seconds_a_single_missing_frame_is_no_end() -> None:
    times = [0, 5, 10, 15, 25, 30]
    frames = [result(n, found(), time=time) for n, time in enumerate(times)]
    frames.insert(4, result(9, time=20))
    (event,) = ended(frames)
    assert event.end is not None
    assert (event.begin.time, event.end.time, event.frames) == (0, 30, 6)


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({}, True),
        ({"classes": ("person", "dog")}, True),
        ({"classes": ("dog",)}, False),
        ({"min_confidence": 0.8}, True),
        ({"min_confidence": 0.81}, False),
        ({"min_seconds": 3.8}, True),
        ({"min_seconds": 4.0}, False),
        ({"zones": ("door", "gate")}, True),
        ({"zones": ("gate",)}, False),
        ({"min_lift": 2.0}, True),
        ({"min_lift": 2.1}, False),
        ({"max_lift": 2.0}, True),
        ({"max_lift": 1.9}, False),
    ],
)
def test_rules(rule: dict[str, Any], passes: bool) -> None:
    frames = [*stretch(0, 20, found(zones=("door",))), *stretch(20, 40)]
    assert bool(told(frames, **rule)) == passes


def test_a_zone_that_was_left_counts() -> None:
    door, outside = found(zones=("door",)), found()
    frames = [result(0, door), *stretch(1, 20, outside)]
    (event,) = ended(frames, zones=("door",))
    assert event.zones == ("door",)


def test_the_zones_of_the_moment_are_told() -> None:
    door, outside = found(zones=("door",)), found()
    frames = [*stretch(0, 10, door), *stretch(10, 30, outside), *stretch(30, 50)]
    changes = [(change.stage, change.event.current_zones) for change in told(frames)]
    assert changes == [
        (EventStage.NEW, ("door",)),
        (EventStage.UPDATE, ()),
        (EventStage.END, ()),
    ]


def test_objects_without_a_track_are_no_events() -> None:
    assert told(stretch(0, 20, found(track=None))) == []


def test_two_objects_are_two_events() -> None:
    frames = [*stretch(0, 30, found(1), found(2, "dog")), *stretch(30, 50)]
    events = ended(frames)
    assert sorted((event.track_id, event.label) for event in events) == [(1, "person"), (2, "dog")]
    assert len({event.id for event in events}) == 2


def test_a_reconnect_ends_events_before_the_frame_after_it() -> None:
    events = finder()
    for frame in stretch(0, 20, found()):
        events.update(frame)
    (end,) = events.update(result(20, found(), discontinuity=True))
    assert (end.stage, end.event.end and end.event.end.frame) == (EventStage.END, 19)
    assert events.end() == [], "the object after it has not been there for a second"


def test_a_cut_ends_events() -> None:
    events = finder()
    for frame in stretch(0, 20, found()):
        events.update(frame)
    (end,) = events.update(replace(result(20, found(2)), new_shot=True))
    assert (end.stage, end.event.track_id) == (EventStage.END, 1)


def test_the_best_frame_is_given_once_and_is_one_of_the_event() -> None:
    rising = [result(n, found(confidence=0.3 + n / 100)) for n in range(30)]
    changes = told(rising)
    pictures = [change.picture for change in changes if change.picture is not None]
    assert [change.stage for change in changes[:2]] == [EventStage.NEW, EventStage.UPDATE]
    for change in changes:
        if change.picture is not None:
            assert change.picture.frame.index == change.event.best.frame
    assert len(pictures) == len({picture.frame.index for picture in pictures})
    assert changes[-1].event.confidence == pytest.approx(0.59)
    assert changes[-1].event.best.frame >= 25, "none is clearly better"


def test_changes_are_told_once_a_second_at_most_and_an_unchanged_event_now_and_then() -> None:
    flapping = [result(n, found(confidence=0.3 + n / 1000)) for n in range(5 * 60)]
    updates = [c for c in told(flapping) if c.stage is EventStage.UPDATE]
    times = [c.event.latest.time for c in updates if c.event.latest is not None]
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))
    still = [c for c in told(stretch(0, 5 * 60, found())) if c.stage is EventStage.UPDATE]
    assert len(still) == 5


def test_an_event_off_its_object_for_most_of_its_life_is_a_suspect() -> None:
    frames = [*stretch(0, 8, found(lift=3.0)), *stretch(8, 20, found(lift=0.5))]
    (event,) = ended(frames)
    assert event.suspicions == (Suspicion.OFF_OBJECT,)
    assert event.focus.share_off_object == pytest.approx(0.6)
    assert event.focus.lift_mean == pytest.approx((8 * 3.0 + 12 * 0.5) / 20)
    assert event.focus.lift_min == 0.5
    (other,) = ended([*stretch(0, 12, found(lift=3.0)), *stretch(12, 20, found(lift=0.5))])
    assert other.suspicions == ()


def test_a_track_that_is_lost_again_and_again_is_a_suspect() -> None:
    flickering = [result(n, *([found()] if n % 2 else [])) for n in range(40)]
    (event,) = ended(flickering)
    assert event.suspicions == (Suspicion.FLICKERING,)
    once = [*stretch(0, 10, found()), *stretch(10, 20), *stretch(20, 30, found())]
    (event,) = ended(once)
    assert event.suspicions == (), "an occlusion is no flicker"


def test_what_is_held_does_not_grow_with_the_number_of_tracks() -> None:
    events = finder(min_seconds=0)
    for n in range(5000):
        events.update(result(n, found(n + 1), found(n + 100_000, "dog")))
    assert len(events._tracks) <= 2 * (LOST_AFTER * 5 + 2)


def test_events_of_files_have_no_wall_clock_times() -> None:
    frames = [result(n, found(), live=False) for n in range(10)]
    (event,) = ended(frames)
    assert event.begin.utc is None
    assert event.began > BEGIN.timestamp(), "their ids begin with the time of the work on them"
