"""Zones and lines in the picture of a camera or file, and what tracked objects do there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
"""x, y in shares of the frame's width and height, 0..1."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A named polygon of three corners or more."""

    name: str
    corners: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A named line that objects are counted at."""

    name: str
    start: Point
    end: Point


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """A tracked object that entered a zone or left it.

    Attributes:
        seconds: How long it was in the zone, where it left; None where it entered.
    """

    zone: str
    label: str
    track_id: int
    seconds: float | None = None


class Direction(StrEnum):
    """How a line was crossed, as seen by somebody who looks from its start to its end."""

    IN = "in"
    """From left to right."""
    OUT = "out"
    """From right to left."""


@dataclass(frozen=True, slots=True)
class LineCrossing:
    """A tracked object that crossed a line."""

    line: str
    direction: Direction
    label: str
    track_id: int


@dataclass(frozen=True, slots=True)
class ZoneCounts:
    """What happened in a zone.

    Attributes:
        objects: How many objects are in it now.
        visits: How many have left it, by label.
        seconds: How long these were in it, in sum, by label.
    """

    objects: int
    visits: Mapping[str, int]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RegionCounts:
    """What happened in a camera's zones and at its lines.

    Attributes:
        zones: By name; all of them are there.
        lines: How many objects crossed a line, by its name, the direction and the label; all lines
            and both directions are there.
    """

    zones: Mapping[str, ZoneCounts] = field(default_factory=dict)
    lines: Mapping[str, Mapping[Direction, Mapping[str, int]]] = field(default_factory=dict)
