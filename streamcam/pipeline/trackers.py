"""Trackers as the settings describe them."""

from typing import TYPE_CHECKING

from streamcam.config.tracking_schema import TrackingSettings

if TYPE_CHECKING:
    from streamcam.tracking.tracker import Tracker


def tracker_of(settings: TrackingSettings | None) -> "Tracker | None":
    """Return a new source's tracker; None where its objects are not tracked."""
    if settings is None or not settings.on:
        return None
    from streamcam.tracking.tracker import Tracker

    zones = [zone.zone() for zone in settings.zones]
    lines = [line.line() for line in settings.lines]
    return Tracker(settings.lost_after, zones, lines)
