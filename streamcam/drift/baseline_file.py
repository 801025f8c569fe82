"""A baseline: what is usual for each source by hour of day; a small file beside the results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from streamcam.drift.readings import COUNT, HEAT, MAP, OTHER, Cells, Window
from streamcam.drift.scoring import WEEK, Bound, Chart, Quantiles
from streamcam.errors import UsageError
from streamcam.files import readable, write_file
from streamcam.sinks.coarse_map import CELLS

FOLDER = "baselines"
"""Below the output folder."""

SCHEMA_VERSION = 1
DAY = 86400.0
ALL_DAY = -1
"""In place of an hour, where the time of day is unknown: files."""

_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual at one hour of day (UTC), learned from it and the hours beside it.

    Attributes:
        windows: How many windows it was learned from.
        spreads: By measure; of `count:` measures of the square root, which has an even spread, of
            `map` of the distance to `cells` (total variation, 0..1).
    """

    windows: int
    spreads: Mapping[str, Quantiles]
    cells: Cells | None

    def deviations(self, values: Mapping[str, float], cells: Cells | None) -> dict[str, float]:
        """Return how many deviations each known measure is off."""
        found = {
            name: self.spreads[name].deviation(name, value)
            for name, value in values.items()
            if name in self.spreads
        }
        if cells is not None and self.cells is not None and MAP in self.spreads:
            found[MAP] = self.spreads[MAP].deviation(MAP, distance(cells, self.cells))
        return found


@dataclass(frozen=True, slots=True)
class SourceBaseline:
    """What is usual for a camera, or for the files of a folder.

    Attributes:
        first, last: Begin of the first and of the last window, seconds since 1970; of files seconds
            of footage.
        labels: The classes with measures of their own, the most frequent first.
        block: Seconds of the blocks that the bounds were learned from: a day where there are
            enough.
        hours: By hour of day (UTC); `ALL_DAY` alone where that is unknown.
    """

    first: float
    last: float
    frames: int
    windows: int
    labels: Sequence[str]
    block: float
    hours: Mapping[int, Usual]
    charts: Sequence[Chart]

    @property
    def by_hour(self) -> bool:
        return ALL_DAY not in self.hours

    @property
    def judged_by(self) -> str:
        """What the bounds were learned from, e.g. "14 days"."""
        kind = {DAY: "days", 3600.0: "hours"}.get(self.block, "stretches")
        return f"{self.charts[0].bound.blocks} {kind}"

    @property
    def is_calibrated(self) -> bool:
        """Whether whole days were compared, so that a rate of false alarms can be kept."""
        return self.block == DAY

    def usual(self, begin: float) -> Usual | None:
        """Return what is usual at a window's begin, None where that was not learned."""
        return self.hours.get(hour_of(begin) if self.by_hour else ALL_DAY)

    def thresholds(self, alarms_per_week: float) -> list[float]:
        """Return the bound of each chart's score, for so many false alarms of them all."""
        chance = alarms_per_week / max(1, len(self.charts)) * self.block / WEEK
        return [chart.bound.threshold(chance) for chart in self.charts]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baselines of all sources of an output folder, under one name.

    Attributes:
        created: Seconds since 1970.
        window: Length of the windows in seconds.
    """

    name: str
    created: float
    window: float
    sources: Mapping[str, SourceBaseline]

    def save(self, folder: Path) -> Path:
        """Write it below an output folder; raises `OSError`."""
        path = path_of(folder, self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_file(path, orjson.dumps(_as_json(self)))


def path_of(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"


def load_baseline(path: Path) -> Baseline:
    """Read a baseline; raises `UsageError` where there is none, or none of this version."""
    try:
        content = orjson.loads(path.read_bytes())
        if content["schema_version"] == SCHEMA_VERSION:
            return _from_json(content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{readable(path)}: the baseline cannot be read: {reason}",
            hint="Learn one with: streamcam baseline OUT --name NAME",
        ) from None
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{readable(path)}: this is no baseline that this streamcam reads")


def find_baselines(folder: Path) -> list[Baseline]:
    """Return the baselines of an output folder that can be read, the newest first."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            found.append(load_baseline(path))
        except UsageError:
            continue
    return sorted(found, key=lambda one: -one.created)


def values_of(window: Window, labels: Iterable[str]) -> dict[str, float]:
    """Return a window's measures as they are compared, for a baseline with these labels.

    Of classes with measures of their own the count is 0 where they are missing; the others are
    counted together.
    """
    known = set(labels)
    found = {
        name: value
        for name, value in window.means.items()
        if not name.startswith((COUNT, HEAT)) or name.removeprefix(HEAT) in known
    }
    other = 0.0
    for name, value in window.means.items():
        if name.startswith(COUNT) and name.removeprefix(COUNT) not in known:
            other += value
    counts = {label: window.means.get(f"{COUNT}{label}", 0.0) for label in known} | {OTHER: other}
    return found | {f"{COUNT}{label}": float(np.sqrt(count)) for label, count in counts.items()}


def distance(cells: Cells, others: Cells) -> float:
    """Return the total variation distance of two distributions of heat: the share that moved."""
    return float(np.abs(cells - others).sum() / 2)


def hour_of(seconds: float) -> int:
    return int(seconds // 3600) % 24


def _as_json(baseline: Baseline) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": baseline.name,
        "created": baseline.created,
        "window": baseline.window,
        "sources": {name: _source_json(one) for name, one in baseline.sources.items()},
    }


def _source_json(one: SourceBaseline) -> dict[str, Any]:
    return {
        "first": one.first,
        "last": one.last,
        "frames": one.frames,
        "windows": one.windows,
        "labels": list(one.labels),
        "block": one.block,
        "hours": {
            "all" if hour == ALL_DAY else f"{hour:02}": {
                "windows": usual.windows,
                "spreads": {
                    name: [round(q, _DECIMALS) for q in spread.quantiles]
                    for name, spread in usual.spreads.items()
                },
                "cells": None if usual.cells is None else usual.cells.round(_DECIMALS).tolist(),
            }
            for hour, usual in one.hours.items()
        },
        "charts": [
            {
                "windows": chart.windows,
                "scales": {name: round(s, _DECIMALS) for name, s in chart.scales.items()},
                "blocks": chart.bound.blocks,
                "mean": round(chart.bound.mean, _DECIMALS),
                "deviation": round(chart.bound.deviation, _DECIMALS),
            }
            for chart in one.charts
        ],
    }


def _from_json(content: Mapping[str, Any]) -> Baseline:
    sources = {name: _source_from(one) for name, one in content["sources"].items()}
    return Baseline(content["name"], content["created"], content["window"], sources)


def _source_from(one: Mapping[str, Any]) -> SourceBaseline:
    hours = {
        ALL_DAY if hour == "all" else int(hour): Usual(
            usual["windows"],
            {name: Quantiles(tuple(q)) for name, q in usual["spreads"].items()},
            None if usual["cells"] is None else np.reshape(usual["cells"], (CELLS, CELLS)),
        )
        for hour, usual in one["hours"].items()
    }
    charts = [
        Chart(
            each["windows"], each["scales"], Bound(each["blocks"], each["mean"], each["deviation"])
        )
        for each in one["charts"]
    ]
    return SourceBaseline(
        one["first"],
        one["last"],
        one["frames"],
        one["windows"],
        tuple(one["labels"]),
        one["block"],
        hours,
        charts,
    )
