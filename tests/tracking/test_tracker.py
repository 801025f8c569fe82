"""Results get tracks and zones; nothing goes on over a cut."""

from streamcam.regions import Direction, Line, LineCrossing, Zone, ZoneChange
from streamcam.tracking.tracker import Tracker
from tests.tracking.paths import at, by_label, found, numbers, seen

LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
MIDDLE = Line("middle", (0.5, 1.0), (0.5, 0.0))


def test_each_detection_has_the_number_of_its_object() -> None:
    tracker = Tracker(3.0)
    results = [
        tracker.apply(seen(i / 5, found(at(100 + 10 * i)), found(at(500 - 10 * i), "car")))
        for i in range(5)
    ]
    assert numbers(results) == [[1, 2]] * 5
    assert by_label(results[-1]) == {"person": 1, "car": 2}
    assert all(not each.zones for result in results for each in result.detections)


def test_everything_else_of_a_result_stays() -> None:
    before = seen(0.0, found(at(100)))
    after = Tracker(3.0).apply(before)
    assert (after.frame, after.explanation) == (before.frame, before.explanation)
    (one,), (same,) = before.detections, after.detections
    assert (one.track_id, same.track_id) == (None, 1)
    assert (one.box, one.focus, one.confidence) == (same.box, same.focus, same.confidence)


def test_no_track_goes_on_over_a_new_shot() -> None:
    tracker = Tracker(3.0, [LEFT])
    first = tracker.apply(seen(0.0, found(at(100)), new_shot=True))
    second = tracker.apply(seen(0.2, found(at(100))))
    third = tracker.apply(seen(0.4, found(at(100)), new_shot=True))
    assert numbers([first, second, third]) == [[1], [1], [2]]
    assert third.zone_changes == (
        ZoneChange("left", "person", 1, seconds=0.2),
        ZoneChange("left", "person", 2),
    )
    assert tracker.counts().zones["left"].visits == {"person": 1}


def test_frames_without_objects() -> None:
    tracker = Tracker(3.0, [LEFT], [MIDDLE])
    assert tracker.apply(seen(0.0, new_shot=True)).detections == ()
    assert numbers([tracker.apply(seen(9.0, found(at(100))))]) == [[1]]


def test_zones_and_lines_are_told_with_the_frame() -> None:
    tracker = Tracker(1.0, [LEFT], [MIDDLE])
    results = [tracker.apply(seen(i / 5, found(at(200 + 20 * i)))) for i in range(12)]
    assert [each.detections[0].zones for each in results] == [("left",)] * 7 + [()] * 5
    assert results[0].zone_changes == (ZoneChange("left", "person", 1),)
    assert results[7].zone_changes == (ZoneChange("left", "person", 1, seconds=1.4),)
    assert [each.line_crossings for each in results] == [
        (LineCrossing("middle", Direction.IN, "person", 1),) if i == 7 else () for i in range(12)
    ]
    assert tracker.counts().lines["middle"][Direction.IN] == {"person": 1}


def test_who_is_not_found_any_more_leaves_when_the_track_ends() -> None:
    tracker = Tracker(1.0, [LEFT])
    for i in range(5):
        tracker.apply(seen(i / 5, found(at(100))))
    assert tracker.apply(seen(1.6)).zone_changes == ()
    assert tracker.counts().zones["left"].objects == 1
    assert tracker.apply(seen(2.0)).zone_changes == (ZoneChange("left", "person", 1, seconds=0.8),)
    assert tracker.counts().zones["left"].objects == 0
