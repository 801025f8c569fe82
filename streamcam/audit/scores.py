"""Results of an audit as plain values, as a table, and in words. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from streamcam.types import Detection, Frame, HeatMap
from streamcam.version import __version__

if TYPE_CHECKING:
    from streamcam.audit.verdict import Verdict
    from streamcam.vision.engine_io import EngineDescription

NOTEBOOK = "notebook's EigenCAM"
"""Name of the row of the published recipe, of which only flicker and time are comparable."""

CENTRE = "centre"
BASELINES = {"random": "random map", CENTRE: "centre prior"}
"""Names and titles of the baselines."""

_DIGITS = 5
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Scores:
    """Results of one method or baseline, means over the explained boxes; see `MEASURES`."""

    deletion: float
    insertion: float
    road: float  # (LeRF - MoRF) / 2, as a share of the score
    pointing: float | None  # None without truth, as the next two
    energy: float | None
    lift: float | None
    flicker: float | None  # None without a clip
    seconds: float  # the median; EigenCAM's is in addition to the detector's forward
    similarity: float | None  # the absolute correlation; None if no weights can be shuffled
    sane: bool | None  # whether the map depends on what the network has learnt: the same is low


@dataclass(frozen=True, slots=True)
class Visibility:
    """Share of a frame's boxes in which one map of the frame reaches a quarter of its maximum."""

    every: float  # with all pyramid levels summed
    one: float  # with the coarsest level alone, as in the published recipe for detectors


@dataclass(frozen=True, slots=True)
class Comparison:
    """The published recipe (pytorch_grad_cam's notebook for detectors) compared with EigenCAM here.

    Attributes:
        error: Relative difference between its component and ours with its settings (the published
            grid), up to the sign; maximum of the frames.
        shift: Maximum displacement of its map, in pixels of the frame, because the map is stretched
            over the padding.
    """

    error: float
    shift: float
    cells: tuple[tuple[int, int], tuple[int, int]]  # rows and columns of its grid and of ours
    inverted: int  # frames in which its map correlates negatively with ours
    frames: int
    seconds: float  # its median for a frame, including a forward of its own
    seconds_ours: float  # our median for a map, in addition to the detector's only forward


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One box with all its maps, for the page."""

    frame: Frame
    detection: Detection
    maps: Mapping[str, HeatMap]  # by method and baseline
    frame_maps: Mapping[str, tuple[HeatMap, HeatMap]]  # by gradient method: of all levels, of one


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """Results of an audit."""

    verdict: "Verdict"
    frames: int  # with boxes
    boxes: int  # that were explained
    known: int  # boxes that match a true one
    methods: Mapping[str, Scores]  # and baselines, in the order of `METHODS`, baselines last
    visibility: Mapping[str, Visibility]  # by gradient method
    comparison: Comparison
    published_flicker: float | None  # of the published recipe on the same clip
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the table."""

    heading: str  # with an arrow in the direction of better values
    lower_is_better: bool
    meaning: str


MEASURES: Mapping[str, Measure] = {
    "deletion": Measure(
        "deletion ↓",
        True,
        "The hottest pixels are covered first. Share of the box's score that remains, area under "
        "the curve: if the map shows what the score depends on, it falls at once.",
    ),
    "insertion": Measure(
        "insertion ↑",
        False,
        "The hottest pixels are uncovered first on a blurred picture: with a good map the score "
        "rises at once.",
    ),
    "road": Measure(
        "ROAD ↑",
        False,
        "Half the difference of the scores without the coldest and without the hottest pixels, "
        "which are filled in from their surroundings so that the hole's shape is not visible.",
    ),
    "pointing": Measure(
        "pointing ↑", False, "Share of the maps whose maximum lies in the true box."
    ),
    "energy": Measure("energy ↑", False, "Share of the map's heat inside the true box."),
    "lift": Measure(
        "lift ↑", False, "The same, divided by the box's share of the frame; chance is 1."
    ),
    "flicker": Measure(
        "flicker ↓",
        True,
        "Mean change of the frame's map between frames of a clip, a fifth of a second apart. The "
        "centre prior has none: a low value alone is not a merit.",
    ),
    "seconds": Measure(
        "ms a map", True, "Time for a map, in addition to the detector's ordinary forward."
    ),
    "similarity": Measure(
        "shuffled ↓",
        True,
        "Correlation with the map of the same network with shuffled weights. From 0.5 on the "
        "method fails: its map does not depend on what was learnt.",
    ),
}
"""By the name of the field of `Scores`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, a method's or a baseline's."""

    name: str
    values: Mapping[str, float | None]  # by measure
    baseline: bool
    sane: bool  # False only if it failed the sanity check


def number(key: str, value: float | None) -> str:
    if value is None:
        return _NONE
    if key == "seconds":
        return f"{value * 1000:.1f}"
    return f"{value:.1f}" if key == "lift" else f"{value:.3f}"


def as_values(source: str, report: AuditReport, engine: "EngineDescription") -> dict[str, Any]:
    """An audit as plain values for JSON."""
    comparison = report.comparison
    described = ("model", "weights", "weights_sha256", "device", "precision", "grid")
    flicker = report.published_flicker
    return {
        "streamcam_version": __version__,
        "source": source,
        **{name: getattr(engine, name) for name in described},
        "frames": report.frames,
        "boxes": report.boxes,
        "boxes_with_truth": report.known,
        "verdict": _verdict_values(report.verdict),
        "methods": {name: _rounded(asdict(scores)) for name, scores in report.methods.items()},
        "insane": [name for name, scores in report.methods.items() if scores.sane is False],
        "visible": {
            name: _rounded({"all_levels": shown.every, "one_level": shown.one})
            for name, shown in report.visibility.items()
        },
        "notebook": {
            "relative_error": comparison.error,
            "shift_pixels": round(comparison.shift, 2),
            "cells": list(comparison.cells[0]),
            "cells_ours": list(comparison.cells[1]),
            "inverted_frames": comparison.inverted,
            "frames": comparison.frames,
            "flicker": None if flicker is None else round(flicker, _DIGITS),
            "seconds": round(comparison.seconds, _DIGITS),
            "seconds_ours": round(comparison.seconds_ours, _DIGITS),
        },
    }


def _verdict_values(verdict: "Verdict") -> dict[str, Any]:
    names = ("best", "ties", "undecided", "worse", "decided")
    return {
        **{name: getattr(verdict, name) for name in names},
        "faithfulness": {name: _rounded(asdict(one)) for name, one in verdict.scores.items()},
    }


def rows(report: AuditReport) -> Sequence[Row]:
    """The table: every method and baseline, then the published recipe."""
    found = [
        Row(
            name,
            {key: getattr(scores, key) for key in MEASURES},
            baseline=name in BASELINES,
            sane=scores.sane is not False,
        )
        for name, scores in report.methods.items()
    ]
    known = {"flicker": report.published_flicker, "seconds": report.comparison.seconds}
    return [*found, Row(NOTEBOOK, {key: known.get(key) for key in MEASURES}, True, True)]


def remarks(report: AuditReport) -> Sequence[str]:
    """The conclusions, a sentence each."""
    comparison = report.comparison
    rows, columns = comparison.cells[0]
    own_rows, own_columns = comparison.cells[1]
    known = f", {report.known} of them on known objects" if report.known else ", no truth given"
    boxes, frames = _count(report.boxes, "box", "boxes"), _count(report.frames, "frame", "frames")
    found = [f"{boxes} in {frames}{known}.", _sanity(report)]
    for name, shown in report.visibility.items():
        if name in ("layercam", "gradcam"):
            found.append(
                f"One {name} map for all boxes shows {shown.every:.0%} of them with all levels "
                f"summed, {shown.one:.0%} with the coarsest level alone."
            )
    found.append(
        f"The notebook's EigenCAM: its component equals ours with its settings up to "
        f"{comparison.error:.0e}. It shifts the map by up to {comparison.shift:.0f} pixels, has "
        f"{rows}x{columns} cells where ours has {own_rows}x{own_columns}, is inverted in "
        f"{comparison.inverted} of {comparison.frames} frames, and takes "
        f"{comparison.seconds * 1000:.0f} ms a frame; ours "
        f"{comparison.seconds_ours * 1000:.1f} ms in addition to the only forward."
    )
    return found


def _sanity(report: AuditReport) -> str:
    own = {name: scores for name, scores in report.methods.items() if name not in BASELINES}
    if all(scores.sane is None for scores in own.values()):
        return "The sanity check was left out: this detector's weights cannot be shuffled."
    insane = [name for name, scores in own.items() if scores.sane is False]
    if not insane:
        return "Every method's map changes when the network's weights are shuffled, as it must."
    return (
        f"Fails the sanity check: {', '.join(insane)}. With shuffled weights the map hardly "
        "changes, so it depends on the picture or the position more than on what was learnt."
    )


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, _DIGITS) if isinstance(value, float) else value
        for key, value in values.items()
    }
