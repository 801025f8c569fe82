"""Which frames are hard for the detector, judged by the numbers in its records alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from streamcam.report.findings import blinks, off_object
from streamcam.report.results import Floats, FrameTable
from streamcam.types import Box

Labelled = tuple[str, Box]
"""A class and a box."""


class Criterion(StrEnum):
    """What makes a frame hard; the meanings are in `MEANINGS`."""

    FOCUS = "focus"
    CONFIDENCE = "confidence"
    FLICKER = "flicker"
    DISAGREEMENT = "disagreement"


MEANINGS: Mapping[Criterion, str] = MappingProxyType(
    {
        Criterion.FOCUS: "a confident box off which the map lies (lift below 1)",
        Criterion.CONFIDENCE: "a box just above the minimum confidence",
        Criterion.FLICKER: "objects missed for one frame, then the largest changes of the map",
        Criterion.DISAGREEMENT: "boxes that only one of two runs has (--against)",
    }
)


@dataclass(frozen=True, slots=True)
class HardFrame:
    """A frame that is hard.

    Attributes:
        row: Its row in the source's table.
        score: The larger, the harder; above 0.
        boxes: Those that make it hard; all of the frame's where that is the whole frame.
        text: What is hard, in words.
    """

    row: int
    score: float
    boxes: Sequence[Labelled]
    text: str


def hard_frames(
    table: FrameTable, criterion: Criterion, minimum: float | None = None
) -> list[HardFrame]:
    """Return the frames that are hard by a criterion of one run, the hardest first.

    Args:
        table: A source's results.
        criterion: Any but `DISAGREEMENT`, see `streamcam.export.disagreement`.
        minimum: The minimum confidence that the detector ran with, 0..1; None takes the lowest
            that there is.
    """
    judged: Mapping[Criterion, Callable[[], list[HardFrame]]] = {
        Criterion.FOCUS: lambda: _off_focus(table),
        Criterion.CONFIDENCE: lambda: _near_threshold(table, minimum),
        Criterion.FLICKER: lambda: _flickering(table),
    }
    # Sorting is stable: of equal ones the earlier frame comes first.
    return sorted(judged[criterion](), key=lambda one: -one.score)


def box_of(table: FrameTable, row: int) -> Labelled:
    """Return the class and the box of a detection."""
    x1, y1, x2, y2 = table.box[row].tolist()
    return table.labels[int(table.label[row])], (x1, y1, x2, y2)


def _off_focus(table: FrameTable) -> list[HardFrame]:
    """By the confidence times how far the lift is below 1, as reports rank boxes off the map."""
    scores = np.where(off_object(table), table.confidence * (1 - table.lift), 0)
    return _worst_boxes(
        table, scores, lambda row: f"{table.confidence[row]:.0%} sure, lift {table.lift[row]:.1f}"
    )


def _near_threshold(table: FrameTable, minimum: float | None) -> list[HardFrame]:
    """By the least confident box: 1 at the threshold, 0 at a confidence of 1.

    That is least confidence sampling (Lewis and Gale, 1994), measured from where the detector
    starts to believe.
    """
    if not len(table.confidence):
        return []
    lowest = float(table.confidence.min()) if minimum is None else minimum
    room = max(1 - lowest, 1e-9)
    scores = np.clip((1 - table.confidence) / room, 0, 1)
    return _worst_boxes(
        table, scores, lambda row: f"{table.confidence[row]:.0%} sure, of at least {lowest:.0%}"
    )


def _flickering(table: FrameTable) -> list[HardFrame]:
    """By the number of objects missed in this frame only, plus the map's change (0..1)."""
    missed: dict[int, list[Labelled]] = {}
    for frame, before in blinks(table):
        missed.setdefault(frame, []).append(box_of(table, before))
    changes = np.nan_to_num(table.flicker)
    starts = np.searchsorted(table.frame_of, np.arange(table.frames + 1)).tolist()
    found = []
    for row, change in enumerate(changes.tolist()):
        lost = missed.get(row, [])
        if not lost and not change:
            continue
        parts = [f"missed for this frame: {_listed(lost)}"] if lost else []
        text = ", ".join([*parts, f"the map changed by {change:.2f}"])
        boxes = lost or [box_of(table, one) for one in range(starts[row], starts[row + 1])]
        found.append(HardFrame(row, len(lost) + change, boxes, text))
    return found


def _worst_boxes(table: FrameTable, scores: Floats, text: Callable[[int], str]) -> list[HardFrame]:
    """The box with the highest score of each frame, where that is above 0."""
    worst: dict[int, int] = {}
    for row in np.argsort(-scores, kind="stable")[: np.count_nonzero(scores > 0)].tolist():
        worst.setdefault(int(table.frame_of[row]), row)
    found = []
    for frame, row in worst.items():
        label, box = box_of(table, row)
        found.append(HardFrame(frame, float(scores[row]), [(label, box)], f"{label} {text(row)}"))
    return found


def _listed(boxes: Sequence[Labelled]) -> str:
    return ", ".join(label for label, _ in boxes)
