"""How far windows are from what a baseline expects, and when that is too far.

Each measure of a window is compared with the same hours' windows of the baseline: its deviation is
`(value - median) / scale`, with a scale of quantiles, which single odd windows do not stretch. Of
successive windows the median counts: of three that is two of three beyond a bound. The largest of
all measures, each in units of its own usual daily maximum, is the score. Its bound comes from the
maxima of the baseline's own days, each day judged by the others (`Bound`): days are the blocks that
autocorrelation stays within, and a joint maximum needs no correction for the number of measures
(Westfall and Young 1993).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from streamcam.drift.readings import COUNT, Floats, Window

WEEK = 7 * 86400.0

FLOORS = {"flicker": 0.002, "explained_variance": 0.01, "confidence": 0.01, "lift": 0.05}
_FLOOR = 0.01
_COUNT_FLOOR = 0.05
"""Least scales: the same that people would call a difference. A street that is empty every night
has no spread, and the first cat would be infinitely many deviations."""

HISTORY_WINDOWS = 1008
"""A week of windows of ten minutes: how far back the begin of a change is looked for."""
_LARGEST = 20.0
"""Deviations; what is further off is no clearer."""

_LEAST_MAXIMUM, _LEAST_DEVIATION, _FEW_DEVIATION = 0.05, 0.05, 1.0
"""Of the blocks' maxima and their logarithms: blocks that are all alike are few, not certain."""

LEAST_CHANCE = 0.001
"""Of a block: beyond it a few blocks say nothing of their maxima."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How a measure's window means are distributed: quantiles at 5, 25, 50, 75 and 95 %."""

    quantiles: tuple[float, float, float, float, float]

    @classmethod
    def of(cls, values: Floats) -> "Quantiles":
        low, quarter, half, more, high = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
        return cls((float(low), float(quarter), float(half), float(more), float(high)))

    def deviation(self, measure: str, value: float) -> float:
        """Return how many deviations a value is above the median."""
        low, quarter, half, more, high = self.quantiles
        # Of normal values both quotients are the standard deviation.
        scale = max((more - quarter) / 1.349, (high - low) / 3.290, floor_of(measure))
        return max(-_LARGEST, min(_LARGEST, (value - half) / scale))


@dataclass(frozen=True, slots=True)
class Bound:
    """How many blocks there were; mean and deviation of the logarithms of their largest scores."""

    blocks: int
    mean: float
    deviation: float

    @classmethod
    def of(cls, maxima: Sequence[float]) -> "Bound":
        if len(maxima) < 2:
            return cls(2, 0.0, _FEW_DEVIATION)
        logs = np.log(np.maximum(maxima, _LEAST_MAXIMUM))
        deviation = max(_LEAST_DEVIATION, float(logs.std(ddof=1)))
        return cls(len(logs), float(logs.mean()), deviation)

    def threshold(self, chance: float) -> float:
        """Return the score that a new block exceeds by chance with that probability.

        The prediction bound of a log-normal variable, by Student's t: few blocks give a high one.
        """
        t = float(stats.t.ppf(1.0 - max(chance, LEAST_CHANCE), self.blocks - 1))
        return math.exp(self.mean + t * self.deviation * math.sqrt(1.0 + 1.0 / self.blocks))


@dataclass(frozen=True, slots=True)
class Chart:
    """A control chart: the medians of so many successive windows, and what is usual of them.

    Attributes:
        windows: 3 tells of large changes within half an hour, a day's number of small ones.
        scales: Each measure's usual largest deviation in a block.
        bound: Of the joint score.
    """

    windows: int
    scales: Mapping[str, float]
    bound: Bound


@dataclass(slots=True)
class Deviations:
    """Successive windows' deviations by measure, and their medians; NaN where there is none."""

    measures: Sequence[str]
    length: float
    _times: list[float] = field(default_factory=list)
    _rows: list[Floats] = field(default_factory=list)

    def add(self, window: Window, deviations: Mapping[str, float]) -> None:
        row = np.array([deviations.get(name, math.nan) for name in self.measures])
        self._times.append(window.begin)
        self._rows.append(row)
        if len(self._rows) > 2 * HISTORY_WINDOWS:
            del self._times[:-HISTORY_WINDOWS], self._rows[:-HISTORY_WINDOWS]

    def medians(self, count: int, least: int) -> Mapping[str, float]:
        """Return the medians over the last `count` windows, where `least` of them have a value.

        Windows count that began within twice their time: after a gap everything begins anew.
        """
        since = self._times[-1] - 2 * count * self.length if self._times else 0.0
        first = max(bisect_left(self._times, since), len(self._times) - count)
        recent = self._rows[first:]
        if len(recent) < least:
            return {}
        ordered = np.sort(np.stack(recent), axis=0)  # NaN last
        known = np.isfinite(ordered).sum(axis=0)
        columns, last = np.arange(len(self.measures)), len(recent) - 1
        lower = ordered[np.maximum(known - 1, 0) // 2, columns]
        upper = ordered[np.minimum(known // 2, last), columns]
        middle = ((lower + upper) / 2).tolist()
        return {
            name: middle[place] for place, name in enumerate(self.measures) if known[place] >= least
        }

    def series(self, measure: str) -> tuple[Floats, Floats]:
        """Return the times and deviations of a measure, without gaps."""
        place = list(self.measures).index(measure)
        values = np.array([row[place] for row in self._rows])
        known = np.isfinite(values)
        return np.array(self._times)[known], values[known]

    def clear(self) -> None:
        self._times.clear()
        self._rows.clear()


def least_known(count: int) -> int:
    """Return of how many of `count` successive windows there must be a value."""
    return count if count <= 3 else (count + 1) // 2


def scores(medians: Mapping[str, float], scales: Mapping[str, float]) -> dict[str, float]:
    """Return each measure's median in units of its usual largest one, with its sign."""
    return {name: value / scales[name] for name, value in medians.items() if name in scales}


def largest(found: Mapping[str, float]) -> float:
    return max((abs(score) for score in found.values()), default=0.0)


def floor_of(measure: str) -> float:
    return _COUNT_FLOOR if measure.startswith(COUNT) else FLOORS.get(measure, _FLOOR)


def change_point(deviations: npt.NDArray[np.float64]) -> int:
    """Return the place of the first value after the mean has changed from 0 to another.

    The likelihood ratio's maximum over all places, of the sign that the last values have (Page
    1954; Siegmund and Venkatraman 1995 for an unknown mean after the change).
    """
    if not len(deviations):
        return 0
    sign = 1.0 if np.median(deviations[-3:]) >= 0 else -1.0
    values = sign * np.clip(deviations, -6.0, 6.0)
    sums = np.cumsum(values[::-1])[::-1]
    gains = np.maximum(sums, 0.0) ** 2 / np.arange(len(values), 0, -1)
    return int(np.argmax(gains))
