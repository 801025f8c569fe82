"""Settings of tracking: numbers of objects, zones, lines."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from streamcam.config.fields import Duration, Flag, Form, Section
from streamcam.regions import Line, Point, Zone

_NAME = r"^[^\x00-\x1f\x7f]{1,64}$"
_NAME_FORM = "1 to 64 characters, none of them a control character"


def _in_frame(points: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0 <= number <= 1 for number in points):
        raise ValueError("points are in shares of the width and height, 0..1")
    return points


def _corners(points: tuple[float, ...]) -> tuple[float, ...]:
    if len(points) < 4 or len(points) % 2:
        raise ValueError("a zone is x, y, x, y, ...: two points (a box) or more")
    return _in_frame(points)


def _ends(points: tuple[float, ...]) -> tuple[float, ...]:
    if len(points) != 4 or points[:2] == points[2:]:
        raise ValueError("a line is x, y, x, y: two points")
    return _in_frame(points)


class ZoneSettings(Section):
    """A zone that objects are watched in."""

    name: Annotated[str, Form(_NAME_FORM)] = Field(pattern=_NAME, description="Its name.")
    points: Annotated[tuple[float, ...], AfterValidator(_corners)] = Field(
        description="A polygon as x, y, x, y, ... in shares of the width and height, 0..1; four "
        "numbers are a box."
    )

    def zone(self) -> Zone:
        numbers = self.points
        if len(numbers) == 4:
            x1, y1, x2, y2 = numbers
            numbers = (x1, y1, x2, y1, x2, y2, x1, y2)
        return Zone(self.name, tuple(_pairs(numbers)))


class LineSettings(Section):
    """A line that objects are counted at."""

    name: Annotated[str, Form(_NAME_FORM)] = Field(pattern=_NAME, description="Its name.")
    points: Annotated[tuple[float, ...], AfterValidator(_ends)] = Field(
        description="x, y, x, y of its ends in shares of the width and height, 0..1. Who looks "
        "from the first to the second counts `in` from left to right, `out` from right to left."
    )

    def line(self) -> Line:
        start, end = _pairs(self.points)
        return Line(self.name, start, end)


def _pairs(numbers: Sequence[float]) -> list[Point]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _named_once(regions: tuple[Section, ...]) -> tuple[Section, ...]:
    names = Counter(
        region.name for region in regions if isinstance(region, ZoneSettings | LineSettings)
    )
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(f"two are called {twice[0]!r}")
    return regions


ZoneTables: TypeAlias = Annotated[tuple[ZoneSettings, ...], AfterValidator(_named_once)]
LineTables: TypeAlias = Annotated[tuple[LineSettings, ...], AfterValidator(_named_once)]

ZONE_EXAMPLE = ({"name": "door", "points": [0.4, 0.5, 0.6, 0.9]},)
LINE_EXAMPLE = ({"name": "gate", "points": [0.2, 0.8, 0.9, 0.8]},)


class TrackingSettings(Section):
    """Tracks: each object's number, which it keeps from frame to frame."""

    enabled: Annotated[bool, Flag("track")] = Field(
        False,
        description="Number the objects: `track_id` in records, and in the pictures. On by itself "
        "where zones, lines or events need it.",
    )
    lost_after: Duration = Field(
        3.0,
        ge=0,
        le=60,
        description="How long an object may be hidden and keep its number.",
    )
    zones: ZoneTables = Field(
        (),
        description="Zones of all files, a table `[[tracking.zones]]` for each: who enters, who "
        "leaves, after how long. Those of cameras stand in `[[camera.zones]]`.",
    )
    lines: LineTables = Field(
        (),
        description="Lines of all files, a table `[[tracking.lines]]` for each: who crosses them, "
        "in which direction. Those of cameras stand in `[[camera.lines]]`.",
    )

    @property
    def on(self) -> bool:
        """Whether something here needs tracks."""
        return bool(self.enabled or self.zones or self.lines)
