"""The figures of a comparison, with how sure they are.

The intervals are those of a bootstrap over units: pictures, or seconds of videos, since frames of
the same second show the same.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamcam.audit.bootstrap import Bootstrap, Doubles, Interval, interval
from streamcam.compare.box_matching import FoundBy
from streamcam.compare.tally import FOUND_BY, BoxRows, ComparedFrame, Tally

Booleans = npt.NDArray[np.bool_]

SIZES = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, math.inf),
}
"""COCO's sizes, in pixels of the frame: below 32x32, up to 96x96, above."""

_LEAST_LIFT = 1 / 16
"""Lower lifts count as this: their logarithm would outweigh all others."""


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """What both found of one class, of one size, or in all.

    Attributes:
        name: The class's label, or the size's name.
        a, b: Number of boxes of each.
        both: Number of objects that both have, by the same class.
        only_a, only_b: Boxes that have no counterpart.
        more: How many more boxes B has, as a share of A's; None where one of them has none.
    """

    name: str
    a: int
    b: int
    both: int
    only_a: int
    only_b: int
    more: Interval | None

    @property
    def renamed(self) -> tuple[int, int]:
        """Boxes of A, and of B, that the other one has as another class."""
        return self.a - self.both - self.only_a, self.b - self.both - self.only_b


@dataclass(frozen=True, slots=True)
class Renamed:
    """Objects that A calls one thing, and B another."""

    label_a: str
    label_b: str
    count: int
    share: float  # of A's boxes of that class that B has too, whatever it calls them; 0..1


@dataclass(frozen=True, slots=True)
class Measured:
    """A quantity that both have: its mean of each, and B's less A's."""

    a: float
    b: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures.

    Attributes:
        agreement: Share of all boxes that both have, 0..1.
        boxes: Of all classes and sizes.
        classes, sizes: By class, the most frequent first, and by size.
        renamed: What is called differently, the most frequent first.
        confidence: Of the objects that both have, by whatever class, 0..1; None where there are
            none, as for the next.
        offset: How B's box of the same object differs from A's: its centre right and down, its
            width and height, as shares of A's sides.
        correlation: Of the maps, -1..1; None where there is none.
        map_difference: Mean absolute difference of the maps, 0..1.
        lift: Of the objects that both have, the geometric mean; the difference is that of the
            binary logarithms.
        flicker: Mean, 0..1; None where no frame follows another.
    """

    frames: int
    units: int
    agreement: Interval
    boxes: FoundBoxes
    classes: Sequence[FoundBoxes]
    sizes: Sequence[FoundBoxes]
    renamed: Sequence[Renamed]
    confidence: Measured | None
    offset: Sequence[Interval] | None
    correlation: Interval | None
    map_difference: float
    lift: Measured | None
    flicker: Measured | None


def figures_of(tally: Tally) -> Figures:
    """Work out the figures of at least one frame."""
    boxes = tally.boxes()
    over = _Units(tally.units)
    both = boxes[(boxes["label_a"] >= 0) & (boxes["label_b"] >= 0)]
    names = range(len(tally.labels))
    by_class = [_found(tally.labels[n], _of_class(boxes, n), n, over) for n in names]
    frames = tally.frames
    correlated = [(one.correlation, one.unit) for one in frames if one.correlation is not None]
    return Figures(
        frames=len(frames),
        units=tally.units,
        agreement=_agreement(boxes, over),
        boxes=_found("all", boxes, None, over),
        classes=sorted(by_class, key=lambda one: (-one.a - one.b, one.name)),
        sizes=[_found(name, _of_size(boxes, name), None, over) for name in SIZES],
        renamed=_renamed(boxes, tally.labels),
        confidence=_measured(both["confidence_a"], both["confidence_b"], both["unit"], over),
        offset=_offsets(both, over),
        correlation=over.mean([value for value, _ in correlated], [unit for _, unit in correlated]),
        map_difference=float(np.mean([one.difference for one in frames])),
        lift=_lift(both, over),
        flicker=_flicker(frames, over),
    )


class _Units:
    """Figures over units, with their intervals."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._bootstrap = Bootstrap(count)

    def sums(self, units: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Doubles:
        """The sum of weights (of ones) of each unit."""
        own = None if weights is None else np.asarray(weights, np.float64)
        where = np.asarray(units, np.int64)
        return np.bincount(where, weights=own, minlength=self._count).astype(np.float64)

    def figure(self, columns: Sequence[Doubles], formula: Callable[[Doubles], Doubles]) -> Interval:
        """A figure of sums over units: the formula gets them as rows [..., columns]."""
        table = np.stack(columns, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            figure = float(formula(table.sum(axis=0)[None])[0])
            return interval(figure, formula(self._bootstrap.sums(table)))

    def mean(self, values: npt.ArrayLike, units: npt.ArrayLike) -> Interval | None:
        if not len(np.atleast_1d(np.asarray(values))):
            return None
        columns = [self.sums(units, values), self.sums(units)]
        return self.figure(columns, lambda sums: sums[:, 0] / sums[:, 1])


def _has(boxes: BoxRows) -> tuple[Booleans, Booleans]:
    return boxes["label_a"] >= 0, boxes["label_b"] >= 0


def _of_class(boxes: BoxRows, number: int) -> BoxRows:
    own: BoxRows = boxes[(boxes["label_a"] == number) | (boxes["label_b"] == number)]
    return own


def _of_size(boxes: BoxRows, name: str) -> BoxRows:
    low, high = SIZES[name]
    own: BoxRows = boxes[(boxes["area"] >= low) & (boxes["area"] < high)]
    return own


def _agreement(boxes: BoxRows, over: _Units) -> Interval:
    in_a, in_b = _has(boxes)
    both = boxes["unit"][boxes["found_by"] == FOUND_BY.index(FoundBy.BOTH)]
    columns = [over.sums(both), over.sums(boxes["unit"][in_a]) + over.sums(boxes["unit"][in_b])]
    if not len(boxes):
        return Interval(1.0, 1.0, 1.0)
    return over.figure(columns, lambda sums: 2 * sums[:, 0] / sums[:, 1])


def _found(name: str, boxes: BoxRows, label: int | None, over: _Units) -> FoundBoxes:
    """Count boxes of all classes, or of one class of whichever of the two."""
    in_a, in_b = _has(boxes)
    if label is not None:
        in_a, in_b = boxes["label_a"] == label, boxes["label_b"] == label
    number = {one: boxes["found_by"] == place for place, one in enumerate(FOUND_BY)}
    more = None
    if in_a.any() and in_b.any():
        columns = [over.sums(boxes["unit"][in_a]), over.sums(boxes["unit"][in_b])]
        more = over.figure(columns, lambda sums: sums[:, 1] / sums[:, 0] - 1)
    return FoundBoxes(
        name,
        int(in_a.sum()),
        int(in_b.sum()),
        int(number[FoundBy.BOTH].sum()),
        int(number[FoundBy.ONLY_A].sum()),
        int(number[FoundBy.ONLY_B].sum()),
        more,
    )


def _renamed(boxes: BoxRows, labels: Sequence[str]) -> list[Renamed]:
    paired = boxes[(boxes["label_a"] >= 0) & (boxes["label_b"] >= 0)]
    other = paired[paired["found_by"] == FOUND_BY.index(FoundBy.OTHER_CLASS)]
    totals = np.bincount(paired["label_a"].astype(np.int64), minlength=len(labels))
    names, counts = np.unique(
        np.stack([other["label_a"], other["label_b"]], axis=1), axis=0, return_counts=True
    )
    found = [
        Renamed(labels[a], labels[b], count, count / int(totals[a]))
        for (a, b), count in zip(names.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda one: (-one.count, one.label_a, one.label_b))


def _measured(
    a: npt.ArrayLike, b: npt.ArrayLike, units: npt.ArrayLike, over: _Units
) -> Measured | None:
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference = over.mean(other - one, units)
    if difference is None:
        return None
    return Measured(float(one.mean()), float(other.mean()), difference)


def _lift(both: BoxRows, over: _Units) -> Measured | None:
    a, b = (
        np.log2(np.maximum(both[name].astype(np.float64), _LEAST_LIFT))
        for name in ("lift_a", "lift_b")
    )
    found = _measured(a, b, both["unit"], over)
    return found and Measured(2**found.a, 2**found.b, found.difference)


def _flicker(frames: Sequence[ComparedFrame], over: _Units) -> Measured | None:
    known = [(*one.flicker, one.unit) for one in frames]
    following = [(a, b, unit) for a, b, unit in known if a is not None and b is not None]
    columns = [list(column) for column in zip(*following, strict=True)] or [[], [], []]
    return _measured(columns[0], columns[1], columns[2], over)


def _offsets(both: BoxRows, over: _Units) -> list[Interval] | None:
    found = [over.mean(both["offset"][:, side], both["unit"]) for side in range(4)]
    return [one for one in found if one is not None] or None
