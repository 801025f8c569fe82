"""A report's numbers: each class over all sources, each source's classes over time, findings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from streamcam.errors import UsageError
from streamcam.report.findings import Finding, FindingKind, blinks, find, off_object
from streamcam.report.results import (
    Floats,
    FrameTable,
    RecordedClip,
    ResultSource,
    find_sources,
    load,
)

MAX_BINS = 120
"""Of a source's timeline; a source of fewer frames has a bin for each."""

LIFT_EDGES = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, np.inf])
"""Of the histograms of lift: each bar twice as far as the one before, chance between two bars."""


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One class over all sources.

    Attributes:
        boxes, frames: Numbers of its detections, and of the frames that hold one.
        confidence: Median.
        lift: Median, and the lift that nine of ten boxes reach.
        off_object: Share of its boxes whose lift is below 1, 0..1.
        peak_inside: Share of its boxes that hold the map's maximum, 0..1.
        blinks: How often an object was missed in a single frame.
        histogram: Share of its boxes in each bin of `LIFT_EDGES`.
    """

    label: str
    boxes: int
    frames: int
    confidence: float
    lift: tuple[float, float]
    off_object: float
    peak_inside: float
    blinks: int
    histogram: Sequence[float]


@dataclass(frozen=True, slots=True)
class ClassTimeline:
    """When a class was found: for each bin of the source's length, the most boxes in a frame."""

    label: str
    boxes: int
    most: Sequence[int]


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source: its length in seconds, and its classes over that, the most frequent first.

    Attributes:
        links: For each bin the clip and the player's second at which it begins; None where there
            is no frame.
    """

    name: str
    clips: Sequence[RecordedClip]
    frames: int
    seconds: float
    classes: Sequence[ClassTimeline]
    links: Sequence[tuple[int, float] | None]


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and where it is to be seen; the times are as in `FrameTable`."""

    finding: Finding
    source: str
    clip: RecordedClip
    time: float
    since_first: float
    player: float
    utc: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says; the findings of each kind best first."""

    folder: Path
    sources: Sequence[SourceSummary]
    classes: Sequence[ClassSummary]
    findings: Sequence[Located]

    def of_kind(self, kind: FindingKind) -> list[Located]:
        return [one for one in self.findings if one.finding.kind is kind]


@dataclass(slots=True)
class _ClassNumbers:
    confidence: list[Floats] = field(default_factory=list)
    lift: list[Floats] = field(default_factory=list)
    inside: int = 0
    off: int = 0
    frames: int = 0
    blinks: int = 0


def make_report(
    folder: Path, top: int, progress: Callable[[str, int, int], None] = lambda *_: None
) -> Report:
    """Read all results below a folder.

    Args:
        folder: An output folder of streamcam.
        top: The most findings of each kind.
        progress: Called with a source's name, and how many of how many are done.

    Raises:
        UsageError: There are no results.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    sources = find_sources(folder)
    if not sources:
        raise UsageError(
            f"{folder}: there are no results in it",
            hint="Name the output folder of run, watch, live or serve.",
        )
    classes: dict[str, _ClassNumbers] = {}
    summaries: list[SourceSummary] = []
    findings: list[Located] = []
    for done, source in enumerate(sources):
        progress(source.name, done, len(sources))
        table = load(source)
        if table.frames:
            _count(table, classes)
            summaries.append(_source(source, table))
            findings += [_located(source, table, one) for one in find(table, top)]
    ranked = sorted(findings, key=lambda one: -one.finding.score)
    best = [
        one for kind in FindingKind for one in [f for f in ranked if f.finding.kind is kind][:top]
    ]
    made = [_class(label, numbers) for label, numbers in classes.items()]
    return Report(folder, summaries, sorted(made, key=lambda one: -one.boxes), best)


def as_values(report: Report) -> dict[str, Any]:
    """Return a report as plain values for JSON, without the timelines."""
    return {
        "folder": str(report.folder),
        "sources": [
            {
                "name": source.name,
                "frames": source.frames,
                "seconds": round(source.seconds, 3),
                "detections": {one.label: one.boxes for one in source.classes},
            }
            for source in report.sources
        ],
        "classes": {one.label: _class_values(one) for one in report.classes},
        "findings": [_finding_values(one) for one in report.findings],
    }


def _class_values(one: ClassSummary) -> dict[str, Any]:
    return {
        "boxes": one.boxes,
        "frames": one.frames,
        "confidence": round(one.confidence, 4),
        "lift_median": round(one.lift[0], 4),
        "lift_tenth": round(one.lift[1], 4),
        "off_object": round(one.off_object, 4),
        "peak_inside": round(one.peak_inside, 4),
        "blinks": one.blinks,
    }


def _finding_values(one: Located) -> dict[str, Any]:
    finding = one.finding
    video = None if one.clip.video is None else str(one.clip.video)
    return {
        "kind": finding.kind.value,
        "source": one.source,
        "time": round(one.time, 3),
        "video": video,
        "video_time": round(one.player, 3),
        "label": finding.label,
        "box": None if finding.box is None else [round(edge, 2) for edge in finding.box],
        "text": finding.text,
    }


def _count(table: FrameTable, classes: dict[str, _ClassNumbers]) -> None:
    off = off_object(table)
    missed = [int(table.label[before]) for _, before in blinks(table)]
    for number, label in enumerate(table.labels):
        rows = table.label == number
        numbers = classes.setdefault(label, _ClassNumbers())
        numbers.confidence.append(table.confidence[rows])
        numbers.lift.append(table.lift[rows])
        numbers.inside += int(table.peak_inside[rows].sum())
        numbers.off += int(off[rows].sum())
        numbers.frames += len(np.unique(table.frame_of[rows]))
        numbers.blinks += missed.count(number)


def _class(label: str, numbers: _ClassNumbers) -> ClassSummary:
    lift = np.concatenate(numbers.lift)
    histogram = np.histogram(lift, LIFT_EDGES)[0] / len(lift)
    return ClassSummary(
        label,
        len(lift),
        numbers.frames,
        float(np.median(np.concatenate(numbers.confidence))),
        (float(np.median(lift)), float(np.quantile(lift, 0.1))),
        numbers.off / len(lift),
        numbers.inside / len(lift),
        numbers.blinks,
        histogram.tolist(),
    )


def _source(source: ResultSource, table: FrameTable) -> SourceSummary:
    moments = _moments(table)
    length = float(moments[-1] - moments[0])
    number = min(MAX_BINS, table.frames)
    bins = np.minimum((moments - moments[0]) / max(length, 1e-9) * number, number - 1).astype(int)
    counts = table.counts()
    most = np.zeros((number, len(table.labels)), np.int64)
    np.maximum.at(most, bins, counts)
    totals = counts.sum(axis=0)
    lines = [
        ClassTimeline(table.labels[label], int(totals[label]), most[:, label].tolist())
        for label in np.argsort(-totals, kind="stable").tolist()
    ]
    links: list[tuple[int, float] | None] = [None] * number
    for row in np.flatnonzero(np.diff(bins, prepend=-1)).tolist():
        links[bins[row]] = (int(table.clip[row]), float(table.player[row]))
    return SourceSummary(source.name, source.clips, table.frames, length, lines, links)


def _moments(table: FrameTable) -> Floats:
    """Seconds that never decrease: of cameras of the day, of files of their own time."""
    times = table.time if np.isnan(table.utc).any() else table.utc
    return np.maximum.accumulate(times)


def _located(source: ResultSource, table: FrameTable, finding: Finding) -> Located:
    row = finding.frame
    utc = float(table.utc[row])
    return Located(
        finding,
        source.name,
        source.clips[int(table.clip[row])],
        float(table.time[row]),
        float(table.since_first[row]),
        float(table.player[row]),
        None if np.isnan(utc) else utc,
    )
