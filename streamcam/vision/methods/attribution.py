"""Adds maps of boxes to the engine's results, within a budget of time."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from streamcam.cam_methods import METHODS, PerturbationFormula
from streamcam.clock import Clock
from streamcam.types import Box, BoxMap, Detection, Explanation, Frame, FrameResult, HeatMap
from streamcam.vision.cam.focus import map_peak, measure_focus
from streamcam.vision.cam.geometry import LevelGrids, Size
from streamcam.vision.cam.stabilizer import Floats
from streamcam.vision.methods.gradients import gradient_maps
from streamcam.vision.methods.perturbation import (
    PassProgress,
    perturbation_maps,
    progress_ignored,
)
from streamcam.vision.methods.saved_activations import Pyramid, SavedActivations
from streamcam.vision.methods.targets import MIN_OVERLAP, Group, Target, overlap
from streamcam.vision.models.detector import Detector

_log = logging.getLogger(__name__)

Explain = Literal["box", "frame"]

# A person who walks has left his box after a second or two; a parked car stays in it for longer.
_MAX_AGE_SECONDS = 10.0

# Share of the time that goes to the boxes of live sources, all together. A quarter leaves the rate
# of ordinary frames at three quarters of what it was, and live queues drop what exceeds that.
BUDGET_SHARE = 0.25

# A longer pass would make the live picture stutter visibly, however rare it is.
MAX_PASS_SECONDS = 0.25

# The first passes on a device are slow, so the quickest of this many decides.
_TRIALS = 3


@dataclass(frozen=True, slots=True)
class MapMaker:
    """Makes maps of targets by one method that has targets: any but EigenCAM."""

    detector: Detector
    method: str
    grids: LevelGrids
    level: str | None = None  # the only one to make maps of, for comparison; None for the sum
    progress: PassProgress = progress_ignored  # of methods that take many passes

    def __call__(
        self, saved: SavedActivations, groups: Sequence[Sequence[Group]], sizes: Sequence[Size]
    ) -> list[Floats]:
        """Make a map for every group of targets, at least one, of every image.

        Returns:
            For every image float32 [groups, *size], 0..1, spanning the displayed frame, each with
            its maximum at 1; zeros where a target has no match.

        Raises:
            torch.OutOfMemoryError: It does not fit into the device's memory.
        """
        with torch.no_grad():
            if METHODS[self.method].replays:
                saved = saved.replayable(self.detector)
            by_image, per_cell = self._maps_by_level(saved, groups)
            joined = []
            for (pyramid, maps), size in zip(by_image, sizes, strict=True):
                chosen = maps if self.level is None else {self.level: maps[self.level]}
                joined.append(pyramid.join(chosen, size, per_cell=per_cell).cpu().numpy())
        return joined

    def _maps_by_level(
        self, saved: SavedActivations, groups: Sequence[Sequence[Group]]
    ) -> tuple[list[tuple[Pyramid, dict[str, Tensor]]], bool]:
        """Every image's maps by level, and whether their values are shares of single cells."""
        formula = METHODS[self.method].formula
        assert formula is not None, "a method without targets"
        if isinstance(formula, PerturbationFormula):
            return [
                perturbation_maps(
                    self.detector, saved.select([index]), own, formula, self.grids, self.progress
                )
                for index, own in enumerate(groups)
            ], False
        maps = gradient_maps(self.detector, saved, groups, formula, self.grids)
        return maps, formula.per_cell


class TimeBudget:
    """Limits the time for the boxes of live sources; files have no limit.

    After a pass that took a second, the next one is allowed three seconds later. A method whose
    passes are too long is given up for live sources, and a warning is logged once.
    """

    def __init__(self, method: str, clock: Clock | None = None) -> None:
        self._method = method
        self._clock = clock or Clock()
        self._next = -math.inf
        self._costs: list[float] = []
        self._too_slow = False

    def allows(self, frame: Frame) -> bool:
        """Whether a frame's boxes may be explained now."""
        if frame.time_utc is None:
            return True
        return not self._too_slow and self._clock.monotonic() >= self._next

    @contextmanager
    def measure(self, frames: int) -> Iterator[None]:
        """Charge the time of a pass over some frames to the budget, unless it fails."""
        start = self._clock.monotonic()
        yield
        end = self._clock.monotonic()
        self._next = end + (end - start) * (1 / BUDGET_SHARE - 1)
        if len(self._costs) == _TRIALS:
            return
        self._costs.append((end - start) / frames)
        if len(self._costs) == _TRIALS and min(self._costs) > MAX_PASS_SECONDS:
            self._too_slow = True
            _log.warning(
                "%s takes %.1f s a frame here: too long for live sources, whose maps stay EigenCAM",
                self._method,
                min(self._costs),
            )


@dataclass(slots=True)
class _SourceState:
    count: int = 0  # of explained frames since the last one whose boxes were explained
    map: HeatMap | None = None  # the method's last one of the frame in this shot
    time: float = 0.0  # of the last explained boxes, in seconds of the source's time
    explained: Sequence[Detection] = ()  # with their maps


class Attribution:
    """Explains the boxes of every n-th explained frame of each source. For one thread.

    Results in between keep EigenCAM's map of the frame; a box that overlaps an explained one of its
    class reuses that one's map, with its age. The same holds where nothing was detected.

    Live sources (frames with a wall-clock time) are explained when they are due and the time budget
    allows it, see `TimeBudget`.

    Args:
        explain: "box": a map for each box; the frame's map is their maximum at every cell.
            "frame": one map for the sum of the boxes' scores.
        every: A source's boxes are explained in every n-th of its explained frames.
        top: Maximum number of boxes that are explained in a frame, the most confident.
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
        self._budget = TimeBudget(maker.method, clock)
        self._sources: dict[str, _SourceState] = {}
        self._memory_warned = False

    def due(self, frames: Sequence[Frame]) -> list[bool]:
        """Whose boxes are to be explained. Counts the frames: call it once for each."""
        return [self._is_due(frame) for frame in frames]

    def forget(self, source: str) -> None:
        self._sources.pop(source, None)

    def apply(
        self, results: Sequence[FrameResult], saved: SavedActivations | None, due: Sequence[bool]
    ) -> list[FrameResult]:
        """Add maps of boxes to those of a batch's results that are due.

        Frames of one source come in their order; `saved` has the activations of those due alone.
        """
        maps = iter(self._maps([r for r, d in zip(results, due, strict=True) if d], saved))
        return [
            self._with_maps(result, next(maps) if is_due else None)
            for result, is_due in zip(results, due, strict=True)
        ]

    def _is_due(self, frame: Frame) -> bool:
        state = self._sources.setdefault(frame.source, _SourceState())
        due = state.count == 0
        if due and not self._budget.allows(frame):
            return False
        state.count = (state.count + 1) % self._every
        return due

    def _maps(
        self, results: Sequence[FrameResult], saved: SavedActivations | None
    ) -> list[Floats | None]:
        """For every due result its maps, [groups, rows, columns]; None if there are none.

        Nothing was detected then, or gradients have left the range of the arithmetic.
        """
        maps: list[Floats | None] = [None] * len(results)
        some = [index for index, result in enumerate(results) if result.detections]
        if not some or saved is None:
            return maps
        groups = [self._groups(results[index].detections) for index in some]
        sizes = [results[index].explanation.map.shape for index in some]
        with self._budget.measure(len(some)):
            made = self._make(saved.select(some), groups, sizes)
        for index, own in zip(some, made, strict=True):
            if own is not None and np.isfinite(own).all():
                maps[index] = own
        return maps

    def _groups(self, detections: Sequence[Detection]) -> list[Group]:
        targets = [Target.of(detection) for detection in detections[: self._top]]
        return [targets] if self._explain == "frame" else [[target] for target in targets]

    def _make(
        self,
        saved: SavedActivations,
        groups: Sequence[Sequence[Group]],
        sizes: Sequence[tuple[int, ...]],
    ) -> list[Floats | None]:
        """The maps of a batch; image by image if the device's memory is too small for all."""
        cells = [(size[0], size[1]) for size in sizes]
        try:
            return list(self._maker(saved, groups, cells))
        except torch.OutOfMemoryError:
            if len(groups) == 1:
                if not self._memory_warned:
                    self._memory_warned = True
                    _log.warning("not enough GPU memory for %s: maps stay EigenCAM", self.method)
                return [None]
        return [
            made
            for index in range(len(groups))
            for made in self._make(
                saved.select([index]), groups[index : index + 1], sizes[index : index + 1]
            )
        ]

    def _with_maps(self, result: FrameResult, maps: Floats | None) -> FrameResult:
        state = self._sources.setdefault(result.frame.source, _SourceState())
        if result.new_shot:
            state.map, state.explained = None, ()
        if maps is None:
            return _with_reused_maps(result, state)
        combined = maps.max(axis=0)
        detections = _with_focus(result, combined)
        if self._explain == "box":
            detections = [
                replace(d, why=_box_map(self.method, own, d.box, result.frame))
                for d, own in zip(detections, maps, strict=False)
            ] + detections[len(maps) :]
        explanation = _explanation(self.method, combined, state.map, result.frame)
        state.map, state.time, state.explained = combined, result.frame.time, detections
        return replace(result, detections=tuple(detections), explanation=explanation)


def _explanation(method: str, heat: HeatMap, previous: HeatMap | None, frame: Frame) -> Explanation:
    height, width = frame.picture.shape[:2]
    flicker = None
    if previous is not None and previous.shape == heat.shape:
        flicker = float(np.abs(heat - previous).mean())
    return Explanation(
        method=method,
        map=heat,
        explained_variance=None,
        flicker=flicker,
        peak=map_peak(heat, width, height),
    )


def _with_focus(result: FrameResult, heat: HeatMap) -> list[Detection]:
    """The detections, their focus measured on another map of the frame."""
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


def _with_reused_maps(result: FrameResult, state: _SourceState) -> FrameResult:
    """A result whose boxes have the last maps of those that overlap them."""
    age = result.frame.time - state.time
    if not state.explained or not 0 <= age <= _MAX_AGE_SECONDS:
        return result
    reused = [_with_reused_map(detection, state.explained, age) for detection in result.detections]
    return replace(result, detections=tuple(reused))


def _with_reused_map(detection: Detection, explained: Sequence[Detection], age: float) -> Detection:
    same_class = [one for one in explained if one.class_id == detection.class_id and one.why]
    best = max(same_class, key=lambda one: overlap(one.box, detection.box), default=None)
    if best is None or best.why is None or overlap(best.box, detection.box) < MIN_OVERLAP:
        return detection
    return replace(detection, why=replace(best.why, age=age))
