"""Notes when tracked objects enter and leave zones, and when they cross lines.

An object is where the middle of its box's lower edge is: where it stands. Boxes jitter, so only who
is clearly beyond an edge has left, and only who was clearly on both sides of a line has crossed it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.regions import (
    Direction,
    Line,
    LineCrossing,
    Point,
    RegionCounts,
    Zone,
    ZoneChange,
    ZoneCounts,
)
from streamcam.types import Detection

_MARGIN = 0.05
"""Share of the box's height by which an object must be beyond an edge; boxes jitter by about as
much."""

_MIN_MARGIN = 2.0
"""Pixels."""


@dataclass(slots=True)
class _Visitor:
    """What is known of a tracked object.

    Attributes:
        entered: When it entered each zone that it is in.
        sides: Of each line: on which side it was seen clearly the last time, and its place then.
    """

    label: str
    entered: dict[str, float] = field(default_factory=dict)
    sides: dict[str, tuple[bool, Point]] = field(default_factory=dict)


class RegionMonitor:
    """Follows the tracked objects of one source through its zones and across its lines.

    Names and counts last over reconnects; read `counts` from any thread.
    """

    def __init__(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        self._zones = tuple(zones)
        self._lines = tuple(lines)
        self._size = (0, 0)
        self._polygons: dict[str, npt.NDArray[np.float32]] = {}
        self._visitors: dict[int, _Visitor] = {}
        self._visits = {zone.name: Counter[str]() for zone in zones}
        self._seconds: Mapping[str, defaultdict[str, float]] = {
            zone.name: defaultdict(float) for zone in zones
        }
        self._crossings = {
            line.name: {direction: Counter[str]() for direction in Direction} for line in lines
        }

    @property
    def watches(self) -> bool:
        """Whether there is any zone or line."""
        return bool(self._zones or self._lines)

    def counts(self) -> RegionCounts:
        inside = Counter(
            zone for visitor in list(self._visitors.values()) for zone in list(visitor.entered)
        )
        return RegionCounts(
            {
                zone: ZoneCounts(inside[zone], dict(visits), dict(self._seconds[zone]))
                for zone, visits in self._visits.items()
            },
            {
                line: {direction: dict(counted) for direction, counted in directions.items()}
                for line, directions in self._crossings.items()
            },
        )

    def resize(self, width: int, height: int) -> None:
        """Set the size of the frames that follow, in pixels."""
        if (width, height) != self._size:
            self._size = width, height
            self._polygons = {
                zone.name: (np.array(zone.corners) * (width, height)).astype(np.float32)
                for zone in self._zones
            }

    def place(
        self, time: float, track: int, detection: Detection
    ) -> tuple[tuple[str, ...], list[ZoneChange], list[LineCrossing]]:
        """Take the place of a tracked object in the next frame.

        Returns the zones that it is in, and what it has done since the frame before.
        """
        visitor = self._visitors.setdefault(track, _Visitor(detection.label))
        visitor.label = detection.label
        x1, y1, x2, y2 = detection.box
        foot, margin = ((x1 + x2) / 2, y2), max(_MIN_MARGIN, _MARGIN * (y2 - y1))
        changes = self._move(visitor, track, time, foot, margin)
        crossings = self._cross(visitor, track, foot, margin)
        return tuple(visitor.entered), changes, crossings

    def end(self, ended: Mapping[int, float]) -> list[ZoneChange]:
        """Take the ends of tracks, each with the time when it was last found."""
        changes = []
        for track, time in ended.items():
            visitor = self._visitors.pop(track, None)
            if visitor is not None:
                changes += [
                    self._left(visitor, track, zone, time) for zone in list(visitor.entered)
                ]
        return changes

    def _move(
        self, visitor: _Visitor, track: int, time: float, foot: Point, margin: float
    ) -> list[ZoneChange]:
        changes = []
        for zone, polygon in self._polygons.items():
            depth = cv2.pointPolygonTest(polygon, foot, True)
            if zone not in visitor.entered and depth >= 0:
                visitor.entered[zone] = time
                changes.append(ZoneChange(zone, visitor.label, track))
            elif zone in visitor.entered and depth < -margin:
                changes.append(self._left(visitor, track, zone, time))
        return changes

    def _left(self, visitor: _Visitor, track: int, zone: str, time: float) -> ZoneChange:
        seconds = max(0.0, time - visitor.entered.pop(zone))
        self._visits[zone][visitor.label] += 1
        self._seconds[zone][visitor.label] += seconds
        return ZoneChange(zone, visitor.label, track, seconds)

    def _cross(
        self, visitor: _Visitor, track: int, foot: Point, margin: float
    ) -> list[LineCrossing]:
        crossings = []
        for line in self._lines:
            start, end = self._pixels(line.start), self._pixels(line.end)
            distance = _side(start, end, foot) / max(1.0, float(np.hypot(*_between(start, end))))
            if abs(distance) < margin:
                continue
            before = visitor.sides.get(line.name)
            visitor.sides[line.name] = distance > 0, foot
            if before is None or before[0] == (distance > 0):
                continue
            # Who passes one of the ends has changed sides too.
            if _side(before[1], foot, start) * _side(before[1], foot, end) <= 0:
                direction = Direction.IN if distance > 0 else Direction.OUT
                self._crossings[line.name][direction][visitor.label] += 1
                crossings.append(LineCrossing(line.name, direction, visitor.label, track))
        return crossings

    def _pixels(self, point: Point) -> Point:
        return point[0] * self._size[0], point[1] * self._size[1]


def _between(start: Point, end: Point) -> Point:
    return end[0] - start[0], end[1] - start[1]


def _side(start: Point, end: Point, point: Point) -> float:
    """Above 0 on the right for who looks from `start` to `end` (y points downwards), 0 on it."""
    (dx, dy), (px, py) = _between(start, end), _between(start, point)
    return dx * py - dy * px
