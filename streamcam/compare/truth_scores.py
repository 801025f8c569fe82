"""Precision, recall and AP50 of both detectors, where the true boxes are known.

A detection is right if it overlaps a true box of its class by half, intersection over union, the
most confident detections first, each true box once (COCO's evaluation, Lin et al. 2014,
arXiv:1405.0312). AP50 is the mean precision at 101 recalls. Detections below the confidence that
was asked for are not known, so it is lower than a benchmark's, which asks for all.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamcam.audit.bootstrap import Bootstrap, Doubles, Interval, interval
from streamcam.overlaps import SAME_PLACE, box_overlaps
from streamcam.types import Detection, TrueObject

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right one detector is.

    Attributes:
        right, wrong: Numbers of its boxes that are, and are not, true ones.
        precision: Share of its boxes that are right, 0..1; None where it has none.
        recall: Share of the true boxes that it finds, 0..1; None where there are none.
        ap50: See the module; of several classes their mean; None where there is no true box.
    """

    right: int
    wrong: int
    precision: float | None
    recall: float | None
    ap50: float | None


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """One class; `objects` is the number of true boxes."""

    label: str
    objects: int
    a: Accuracy
    b: Accuracy


@dataclass(frozen=True, slots=True)
class TruthScores:
    """Both detectors against the true boxes.

    Attributes:
        frames: Frames whose truth is known.
        classes: By class, the one with the most objects first.
        a, b: Of all classes together.
        f1: The harmonic means of precision and recall of A and of B.
        gain: How much higher B's is.
        unknown: Numbers of detections of classes that the truth does not know, which are left out.
    """

    frames: int
    classes: Sequence[ClassAccuracy]
    a: Accuracy
    b: Accuracy
    f1: tuple[float, float]
    gain: Interval
    unknown: Counter[str]


@dataclass(slots=True)
class _Judged:
    """The detections of one class by one detector."""

    confidence: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    units: list[int] = field(default_factory=list)


class TruthTally:
    """Collects detections and true boxes, frame by frame.

    Args:
        labels: Classes that the truth knows, also those of which no frame has an object.
    """

    def __init__(self, labels: Collection[str] = ()) -> None:
        self._names = {label.casefold(): label for label in labels}
        self._objects: dict[str, list[int]] = {}  # the unit of each true box, by class
        self._judged: tuple[dict[str, _Judged], dict[str, _Judged]] = ({}, {})
        self.frames = 0

    def add(
        self,
        unit: int,
        truth: Sequence[TrueObject],
        a: Sequence[Detection],
        b: Sequence[Detection],
    ) -> None:
        """Take a frame's true boxes and both detectors'."""
        self.frames += 1
        for known in truth:
            self._names.setdefault(known.label.casefold(), known.label)
            self._objects.setdefault(known.label.casefold(), []).append(unit)
        for judged, detections in zip(self._judged, (a, b), strict=True):
            for label in {one.label.casefold() for one in detections}:
                own = [one for one in detections if one.label.casefold() == label]
                true = [one for one in truth if one.label.casefold() == label]
                self._judge(judged.setdefault(label, _Judged()), unit, own, true)

    def scores(self, units: int) -> TruthScores | None:
        """What came of it; None where there was no frame with known truth."""
        if not self.frames:
            return None
        classes = sorted(
            (self._class(name) for name in self._names),
            key=lambda one: (-one.objects, one.label),
        )
        shown = [one for one in classes if one.objects or one.a.wrong or one.b.wrong]
        f1, gain = self._f1(units)
        a, b = (self._all(side, shown) for side in (0, 1))
        return TruthScores(self.frames, shown, a, b, f1, gain, self._unknown())

    def _judge(
        self,
        judged: _Judged,
        unit: int,
        detections: Sequence[Detection],
        truth: Sequence[TrueObject],
    ) -> None:
        ranked = sorted(detections, key=lambda one: -one.confidence)
        overlaps = box_overlaps([one.box for one in ranked], [one.box for one in truth])
        for place, one in enumerate(ranked):
            row = overlaps[place]
            right = bool(len(row)) and float(row.max()) >= SAME_PLACE
            if right:
                overlaps[:, int(row.argmax())] = 0
            judged.confidence.append(one.confidence)
            judged.right.append(right)
            judged.units.append(unit)

    def _class(self, name: str) -> ClassAccuracy:
        objects = len(self._objects.get(name, ()))
        a, b = (_accuracy(judged.get(name, _Judged()), objects) for judged in self._judged)
        return ClassAccuracy(self._names[name], objects, a, b)

    def _all(self, side: int, classes: Sequence[ClassAccuracy]) -> Accuracy:
        found = [one.b if side else one.a for one in classes]
        right, wrong = sum(one.right for one in found), sum(one.wrong for one in found)
        objects = sum(one.objects for one in classes)
        averages = [one.ap50 for one in found if one.ap50 is not None]
        return Accuracy(
            right,
            wrong,
            right / (right + wrong) if right + wrong else None,
            right / objects if objects else None,
            float(np.mean(averages)) if averages else None,
        )

    def _f1(self, units: int) -> tuple[tuple[float, float], Interval]:
        objects = [unit for name in self._names for unit in self._objects.get(name, ())]
        columns = [np.bincount(objects, minlength=units)]
        for judged in self._judged:
            known = [one for name, one in judged.items() if name in self._names]
            where = [unit for one in known for unit in one.units]
            right = [float(hit) for one in known for hit in one.right]
            columns += [np.bincount(where, minlength=units)]
            columns += [np.bincount(where, weights=right, minlength=units)]
        table = np.stack([column.astype(np.float64) for column in columns], axis=1)
        a, b = _f1_of(table.sum(axis=0)[None])[0].tolist()
        resampled = _f1_of(Bootstrap(units).sums(table))
        return (a, b), interval(b - a, resampled[:, 1] - resampled[:, 0])

    def _unknown(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for judged in self._judged:
            for name, one in judged.items():
                if name not in self._names:
                    counts[name] += len(one.right)
        return counts


def _f1_of(sums: Doubles) -> Doubles:
    """F1 of A and B, [rows, 2], from sums of objects, and boxes and right boxes of each."""
    objects, boxes, right = sums[:, :1], sums[:, 1::2], sums[:, 2::2]
    return 2 * right / np.maximum(objects + boxes, 1)


def _accuracy(judged: _Judged, objects: int) -> Accuracy:
    right = sum(judged.right)
    return Accuracy(
        right,
        len(judged.right) - right,
        right / len(judged.right) if judged.right else None,
        right / objects if objects else None,
        average_precision(judged.confidence, judged.right, objects) if objects else None,
    )


def average_precision(confidence: Sequence[float], right: Sequence[bool], objects: int) -> float:
    """Mean precision at 101 recalls, 0..1, of detections and whether each is right."""
    order = np.argsort(-np.asarray(confidence, np.float64), kind="stable")
    hits = np.cumsum(np.asarray(right, np.float64)[order])
    if not len(hits):
        return 0.0
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / objects, _RECALLS, side="left")
    return float(np.mean(np.append(envelope, 0.0)[places]))
