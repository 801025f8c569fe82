"""What moved, in words and numbers: from what is usual to what is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamcam.drift.baseline_file import SourceBaseline, values_of
from streamcam.drift.readings import (
    CONFIDENCE,
    COUNT,
    FLICKER,
    HEAT,
    LIFT,
    MAP,
    OFF_BOXES,
    VARIANCE,
    Cells,
    Floats,
    Window,
)
from streamcam.escapes import printable
from streamcam.sinks.coarse_map import CELLS

TOLD = 0.6
"""Score from which on a measure is told beside the one that alarms."""
_MOST_TOLD, _MOST_SAID = 6, 3
_LIKE_CENTRE = 0.25
"""Of half a side: heat that moved no further from the centre is told as there."""

_NAMES = {
    FLICKER: "flicker",
    VARIANCE: "explained variance",
    CONFIDENCE: "confidence",
    LIFT: "focus lift",
    OFF_BOXES: "heat outside all boxes",
    MAP: "the heat's place",
}


@dataclass(frozen=True, slots=True)
class Movement:
    """One measure that is not as usual.

    Attributes:
        measure: E.g. "flicker", "count:person"; `name_of` says it in words.
        score: In units of the alarm's bound, with the sign of the change.
        usual, now: The measure at these hours in the baseline, and its mean since the change; of
            `map` the share of heat that moved, of which the usual value is the median.
        where: Of `map`: where the heat went, e.g. "from the centre to the top left".
    """

    measure: str
    score: float
    usual: float
    now: float
    where: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it in the form of the schema "drift"."""
        return {
            "measure": self.measure,
            "score": round(self.score, 3),
            "usual": round(self.usual, 5),
            "now": round(self.now, 5),
            "where": self.where,
        }


def movements(
    ranked: Sequence[tuple[str, float]], recent: Sequence[Window], baseline: SourceBaseline
) -> list[Movement]:
    """Return what moved, the clearest first.

    Args:
        ranked: Measures and their scores, the largest first.
        recent: The windows since the change.
        baseline: What is usual.
    """
    told = [each for each in ranked if abs(each[1]) >= TOLD] or ranked[:1]
    found = (_movement(name, score, recent, baseline) for name, score in told[:_MOST_TOLD])
    return [one for one in found if one is not None]


def name_of(measure: str) -> str:
    """Return a measure in words, e.g. "heat on person"."""
    kind, _, label = measure.partition(":")
    shown = printable(label)
    if kind == COUNT[:-1]:
        return f"{shown} in a frame" if label else "objects of other classes in a frame"
    return f"heat on {shown}" if kind == HEAT[:-1] else _NAMES[measure]


def sentence(found: Sequence[Movement]) -> str:
    """Return what moved in half a sentence.

    E.g. "heat has moved from person (31%, now 4%) to outside all boxes (42%, now 88%)".
    """
    heat = [one for one in found if one.measure.startswith(HEAT) or one.measure in (OFF_BOXES, MAP)]
    others = [_changed(one) for one in found if one not in heat]
    place = min((found.index(one) for one in heat), default=0)
    parts = [*others[:place], *([_heat_moved(heat)] if heat else []), *others[place:]]
    return "; ".join(parts[:_MOST_SAID])


def _movement(
    name: str, score: float, recent: Sequence[Window], baseline: SourceBaseline
) -> Movement | None:
    if name == MAP:
        return _map_movement(score, recent, baseline)
    usual, now = [], []
    for window in recent:
        known = baseline.usual(window.begin)
        values = values_of(window, baseline.labels)
        if known is not None and name in known.spreads and name in values:
            usual.append(_shown(name, known.spreads[name].quantiles[2]))
            now.append(_shown(name, values[name]))
    if not now:
        return None
    return Movement(name, score, float(np.mean(usual)), float(np.mean(now)))


def _shown(name: str, value: float) -> float:
    """Undo the scale on which a measure is compared."""
    if name.startswith(COUNT):
        return value**2
    return float(2.0**value - 1.0) if name == LIFT else value


def _map_movement(
    score: float, recent: Sequence[Window], baseline: SourceBaseline
) -> Movement | None:
    changes, usual, now = [], [], []
    for window in recent:
        known = baseline.usual(window.begin)
        if known is None or known.cells is None or window.cells is None:
            continue
        changes.append(window.cells - known.cells)
        usual.append(known.spreads[MAP].quantiles[2])
        now.append(float(np.abs(changes[-1]).sum() / 2))
    if not changes:
        return None
    change = np.mean(changes, axis=0)
    where = f"from {_place(np.maximum(-change, 0))} to {_place(np.maximum(change, 0))}"
    return Movement(MAP, score, float(np.mean(usual)), float(np.mean(now)), where)


def _place(cells: Cells) -> str:
    """Return where most of some heat lies, e.g. "the top left"."""
    total = cells.sum()
    if total <= 0:
        return "everywhere"
    centres: Floats = (np.arange(CELLS) + 0.5) / CELLS * 2 - 1
    x = float((cells.sum(axis=0) * centres).sum() / total)
    y = float((cells.sum(axis=1) * centres).sum() / total)
    across = "" if abs(x) < _LIKE_CENTRE else "left" if x < 0 else "right"
    down = "" if abs(y) < _LIKE_CENTRE else "top" if y < 0 else "bottom"
    return f"the {' '.join(filter(None, (down, across)))}" if across or down else "the centre"


def _heat_moved(found: Sequence[Movement]) -> str:
    place = next((one.where for one in found if one.where), None)
    shares = [one for one in found if one.measure != MAP]
    less = ", ".join(_share(one) for one in shares if one.now < one.usual)
    more = ", ".join(_share(one) for one in shares if one.now >= one.usual)
    words = f"heat has moved{f' from {less}' if less else ''}{f' to {more}' if more else ''}"
    if place is None:
        return words
    return f"{words}{',' if shares else ''} {place} of the picture"


def _share(one: Movement) -> str:
    name = name_of(one.measure).removeprefix("heat on ").removeprefix("heat ")
    return f"{name} ({one.usual:.0%}, now {one.now:.0%})"


def _changed(one: Movement) -> str:
    verb = "rose" if one.now > one.usual else "fell"
    return (
        f"{name_of(one.measure)} {verb} from {_number(one, one.usual)} to {_number(one, one.now)}"
    )


def _number(one: Movement, value: float) -> str:
    if one.measure in (CONFIDENCE, VARIANCE):
        return f"{value:.0%}"
    return f"{value:.3f}" if one.measure == FLICKER else f"{value:.1f}"
