"""What is read of an explained frame, and the windows of time that readings are averaged over.

Frames of a camera resemble those before them: a test of each would alarm all day. Means over
windows of minutes are what is compared (batch means, as for any autocorrelated process).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streamcam.sinks.coarse_map import CELLS, decoded

Floats: TypeAlias = npt.NDArray[np.float64]

Cells: TypeAlias = npt.NDArray[np.float64]
"""float64, [8, 8], sum 1: where the heat lies, as shares of all heat."""

FLICKER, VARIANCE, CONFIDENCE = "flicker", "explained_variance", "confidence"
LIFT, OFF_BOXES, MAP = "lift", "heat_off_boxes", "map"
COUNT, HEAT = "count:", "heat:"
OTHER = ""
"""In place of a label: all classes that a baseline does not know."""

LEAST_FRAMES = 5
"""A window of fewer frames says nothing."""

_LEAST_SHARE = 0.02
"""Of a window's frames that a measure must have a value in."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one explained frame says.

    Attributes:
        time: Seconds since 1970 of capture; for files seconds from the first frame.
        values: By measure; those that need a detection are missing where there is none. Shares and
            confidences 0..1, `lift` as log2(1 + lift).
        counts: Detections by label.
        cells: The map on 8 x 8 cells, sums to 1; None where there is no heat.
    """

    time: float
    values: Mapping[str, float]
    counts: Mapping[str, int]
    cells: Cells | None


@dataclass(frozen=True, slots=True)
class Window:
    """The means over a window of time.

    Attributes:
        begin: Seconds, as `Reading.time`, a multiple of the windows' length.
        frames: Explained frames in it.
        means: By measure, and `count:LABEL` for every label; those with too few values are missing.
        cells: Mean of the cells, sums to 1; None without any.
    """

    begin: float
    frames: int
    means: Mapping[str, float]
    cells: Cells | None


def read(record: Mapping[str, Any]) -> Reading:
    """Return what a record of the schema "record" says."""
    cam, detections = record["cam"], record["detections"]
    values = {name: float(cam[name]) for name in (FLICKER, VARIANCE) if cam.get(name) is not None}
    counts: dict[str, int] = {}
    heat: dict[str, float] = {}
    for one in detections:
        counts[one["label"]] = counts.get(one["label"], 0) + 1
        heat[one["label"]] = heat.get(one["label"], 0.0) + one["focus"]["energy"]
    if detections:
        lifts = [np.log2(1.0 + one["focus"]["lift"]) for one in detections]
        values[CONFIDENCE] = float(np.mean([one["confidence"] for one in detections]))
        values[LIFT] = float(np.mean(lifts))
        # Boxes may overlap: the sum is an upper bound of what lies in them.
        values[OFF_BOXES] = 1.0 - min(1.0, sum(heat.values()))
        values |= {f"{HEAT}{label}": min(1.0, share) for label, share in heat.items()}
    return Reading(_time(record), values, counts, _cells(cam.get("coarse_map")))


def _time(record: Mapping[str, Any]) -> float:
    moment = record.get("time_utc")
    return record["time"] if moment is None else datetime.fromisoformat(moment).timestamp()


def _cells(text: str | None) -> Cells | None:
    cells = None if text is None else decoded(text)
    total = 0 if cells is None else int(cells.sum())
    return None if cells is None or not total else cells / total


@dataclass(slots=True)
class WindowMaker:
    """Averages readings over windows of `length` seconds, which begin at its multiples."""

    length: float
    _begin: float = 0.0
    _frames: int = 0
    _sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _cells: Cells = field(default_factory=lambda: np.zeros((CELLS, CELLS)))
    _with_cells: int = 0

    def add(self, reading: Reading) -> Window | None:
        """Take a reading; return the window before, where this one begins another."""
        begin = reading.time // self.length * self.length
        done = self.end() if self._frames and begin != self._begin else None
        self._begin = begin
        self._frames += 1
        for name, value in reading.values.items():
            total, number = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, number + 1)
        for label, count in reading.counts.items():
            self._counts[label] = self._counts.get(label, 0) + count
        if reading.cells is not None:
            self._cells += reading.cells
            self._with_cells += 1
        return done

    def end(self) -> Window | None:
        """Return the window that has begun, None where it has too few frames; begin anew."""
        frames, least = self._frames, max(LEAST_FRAMES, self._frames * _LEAST_SHARE)
        means = {name: total / n for name, (total, n) in self._sums.items() if n >= least}
        means |= {f"{COUNT}{label}": count / frames for label, count in self._counts.items()}
        cells = self._cells / self._with_cells if self._with_cells >= least else None
        done = Window(self._begin, frames, means, cells)
        self._frames = self._with_cells = 0
        self._sums, self._counts = {}, {}
        self._cells = np.zeros((CELLS, CELLS))
        return done if frames >= LEAST_FRAMES else None


def windows(readings: Iterable[Reading], length: float) -> Iterator[Window]:
    """Yield the windows of readings in the order of time."""
    maker = WindowMaker(length)
    for reading in readings:
        if (done := maker.add(reading)) is not None:
            yield done
    if (last := maker.end()) is not None:
        yield last
