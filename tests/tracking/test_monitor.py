"""Zones and lines: who is in, who came and went, who crossed, and no one for jitter."""

import numpy as np
import pytest

from streamcam.regions import Direction, Line, LineCrossing, Zone, ZoneChange, ZoneCounts
from streamcam.tracking.monitor import RegionMonitor
from tests.tracking.paths import HEIGHT, WIDTH, at, found

DOOR = Zone("door", ((0.25, 0.25), (0.5, 0.25), (0.5, 0.75), (0.25, 0.75)))
CORNER = Zone("corner", ((0.0, 0.0), (0.5, 0.0), (0.0, 1.0)))
UPWARDS = Line("gate", (0.5, 1.0), (0.5, 0.0))


def monitor(*zones: Zone, lines: tuple[Line, ...] = ()) -> RegionMonitor:
    made = RegionMonitor(zones, lines)
    made.resize(WIDTH, HEIGHT)
    return made


def test_an_object_enters_and_leaves_a_zone() -> None:
    watched = monitor(DOOR)
    told = []
    for second, x in enumerate((100, 200, 300, 400)):
        zones, changes, _ = watched.place(float(second), 7, found(at(x)))
        assert zones == (("door",) if 160 <= x <= 320 else ())
        told.append(changes)
    assert told == [
        [],
        [ZoneChange("door", "person", 7)],
        [],
        [ZoneChange("door", "person", 7, seconds=2.0)],
    ]
    assert watched.counts().zones == {"door": ZoneCounts(0, {"person": 1}, {"person": 2.0})}


@pytest.mark.parametrize(
    ("x", "foot", "inside"),
    [(160.0, 200.0, True), (159.0, 200.0, False), (240.0, 90.0, True), (240.0, 271.0, False)],
)
def test_an_object_is_where_it_stands(x: float, foot: float, *, inside: bool) -> None:
    zones, _, _ = monitor(DOOR).place(0.0, 1, found(at(x, foot)))
    assert bool(zones) is inside


def test_zones_overlap_and_have_any_shape() -> None:
    watched = monitor(DOOR, CORNER)
    assert watched.place(0.0, 1, found(at(170, 100)))[0] == ("door", "corner")
    assert watched.place(0.0, 2, found(at(310, 260)))[0] == ("door",)
    assert watched.place(0.0, 3, found(at(30, 100)))[0] == ("corner",)
    zones = watched.counts().zones
    assert {name: zone.objects for name, zone in zones.items()} == {"door": 2, "corner": 2}


def test_jitter_at_the_edge_of_a_zone_is_one_visit() -> None:
    watched = monitor(DOOR)
    random = np.random.default_rng(2)
    changes = [
        change
        for i in range(200)
        for change in watched.place(i / 5, 1, found(at(160 + random.uniform(-4, 4))))[1]
    ]
    assert changes == [ZoneChange("door", "person", 1)]


def test_a_track_that_ends_leaves_when_it_was_last_found() -> None:
    watched = monitor(DOOR)
    watched.place(1.0, 1, found(at(200)))
    watched.place(2.5, 1, found(at(210)))
    assert watched.end({1: 2.5, 9: 2.5}) == [ZoneChange("door", "person", 1, seconds=1.5)]
    assert watched.counts().zones["door"].objects == 0
    assert watched.end({1: 2.5}) == []


@pytest.mark.parametrize(("steps", "direction"), [((250, 390), "in"), ((390, 250), "out")])
def test_a_line_is_crossed_in_two_directions(steps: tuple[int, int], direction: str) -> None:
    """Who looks upwards sees an object that moves to the right come in."""
    watched = monitor(lines=(UPWARDS,))
    crossings = []
    for i, x in enumerate(np.linspace(*steps, 15)):
        crossings += watched.place(i / 5, 3, found(at(float(x))))[2]
    assert crossings == [LineCrossing("gate", Direction(direction), "person", 3)]
    none: dict[Direction, dict[str, int]] = {Direction.IN: {}, Direction.OUT: {}}
    assert watched.counts().lines == {"gate": {**none, Direction(direction): {"person": 1}}}


def test_one_large_step_over_a_line_counts() -> None:
    watched = monitor(lines=(UPWARDS,))
    watched.place(0.0, 3, found(at(100)))
    assert len(watched.place(1.0, 3, found(at(600)))[2]) == 1


def test_jitter_on_a_line_is_no_crossing() -> None:
    watched = monitor(lines=(UPWARDS,))
    random = np.random.default_rng(3)
    watched.place(0.0, 1, found(at(280)))
    for i in range(300):
        assert watched.place(i / 5, 1, found(at(320 + random.uniform(-4.5, 4.5))))[2] == []
    assert watched.place(100.0, 1, found(at(280)))[2] == [], "it went back"
    assert watched.counts().lines == {"gate": {Direction.IN: {}, Direction.OUT: {}}}


def test_who_passes_the_end_of_a_line_does_not_cross_it() -> None:
    half = Line("half", (0.5, 1.0), (0.5, 0.6))
    watched = monitor(lines=(half,))
    for i, x in enumerate(range(250, 400, 10)):
        assert watched.place(i / 5, 1, found(at(x, 200)))[2] == []
        assert watched.place(i / 5, 2, found(at(x, 230)))[2] == (
            [LineCrossing("half", Direction.IN, "person", 2)] if x == 330 else []
        )


def test_a_slanted_line() -> None:
    slanted = Line("slanted", (0.0, 0.0), (1.0, 1.0))
    watched = monitor(lines=(slanted,))
    watched.place(0.0, 1, found(at(300, 250)))
    (crossing,) = watched.place(1.0, 1, found(at(400, 150)))[2]
    assert crossing.direction is Direction.OUT, "to the left, for who looks down to the right"
