"""What is kept of every compared frame: numbers only, about a kilobyte for ten boxes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.compare.box_matching import DetectionPair, FoundBy, MatchedBoxes
from streamcam.types import Box, Detection, FrameResult, HeatMap

BoxRows = npt.NDArray[np.void]
"""Boxes as records of `BOX`."""

_NO_CLASS = -1

BOX = np.dtype(
    [
        ("unit", np.int32),  # see `ComparedFrame.unit`
        ("found_by", np.int8),  # number of `FOUND_BY`
        ("label_a", np.int16),  # number of `Tally.labels`, -1 where A has no such box
        ("label_b", np.int16),
        ("area", np.float32),  # pixels; the mean where both have the box
        ("confidence_a", np.float32),
        ("confidence_b", np.float32),
        ("lift_a", np.float32),
        ("lift_b", np.float32),
        # How B's box differs from A's, as a share of its side: centre right and down, width, height
        ("offset", np.float32, (4,)),
    ]
)
"""One object, as one of the detectors or both found it; NaN where one did not."""

FOUND_BY = tuple(FoundBy)

_UNIT_SECONDS = 1.0
"""Frames of a video within a second show the same: they count as one observation."""


_PACKED = 10_000
"""Boxes that become an array at once: as Python's numbers they take ten times the memory."""


@dataclass(frozen=True, slots=True)
class ComparedFrame:
    """The numbers of one frame.

    Attributes:
        unit: Number of the observation that it belongs to: a picture, a second of a video.
        counts: Number of objects by found_by, in the order of `FOUND_BY`.
        agreement, disagreement: See `MatchedBoxes`.
        correlation: Of the two maps' cells, -1..1; None where one of them is constant or missing.
        difference: Mean absolute difference of the two maps, 0..1.
        flicker: A's and B's, see `Explanation.flicker`.
    """

    source: str
    index: int
    time: float
    unit: int
    counts: tuple[int, ...]
    agreement: float
    disagreement: float
    correlation: float | None
    difference: float
    flicker: tuple[float | None, float | None]


@dataclass(slots=True)
class Tally:
    """Collects what is known of the frames, in their order."""

    frames: list[ComparedFrame] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _boxes: list[tuple[Any, ...]] = field(default_factory=list)
    _packed: list[BoxRows] = field(default_factory=list)
    _units: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def units(self) -> int:
        return len(self._units)

    def add(self, a: FrameResult, b: FrameResult, matched: MatchedBoxes) -> ComparedFrame:
        """Take a frame's results of both engines, and return its numbers."""
        frame = a.frame
        key = frame.source, math.floor(frame.time / _UNIT_SECONDS)
        unit = self._units.setdefault(key, len(self._units))
        one, other = a.explanation.map, same_grid(b.explanation.map, a.explanation.map)
        counts = [len(getattr(matched, name)) for name in ("both", "other_class")]
        compared = ComparedFrame(
            source=frame.source,
            index=frame.index,
            time=frame.time,
            unit=unit,
            counts=(*counts, len(matched.only_a), len(matched.only_b)),
            agreement=matched.agreement,
            disagreement=matched.disagreement,
            correlation=correlation(one, other),
            difference=float(np.abs(one - other).mean()),
            flicker=(a.explanation.flicker, b.explanation.flicker),
        )
        self.frames.append(compared)
        self._boxes += self._rows(unit, matched)
        if len(self._boxes) >= _PACKED:
            self._pack()
        return compared

    def boxes(self) -> BoxRows:
        """Every object of every frame, as records of `BOX`."""
        self._pack()
        return np.concatenate(self._packed)

    def _pack(self) -> None:
        self._packed.append(np.array(self._boxes, BOX))
        self._boxes = []

    def number_of(self, label: str) -> int:
        """The number of a class, of whichever model: names that differ in case are one."""
        folded = label.casefold()
        if folded not in self._numbers:
            self._numbers[folded] = len(self.labels)
            self.labels.append(label)
        return self._numbers[folded]

    def _rows(self, unit: int, matched: MatchedBoxes) -> list[tuple[Any, ...]]:
        pairs: Sequence[tuple[FoundBy, Sequence[DetectionPair]]] = (
            (FoundBy.BOTH, matched.both),
            (FoundBy.OTHER_CLASS, matched.other_class),
        )
        rows = [self._row(unit, found_by, a, b) for found_by, found in pairs for a, b in found]
        rows += [self._row(unit, FoundBy.ONLY_A, one, None) for one in matched.only_a]
        rows += [self._row(unit, FoundBy.ONLY_B, None, one) for one in matched.only_b]
        return rows

    def _row(
        self, unit: int, found_by: FoundBy, a: Detection | None, b: Detection | None
    ) -> tuple[Any, ...]:
        found = [one for one in (a, b) if one is not None]
        area = sum(_area(one.box) for one in found) / len(found)
        labels = [_NO_CLASS if one is None else self.number_of(one.label) for one in (a, b)]
        confidences = [math.nan if one is None else one.confidence for one in (a, b)]
        lifts = [math.nan if one is None else one.focus.lift for one in (a, b)]
        offset = [math.nan] * 4 if a is None or b is None else _offset(a.box, b.box)
        return (unit, FOUND_BY.index(found_by), *labels, area, *confidences, *lifts, offset)


def same_grid(heat: HeatMap, other: HeatMap) -> HeatMap:
    """A map with the cells of another one; both span the frame."""
    if heat.shape == other.shape:
        return heat
    rows, columns = other.shape
    shrinks = rows * columns < heat.size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(heat, (columns, rows), interpolation=how), np.float32)


def correlation(one: HeatMap, other: HeatMap) -> float | None:
    """Pearson's correlation of two maps' cells; None where one of them is constant."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return max(-1.0, min(1.0, float(a @ b) / lengths)) if lengths > 0 else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _offset(a: Box, b: Box) -> list[float]:
    """How B's box lies to A's: its centre right and down, its width and height, of A's sides."""
    width, height = max(a[2] - a[0], 1e-6), max(a[3] - a[1], 1e-6)
    return [
        (b[0] + b[2] - a[0] - a[2]) / 2 / width,
        (b[1] + b[3] - a[1] - a[3]) / 2 / height,
        (b[2] - b[0]) / width - 1,
        (b[3] - b[1]) / height - 1,
    ]
