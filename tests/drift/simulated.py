"""Windows and results of quiet days, with what a test changes in them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamcam.drift.readings import Floats, Window
from streamcam.sinks.coarse_map import encoded
from tests.report.records import detection, record, write_results

LENGTH = 600.0
DAY_WINDOWS = 144
MONDAY = 1_740_960_000.0
"""2025-03-03 00:00 UTC."""


def heat(*, shift: int = 0) -> Floats:
    """Heat in the left half, moved to the right by so many cells; sums to 1."""
    cells = np.ones((8, 8))
    cells[2:6, 1:3] = 12
    return np.roll(cells / cells.sum(), shift, axis=1)


def quiet_days(
    days: int,
    seed: int,
    *,
    begin: float = MONDAY,
    change: Callable[[int, dict[str, float]], None] = lambda _place, _means: None,
    shift: Callable[[int], int] = lambda _place: 0,
) -> list[Window]:
    """Windows with a course of the day, days that differ, and autocorrelation.

    `change` may change a window's means, by its place; `shift` moves its heat.
    """
    rng = np.random.default_rng(seed)
    of_day = rng.normal(0, 0.5, (days, 5))
    slow = np.zeros(5)
    found = []
    for place in range(days * DAY_WINDOWS):
        slow = 0.9 * slow + 0.44 * rng.normal(size=5)
        noise = slow + of_day[place // DAY_WINDOWS]
        sun = float(np.sin((place / 6 - 6) / 12 * np.pi))
        means = {
            "flicker": 0.02 + 0.003 * noise[0],
            "explained_variance": 0.5 + 0.02 * noise[1],
            "confidence": 0.7 + 0.05 * sun + 0.01 * noise[2],
            "heat_off_boxes": 0.4 + 0.03 * noise[3],
            "count:person": float(np.exp(0.5 + 0.8 * sun + 0.2 * noise[4])),
            "heat:person": 0.4 - 0.03 * noise[3],
        }
        change(place, means)
        cells = heat(shift=shift(place)) * np.exp(0.1 * rng.normal(size=(8, 8)))
        found.append(Window(begin + place * LENGTH, 3000, means, cells / cells.sum()))
    return found


def frames(number: int, seed: int, *, turned: bool = False, live: bool = False) -> list[Any]:
    """Records at five a second of a person whose boxes and heat waver; `turned` moves the heat."""
    rng = np.random.default_rng(seed)
    made = []
    for place in range(number):
        energy, confidence = rng.normal(0.05 if turned else 0.4, 0.02), rng.normal(0.8, 0.02)
        one = detection(confidence=round(float(confidence), 4))
        one["focus"]["energy"] = round(float(np.clip(energy, 0, 1)), 4)
        cells = heat(shift=4 if turned else 0) * np.exp(0.1 * rng.normal(size=(8, 8)))
        made.append(record(place, one, flicker=float(rng.normal(0.02, 0.003)), live=live))
        made[-1]["cam"]["coarse_map"] = encoded(np.rint(cells * 1500).astype(np.uint8))
    return made


def write_files(folder: Path, seeds: Sequence[int], *, turned: bool = False) -> Path:
    """Results of files of a minute each."""
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        made = frames(300, seed, turned=turned)
        write_results(folder, made, name=f"clip{seed}", video=False)
    return folder
