"""What is worth a look in a source's results, found in the numbers alone."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from streamcam.overlaps import SAME_PLACE, box_overlaps
from streamcam.report.results import FrameTable
from streamcam.types import Box


class FindingKind(StrEnum):
    """Why something is worth a look."""

    OFF_OBJECT = "off object"
    LONE = "lone"
    BLINKING = "blinking"
    UNSURE = "unsure"
    SUDDEN = "sudden change"


MEANINGS = {
    FindingKind.OFF_OBJECT: (
        "The detector says that there is something, and the map lies elsewhere: its lift is "
        "below 1, less than chance. Confident boxes first."
    ),
    FindingKind.LONE: (
        "A class that is in neither of the explained frames next to this one: often a "
        "mistake. Confident boxes first."
    ),
    FindingKind.BLINKING: (
        "An object that was found, missed in a single explained frame, and found again in the "
        "same place. The stretches with the most of them."
    ),
    FindingKind.UNSURE: (
        "Stretches in which a class's most confident box stays in the lowest tenth of what is "
        "usual for it here. The longest first."
    ),
    FindingKind.SUDDEN: (
        "The map jumped from one explained frame to the next, far more than is usual here, "
        "and it was no scene cut."
    ),
}

_WINDOW_SECONDS = 2.0
"""Findings of one kind and class that lie closer together are one."""

_LEAST_FRAMES = 3
"""Pictures, and clips of two frames, have nothing that could be lone."""

_UNUSUAL = 0.1
"""Share of a class's frames that count as the least confident."""
_RUN_FRAMES = 5
"""If frames were independent, five of the lowest tenth in a row would come once in 100,000."""

_SUDDEN_DEVIATIONS = 6.0
_SUDDEN_LEAST = 0.05
"""A change of the map from which on it is visible, mean of the absolute differences, 0..1."""

_NORMAL_MAD = 1.4826
"""Standard deviations in a median absolute deviation, for normal noise."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is worth a look.

    Attributes:
        frame: The row of its frame in the source's table.
        label: The class, None where it concerns the whole frame.
        box: The box in question, where there is one.
        score: The larger, the more it is worth a look; comparable within its kind.
        text: What is wrong, in words.
    """

    kind: FindingKind
    frame: int
    label: str | None
    box: Box | None
    score: float
    text: str


def find(table: FrameTable, top: int) -> list[Finding]:
    """Return the findings most worth a look, at most `top` of each kind, the best of each first."""
    found: list[Finding] = []
    for ranked in (_off_object, _lone, _blinking, _unsure, _sudden):
        found += _spread(table, ranked(table), top)
    return found


def off_object(table: FrameTable) -> npt.NDArray[np.bool_]:
    """Return for each detection whether its map lies off it."""
    return table.lift < 1


def blinks(table: FrameTable) -> list[tuple[int, int]]:
    """Return each missed frame of an object, and the object's detection in the frame before."""
    counts = table.counts()
    if len(counts) < 3:
        return []
    between = counts[1:-1] < np.minimum(counts[:-2], counts[2:])
    together = (table.clip[:-2] == table.clip[2:]) & ~_pauses(table)
    starts = np.searchsorted(table.frame_of, np.arange(table.frames + 1))
    return [
        (at + 1, before)
        for at in np.flatnonzero(between.any(axis=1) & together).tolist()
        for before in _missed(table, starts, at)
    ]


def _pauses(table: FrameTable) -> npt.NDArray[np.bool_]:
    """Whether the frames around each inner frame lie further apart than is usual."""
    spans = table.time[2:] - table.time[:-2]
    return spans > 2 * np.median(spans)


def _missed(table: FrameTable, starts: npt.NDArray[np.int64], at: int) -> Iterator[int]:
    """Detections of a frame that are in the one after the next, and not in the next."""
    first, middle, last = (np.arange(starts[at + k], starts[at + k + 1]) for k in range(3))
    if not (len(first) and len(last)):
        return
    again = _matches(table, first, last).any(axis=1)
    seen = _matches(table, first, middle).any(axis=1) if len(middle) else np.zeros_like(again)
    yield from first[again & ~seen].tolist()


def _matches(
    table: FrameTable, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which detections are the same object: by their tracks, else by class and place."""
    same_class = table.label[one, None] == table.label[None, other]
    tracks = table.track[one, None], table.track[None, other]
    tracked = (tracks[0] > 0) & (tracks[1] > 0)
    near = box_overlaps(table.box[one], table.box[other]) >= SAME_PLACE
    same: npt.NDArray[np.bool_] = np.where(tracked, tracks[0] == tracks[1], same_class & near)
    return same


def _off_object(table: FrameTable) -> Iterator[Finding]:
    scores = np.where(off_object(table), table.confidence * (1 - table.lift), 0)
    for row in _descending(scores):
        text = f"{table.confidence[row]:.0%} sure, lift {table.lift[row]:.1f}"
        yield _on_box(table, FindingKind.OFF_OBJECT, row, float(scores[row]), text)


def _lone(table: FrameTable) -> Iterator[Finding]:
    if table.frames < _LEAST_FRAMES:
        return
    present = table.counts() > 0
    lone = present.copy()
    lone[1:] &= ~present[:-1]
    lone[:-1] &= ~present[1:]
    scores = np.where(lone[table.frame_of, table.label], table.confidence, 0)
    for row in _descending(scores):
        yield _on_box(table, FindingKind.LONE, row, float(scores[row]), f"{scores[row]:.0%} sure")


def _blinking(table: FrameTable) -> Iterator[Finding]:
    missed = blinks(table)
    groups: dict[tuple[int, int], list[float]] = {}
    places = [(int(table.clip[frame]), int(table.label[before])) for frame, before in missed]
    for place, (frame, _) in zip(places, missed, strict=True):
        groups.setdefault(place, []).append(float(table.time[frame]))
    numbers = np.array(
        [
            _number_near(groups[place], float(table.time[frame]))
            for place, (frame, _) in zip(places, missed, strict=True)
        ],
        np.float64,
    )
    for at in _descending(numbers):
        frame, before = missed[at]
        times = "once" if numbers[at] == 1 else f"{numbers[at]:.0f} times"
        text = f"missed {times} within {2 * _WINDOW_SECONDS:.0f} s"
        found = _on_box(table, FindingKind.BLINKING, before, float(numbers[at]), text)
        yield replace(found, frame=frame)


def _number_near(times: list[float], time: float) -> int:
    """How many of the ascending times lie within the window around one."""
    return bisect_right(times, time + _WINDOW_SECONDS) - bisect_left(times, time - _WINDOW_SECONDS)


def _unsure(table: FrameTable) -> list[Finding]:
    found: list[Finding] = []
    for label in range(len(table.labels)):
        rows = np.flatnonzero(table.label == label)
        best = np.full(table.frames, np.nan)
        np.fmax.at(best, table.frame_of[rows], table.confidence[rows])
        seen = np.flatnonzero(~np.isnan(best))
        usual = np.median(best[seen])
        lowest = best[seen] < np.quantile(best[seen], _UNUSUAL)
        for first, last in _runs(lowest, table.clip[seen]):
            if last - first < _RUN_FRAMES:
                continue
            part = seen[first:last]
            worst = int(part[np.argmin(best[part])])
            row = int(rows[(table.frame_of[rows] == worst).argmax()])
            seconds = table.time[part[-1]] - table.time[part[0]]
            text = f"down to {best[worst]:.0%} over {seconds:.1f} s, usually {usual:.0%}"
            found.append(_on_box(table, FindingKind.UNSURE, row, float(last - first), text))
    return sorted(found, key=lambda finding: -finding.score)


def _runs(flags: npt.NDArray[np.bool_], clips: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last place (exclusive) of the stretches of true flags, each within one clip."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        cuts = (np.flatnonzero(np.diff(clips[first:last])) + first + 1).tolist()
        yield from zip([first, *cuts], [*cuts, last], strict=True)


def _sudden(table: FrameTable) -> Iterator[Finding]:
    known = table.flicker[~np.isnan(table.flicker)]
    if not len(known):
        return
    usual = float(np.median(known))
    deviation = _NORMAL_MAD * float(np.median(abs(known - usual)))
    limit = max(_SUDDEN_LEAST, usual + _SUDDEN_DEVIATIONS * deviation)
    for frame in _descending(np.where(table.flicker > limit, table.flicker, 0)):
        change = float(table.flicker[frame])
        text = f"the map changed by {change:.2f}, usually by {usual:.2f}"
        yield Finding(FindingKind.SUDDEN, frame, None, None, change, text)


def _on_box(table: FrameTable, kind: FindingKind, row: int, score: float, text: str) -> Finding:
    x1, y1, x2, y2 = table.box[row].tolist()
    label = table.labels[int(table.label[row])]
    return Finding(kind, int(table.frame_of[row]), label, (x1, y1, x2, y2), score, text)


def _descending(scores: npt.NDArray[np.float64]) -> Iterator[int]:
    """The places of the scores above 0, the highest first."""
    order = np.argsort(-scores, kind="stable")
    yield from order[: np.count_nonzero(scores > 0)].tolist()


def _spread(table: FrameTable, ranked: Iterable[Finding], top: int) -> list[Finding]:
    """The best findings, none of a class within seconds of a better one of it."""
    chosen: list[Finding] = []
    for one in ranked:
        if len(chosen) == top:
            break
        if not any(_is_near(table, one, other) for other in chosen):
            chosen.append(one)
    return chosen


def _is_near(table: FrameTable, one: Finding, other: Finding) -> bool:
    a, b = one.frame, other.frame
    return (
        one.label == other.label
        and table.clip[a] == table.clip[b]
        and abs(table.time[a] - table.time[b]) < _WINDOW_SECONDS
    )
