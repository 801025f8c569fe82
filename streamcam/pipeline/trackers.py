"""Trackers, and pictures of what they watch, as the settings describe them."""

from typing import TYPE_CHECKING

from streamcam.config.schema import RenderSettings
from streamcam.config.tracking_schema import TrackingSettings
from streamcam.regions import Line, Zone
from streamcam.render import Style

if TYPE_CHECKING:
    from streamcam.tracking.tracker import Tracker


def tracker_of(settings: TrackingSettings | None) -> "Tracker | None":
    """Return a new source's tracker; None where its objects are not tracked."""
    if settings is None or not settings.on:
        return None
    from streamcam.tracking.tracker import Tracker

    return Tracker(settings.lost_after, *_regions(settings))


def style_of(render: RenderSettings, tracking: TrackingSettings | None) -> Style:
    """Return how a source's pictures are annotated: its zones and lines are outlined."""
    zones, lines = ((), ()) if tracking is None else _regions(tracking)
    return Style(**render.model_dump(), zones=zones, lines=lines)


def _regions(settings: TrackingSettings) -> tuple[tuple[Zone, ...], tuple[Line, ...]]:
    zones = tuple(zone.zone() for zone in settings.zones)
    return zones, tuple(line.line() for line in settings.lines)
