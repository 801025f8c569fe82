"""Tracks the objects of one source: numbers, zones and lines."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamcam.regions import Line, LineCrossing, RegionCounts, Zone, ZoneChange
from streamcam.tracking.association import Associator
from streamcam.tracking.monitor import RegionMonitor
from streamcam.types import Detection, FrameResult


class Tracker:
    """Gives the detections of one source their tracks and zones; one for the source's whole life.

    No track goes on over a scene cut or a reconnect, and no number is given twice. The camera is
    taken to stand still: one that turns makes many objects new.

    Args:
        lost_after: Seconds for which an object may be hidden and keep its number.
        zones, lines: Where objects are watched.
    """

    def __init__(
        self, lost_after: float, zones: Sequence[Zone] = (), lines: Sequence[Line] = ()
    ) -> None:
        self._associator = Associator(lost_after)
        self._monitor = RegionMonitor(zones, lines)

    def counts(self) -> RegionCounts:
        """What happened in the zones and at the lines so far; from any thread."""
        return self._monitor.counts()

    def apply(self, result: FrameResult) -> FrameResult:
        """Return the result with tracks, zones, and what objects did since the frame before.

        Args:
            result: The results of the source come in their order.
        """
        changes: list[ZoneChange] = []
        if result.new_shot:
            changes += self._monitor.end(dict(self._associator.forget()))
        detections = result.detections
        boxes = np.array([each.box for each in detections], np.float64).reshape(-1, 4)
        class_ids = np.array([each.class_id for each in detections], np.int64)
        numbers = self._associator.update(result.frame.time, boxes, class_ids)
        changes += self._monitor.end(dict(numbers.ended))
        tracked = [
            replace(each, track_id=number)
            for each, number in zip(detections, numbers.found.tolist(), strict=True)
        ]
        crossings: list[LineCrossing] = []
        if self._monitor.watches:
            tracked = self._placed(result, tracked, changes, crossings)
        return replace(
            result,
            detections=tuple(tracked),
            zone_changes=tuple(changes),
            line_crossings=tuple(crossings),
        )

    def _placed(
        self,
        result: FrameResult,
        tracked: list[Detection],
        changes: list[ZoneChange],
        crossings: list[LineCrossing],
    ) -> list[Detection]:
        """Return the detections with their zones, and add what they did to the lists."""
        height, width = result.frame.picture.shape[:2]
        self._monitor.resize(width, height)
        placed = []
        for detection in tracked:
            assert detection.track_id is not None
            time, track = result.frame.time, detection.track_id
            zones, changed, crossed = self._monitor.place(time, track, detection)
            placed.append(replace(detection, zones=zones))
            changes += changed
            crossings += crossed
        return placed
