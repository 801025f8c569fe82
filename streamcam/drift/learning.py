"""Learns what is usual from windows: distributions by hour, and how far quiet days differ."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streamcam.drift.baseline_file import ALL_DAY, DAY, SourceBaseline, Usual, hour_of, values_of
from streamcam.drift.readings import COUNT, MAP, OTHER, Floats, Window
from streamcam.drift.scoring import (
    Bound,
    Chart,
    Deviations,
    Quantiles,
    largest,
    least_known,
    scores,
)
from streamcam.sinks.coarse_map import CELLS

Integers: TypeAlias = npt.NDArray[np.int64]

_FAST = 3
LEAST_BLOCKS = 4
"""Of fewer days the bounds are learned from hours, of fewer hours from six windows each."""

_MOST_LABELS = 8
"""Classes with measures of their own: each of them can move by chance."""
_LEAST_PRESENCE = 0.02
"""Share of the windows that such a class is in."""

LEAST_WINDOWS = 6
"""Of an hour and those beside it: of fewer nothing is learned for it."""

_LEAST_SCALE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Windows as they are compared, a row each.

    Attributes:
        measures: The names of the columns of `values`, [windows, measures], NaN where missing.
        cells: [windows, 64], NaN where there is no map.
    """

    windows: Sequence[Window]
    measures: Sequence[str]
    hours: Integers
    blocks: Integers
    values: Floats
    cells: Floats

    @classmethod
    def of(
        cls, found: Sequence[Window], labels: Sequence[str], block: float, *, by_hour: bool
    ) -> "_Table":
        rows = [values_of(window, labels) for window in found]
        measures = sorted({name for row in rows for name in row})
        nothing = np.full((CELLS, CELLS), np.nan)
        cells = [nothing if each.cells is None else each.cells for each in found]
        return cls(
            found,
            measures,
            np.array([hour_of(each.begin) if by_hour else ALL_DAY for each in found]),
            np.array([int(each.begin // block) for each in found]),
            np.array([[row.get(name, np.nan) for name in measures] for row in rows]),
            np.reshape(cells, (len(found), -1)),
        )

    def row(self, place: int) -> dict[str, float]:
        """Return the measures that a window has."""
        pairs = zip(self.measures, self.values[place].tolist(), strict=True)
        return {name: value for name, value in pairs if isfinite(value)}


def learn(found: Sequence[Window], length: float, *, by_hour: bool) -> SourceBaseline | None:
    """Learn what is usual for a source from its windows, in the order of time.

    Args:
        found: Windows of quiet times; each day of them serves to judge the others.
        length: Of the windows, in seconds.
        by_hour: Whether their times tell the time of day.

    Returns:
        None where they are too few: at least four blocks of six windows are needed.
    """
    if not found:
        return None
    labels = _labels(found)
    block = _block_length(found, length)
    table = _Table.of(found, labels, block, by_hour=by_hour)
    if len(np.unique(table.blocks)) < LEAST_BLOCKS:
        return None
    counts = [_FAST, *([round(DAY / length)] if block == DAY else [])]
    deviations = _judged_by_others(table)
    everything = np.ones(len(found), bool)
    return SourceBaseline(
        found[0].begin,
        found[-1].begin,
        sum(window.frames for window in found),
        len(found),
        labels,
        block,
        _usual_hours(table, everything, np.unique(table.hours).tolist()),
        [_chart(table, deviations, count, length) for count in counts],
    )


def _labels(found: Sequence[Window]) -> tuple[str, ...]:
    present: Counter[str] = Counter()
    totals: dict[str, float] = {}
    for window in found:
        for name, value in window.means.items():
            if name.startswith(COUNT):
                present[name.removeprefix(COUNT)] += 1
                label = name.removeprefix(COUNT)
                totals[label] = totals.get(label, 0.0) + value
    ordered = sorted(totals.keys() - {OTHER}, key=lambda label: -totals[label])
    often = [label for label in ordered if present[label] >= _LEAST_PRESENCE * len(found)]
    return tuple(often[:_MOST_LABELS])


def _block_length(found: Sequence[Window], length: float) -> float:
    """Return the longest of a day, an hour and six windows that there are enough blocks of."""
    for block in (DAY, 3600.0):
        if block >= 2 * _FAST * length and len(_full(found, length, block)) >= LEAST_BLOCKS:
            return block
    return 2 * _FAST * length


def _full(found: Sequence[Window], length: float, block: float) -> list[int]:
    """Return the blocks that a quarter of the windows or more were recorded of."""
    numbers = Counter(int(window.begin // block) for window in found)
    return [number for number, count in numbers.items() if count * length >= block / 4]


def _usual_hours(
    table: _Table, chosen: npt.NDArray[np.bool_], hours: Iterable[int]
) -> dict[int, Usual]:
    """Learn what is usual at these hours from the chosen windows."""
    found = {}
    for hour in hours:
        beside = [hour] if hour == ALL_DAY else [(hour - 1) % 24, hour, (hour + 1) % 24]
        pool = np.flatnonzero(chosen & np.isin(table.hours, beside))
        if len(pool) >= LEAST_WINDOWS:
            found[hour] = _usual(table, pool)
    return found


def _usual(table: _Table, pool: Integers) -> Usual:
    spreads = _spreads(table.measures, table.values[pool])
    cells = table.cells[pool]
    cells = cells[np.isfinite(cells[:, 0])]
    if len(cells) < LEAST_WINDOWS:
        return Usual(len(pool), spreads, None)
    mean = cells.mean(axis=0)
    distances = np.abs(cells - mean).sum(axis=1, keepdims=True) / 2
    spreads |= _spreads([MAP], distances)
    return Usual(len(pool), spreads, mean.reshape(CELLS, CELLS))


def _spreads(measures: Sequence[str], values: Floats) -> dict[str, Quantiles]:
    """Return the spread of each column that has enough values."""
    found = {}
    ordered = np.sort(values, axis=0)  # NaN last
    for place, known in enumerate(np.isfinite(ordered).sum(axis=0).tolist()):
        if known >= LEAST_WINDOWS:
            found[measures[place]] = Quantiles.of(ordered[:known, place])
    return found


def _judged_by_others(table: _Table) -> list[dict[str, float]]:
    """Return each window's deviations from what the other blocks say is usual."""
    found: list[dict[str, float]] = [{} for _ in table.windows]
    for block in np.unique(table.blocks):
        places = np.flatnonzero(table.blocks == block)
        hours = np.unique(table.hours[places]).tolist()
        usual = _usual_hours(table, table.blocks != block, hours)
        for place in places.tolist():
            known = usual.get(int(table.hours[place]))
            if known is not None:
                found[place] = known.deviations(table.row(place), table.windows[place].cells)
    return found


def _chart(
    table: _Table, deviations: Sequence[Mapping[str, float]], count: int, length: float
) -> Chart:
    """Learn how large the medians of so many windows get in a quiet block."""
    names = sorted({name for found in deviations for name in found})
    least = least_known(count)
    successive = Deviations(names, length)
    maxima: dict[int, dict[str, float]] = {}
    for window, block, found in zip(table.windows, table.blocks, deviations, strict=True):
        successive.add(window, found)
        of_block = maxima.setdefault(int(block), {})
        for name, value in successive.medians(count, least).items():
            of_block[name] = max(of_block.get(name, 0.0), abs(value))
    scales = {}
    for name in names:
        largest_each = [block[name] for block in maxima.values() if name in block]
        if len(largest_each) >= 2:
            scales[name] = max(_LEAST_SCALE, float(np.median(largest_each)))
    joint = [largest(scores(block, scales)) for block in maxima.values() if block]
    return Chart(count, scales, Bound.of(joint))
