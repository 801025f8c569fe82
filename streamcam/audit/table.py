"""An audit's findings as plain values for `--json`, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from streamcam.version import __version__

if TYPE_CHECKING:
    from streamcam.audit.scores import AuditReport
    from streamcam.vision.engine import EngineDescription

NOTEBOOK = "notebook's EigenCAM"
"""Names the row of pytorch_grad_cam's own path, of which only flicker and cost are comparable."""

BASELINES = {"random": "random map", "centre": "centre prior"}
"""Names of the baselines, and what they are."""

_DIGITS = 5
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the audit's table.

    Attributes:
        heading: Its name, with an arrow towards what is better.
        lower_is_better: Which way that is.
        meaning: What it measures, in a sentence or two.
    """

    heading: str
    lower_is_better: bool
    meaning: str


MEASURES: Mapping[str, Measure] = {
    "deletion": Measure(
        "deletion ↓",
        True,
        "The hottest places are covered first. Share of the box's score that is left, area under "
        "the curve: a map that shows what the score needs makes it fall at once.",
    ),
    "insertion": Measure(
        "insertion ↑",
        False,
        "The hottest places are uncovered first on a blurred picture: a good map brings the score "
        "back at once.",
    ),
    "road": Measure(
        "ROAD ↑",
        False,
        "The coldest and the hottest places are taken away and filled in from around, half the "
        "difference of the scores. The hole's shape tells the detector nothing.",
    ),
    "pointing": Measure(
        "pointing ↑", False, "Share of the maps whose hottest place lies in the true box."
    ),
    "energy": Measure("energy ↑", False, "Share of the map's heat inside the true box."),
    "lift": Measure(
        "lift ↑", False, "The same, over the share of the frame that the box takes; chance is 1."
    ),
    "flicker": Measure(
        "flicker ↓",
        True,
        "Mean change of the frame's map from one frame of a clip to the next, a fifth of a second "
        "later. The centre prior never flickers: calm alone is no virtue.",
    ),
    "seconds": Measure(
        "ms a map", True, "What a map took, on top of the detector's ordinary forward."
    ),
    "similarity": Measure(
        "shuffled ↓",
        True,
        "Correlation with the map of the same network after its weights were shuffled. From 0.5 on "
        "the method fails: its map does not depend on what was learnt.",
    ),
}
"""By the name of the field of `Scores`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        name: Of the method or baseline.
        values: By measure, None where there is none.
        beside: Whether it only stands beside the methods, for comparison.
        sane: Whether it passed the sanity check.
    """

    name: str
    values: Mapping[str, float | None]
    beside: bool
    sane: bool


def number(key: str, value: float | None) -> str:
    """Return a measure's value as people read it."""
    if value is None:
        return _NONE
    if key == "seconds":
        return f"{value * 1000:.1f}"
    return f"{value:.1f}" if key == "lift" else f"{value:.3f}"


def as_values(source: str, report: "AuditReport", engine: "EngineDescription") -> dict[str, Any]:
    """Return an audit as plain values, each method and baseline by its flag's name."""
    comparison = report.comparison
    return {
        "streamcam_version": __version__,
        "source": source,
        "model": engine.model,
        "weights": engine.weights,
        "weights_sha256": engine.weights_sha256,
        "device": engine.device,
        "precision": engine.precision,
        "grid": engine.grid,
        "frames": report.frames,
        "boxes": report.boxes,
        "boxes_with_truth": report.known,
        "methods": {name: _rounded(asdict(scores)) for name, scores in report.methods.items()},
        "insane": [name for name, scores in report.methods.items() if not scores.sane],
        "visible": {
            name: {"all_levels": round(seen.every, _DIGITS), "one_level": round(seen.one, _DIGITS)}
            for name, seen in report.visibility.items()
        },
        "notebook": {
            "relative_error": comparison.error,
            "shift_pixels": round(comparison.shift, 2),
            "cells": list(comparison.cells[0]),
            "cells_ours": list(comparison.cells[1]),
            "inverted_frames": comparison.inverted,
            "frames": comparison.frames,
            "flicker": None
            if report.published_flicker is None
            else round(report.published_flicker, _DIGITS),
            "seconds": round(comparison.seconds, _DIGITS),
            "seconds_ours": round(comparison.seconds_ours, _DIGITS),
        },
    }


def rows(report: "AuditReport") -> Sequence[Row]:
    """Return the table: every method and baseline, then what is known of the notebook's path."""
    found = [
        Row(name, {key: getattr(scores, key) for key in MEASURES}, name in BASELINES, scores.sane)
        for name, scores in report.methods.items()
    ]
    known = {"flicker": report.published_flicker, "seconds": report.comparison.seconds}
    return [*found, Row(NOTEBOOK, {key: known.get(key) for key in MEASURES}, True, True)]


def remarks(report: "AuditReport") -> Sequence[str]:
    """Return what a reader should know, a sentence each."""
    comparison = report.comparison
    rows, columns = comparison.cells[0]
    own_rows, own_columns = comparison.cells[1]
    known = f", {report.known} of them on known objects" if report.known else ", no truth given"
    boxes, frames = _count(report.boxes, "box", "boxes"), _count(report.frames, "frame", "frames")
    found = [f"{boxes} in {frames}{known}.", _sanity(report)]
    for name, seen in report.visibility.items():
        if name in ("layercam", "gradcam"):
            found.append(
                f"One {name} map for all boxes shows {seen.every:.0%} of them with all levels "
                f"summed, {seen.one:.0%} with the coarsest level alone."
            )
    found.append(
        f"The notebook's EigenCAM: its component equals ours with its settings to "
        f"{comparison.error:.0e}. It shifts the map by up to {comparison.shift:.0f} pixels, has "
        f"{rows}x{columns} cells where ours has {own_rows}x{own_columns}, is inverted in "
        f"{comparison.inverted} of {comparison.frames} frames, and takes "
        f"{comparison.seconds * 1000:.0f} ms a frame; ours "
        f"{comparison.seconds_ours * 1000:.1f} ms on top of the only forward."
    )
    return found


def _sanity(report: "AuditReport") -> str:
    """Say which methods show the same whatever the network has learnt."""
    insane = [n for n, scores in report.methods.items() if not scores.sane and n not in BASELINES]
    if not insane:
        return "Every method's map changes when the network's weights are shuffled, as it must."
    return (
        f"Fails the sanity check: {', '.join(insane)}. With shuffled weights the map stays much "
        "the same, so it shows the picture or the place more than what was learnt."
    )


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, _DIGITS) if isinstance(value, float) else value
        for key, value in values.items()
    }
