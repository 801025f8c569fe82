"""The engine's answer to why: maps for the boxes of some frames, on a budget."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from streamcam.clock import Clock
from streamcam.types import (
    Box,
    BoxMap,
    Detection,
    Explanation,
    Frame,
    FrameResult,
    HeatMap,
)
from streamcam.vision.cam.focus import map_peak, measure_focus
from streamcam.vision.methods.registry import Floats, MapMaker
from streamcam.vision.methods.saved_activations import Group, SavedActivations, Target
from streamcam.vision.methods.targets import LEAST_OVERLAP, overlap
from streamcam.vision.methods.time_budget import TimeBudget

_log = logging.getLogger(__name__)

Explain = Literal["box", "frame"]

# Someone who walks has left his box after a second or two; a parked car stays in it for longer.
_HELD_SECONDS = 10.0


@dataclass(slots=True)
class _Memory:
    """What is remembered of a source.

    Attributes:
        count: Explained frames since the last one whose boxes were.
        heat: The method's last map of the frame in this shot.
        time: When its boxes were explained last, in seconds of the source's time.
        explained: The detections with their maps.
    """

    count: int = 0
    heat: HeatMap | None = None
    time: float = 0.0
    explained: Sequence[Detection] = ()


class Attribution:
    """Explains the boxes of every n-th explained frame of each source. For one thread.

    In between, results pass as they are, with EigenCAM's map of the frame; a box that stands where
    one of its class was explained keeps that one's map, with its age. So they do where nothing was
    found: there is nothing to explain.

    Live sources (frames with a wall-clock time) are explained when their turn has come and the
    pace allows it, see `TimeBudget`.

    Args:
        maker: Makes the maps.
        explain: "box": a map for each box, the frame's map being the brightest of them at every
            place. "frame": one map for the scores of the boxes together.
        every: A source's boxes are explained in every n-th of its explained frames.
        top: So many boxes of a frame are explained, the most confident.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        maker: MapMaker,
        *,
        explain: Explain = "box",
        every: int = 1,
        top: int = 5,
        clock: Clock | None = None,
    ) -> None:
        self.method = maker.method
        self._maker = maker
        self._explain = explain
        self._every = every
        self._top = top
        self._pace = TimeBudget(maker.method, clock)
        self._sources: dict[str, _Memory] = {}
        self._said = False

    def due(self, frames: Sequence[Frame]) -> list[bool]:
        """Whose boxes are to be explained; counts the frames, so it is asked once for each."""
        return [self._is_due(frame) for frame in frames]

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source."""
        self._sources.pop(source, None)

    def apply(
        self, results: Sequence[FrameResult], kept: SavedActivations | None, due: Sequence[bool]
    ) -> list[FrameResult]:
        """Put maps of boxes into results.

        Args:
            results: Of a batch, with EigenCAM's maps; frames of one source in their order.
            kept: What is left of the forward for those that are due, in that order.
            due: Which of the results are due.
        """
        whys = iter(self._maps([r for r, d in zip(results, due, strict=True) if d], kept))
        return [
            self._settled(result, next(whys) if is_due else None)
            for result, is_due in zip(results, due, strict=True)
        ]

    def _is_due(self, frame: Frame) -> bool:
        memory = self._sources.setdefault(frame.source, _Memory())
        turn = memory.count == 0
        if turn and not self._pace.allows(frame):
            return False
        memory.count = (memory.count + 1) % self._every
        return turn

    def _maps(
        self, results: Sequence[FrameResult], kept: SavedActivations | None
    ) -> list[Floats | None]:
        """For every due result its maps, [groups, rows, columns]; None where nothing was found."""
        maps: list[Floats | None] = [None] * len(results)
        some = [index for index, result in enumerate(results) if result.detections]
        if not some or kept is None:
            return maps
        self._pace.begin()
        groups = [self._groups(results[index].detections) for index in some]
        sizes = [results[index].explanation.map.shape for index in some]
        for index, made in zip(some, self._made(kept.some(some), groups, sizes), strict=True):
            maps[index] = made
        self._pace.end(len(some))
        return maps

    def _groups(self, detections: Sequence[Detection]) -> list[Group]:
        targets = [Target.of(detection) for detection in detections[: self._top]]
        return [targets] if self._explain == "frame" else [[target] for target in targets]

    def _made(
        self,
        kept: SavedActivations,
        groups: Sequence[Sequence[Group]],
        sizes: Sequence[tuple[int, ...]],
    ) -> list[Floats | None]:
        """The maps of a batch; picture by picture where the device has no room for all."""
        cells = [(size[0], size[1]) for size in sizes]
        try:
            return list(self._maker(kept, groups, cells))
        except torch.OutOfMemoryError:
            if len(groups) == 1:
                self._say_no_room()
                return [None]
        return [
            made
            for index in range(len(groups))
            for made in self._made(
                kept.some([index]), groups[index : index + 1], sizes[index : index + 1]
            )
        ]

    def _say_no_room(self) -> None:
        if not self._said:
            self._said = True
            _log.warning("the GPU has no room for %s: maps stay EigenCAM", self.method)

    def _settled(self, result: FrameResult, maps: Floats | None) -> FrameResult:
        memory = self._sources.setdefault(result.frame.source, _Memory())
        if result.explanation.flicker is None:  # a new shot
            memory.heat, memory.explained = None, ()
        if maps is None:
            return _with_held(result, memory)
        heat = maps.max(axis=0)
        detections = _measured(result, heat)
        if self._explain == "box":
            detections = [
                replace(d, why=_box_map(self.method, own, d.box, result.frame))
                for d, own in zip(detections, maps, strict=False)
            ] + detections[len(maps) :]
        explanation = _explanation(self.method, heat, memory.heat, result.frame)
        memory.heat, memory.time, memory.explained = heat, result.frame.time, detections
        return FrameResult(result.frame, tuple(detections), explanation)


def _explanation(method: str, heat: HeatMap, before: HeatMap | None, frame: Frame) -> Explanation:
    height, width = frame.picture.shape[:2]
    flicker = None
    if before is not None and before.shape == heat.shape:
        flicker = float(np.abs(heat - before).mean())
    return Explanation(
        method=method,
        map=heat,
        explained_variance=None,
        flicker=flicker,
        peak=map_peak(heat, width, height),
    )


def _measured(result: FrameResult, heat: HeatMap) -> list[Detection]:
    """The detections, their focus measured against another map of the frame."""
    height, width = result.frame.picture.shape[:2]
    boxes = [detection.box for detection in result.detections]
    scores = measure_focus(heat, boxes, width=width, height=height)
    return [
        replace(detection, focus=focus)
        for detection, focus in zip(result.detections, scores, strict=True)
    ]


def _box_map(method: str, heat: HeatMap, box: Box, frame: Frame) -> BoxMap:
    height, width = frame.picture.shape[:2]
    return BoxMap(method, heat, measure_focus(heat, [box], width=width, height=height)[0])


def _with_held(result: FrameResult, memory: _Memory) -> FrameResult:
    """A result whose boxes have the maps of those that were in their places."""
    age = result.frame.time - memory.time
    if not memory.explained or not 0 <= age <= _HELD_SECONDS:
        return result
    held = [_held(detection, memory.explained, age) for detection in result.detections]
    return replace(result, detections=tuple(held))


def _held(detection: Detection, explained: Sequence[Detection], age: float) -> Detection:
    alike = [one for one in explained if one.class_id == detection.class_id and one.why]
    best = max(alike, key=lambda one: overlap(one.box, detection.box), default=None)
    if best is None or best.why is None or overlap(best.box, detection.box) < LEAST_OVERLAP:
        return detection
    return replace(detection, why=replace(best.why, age=age))
