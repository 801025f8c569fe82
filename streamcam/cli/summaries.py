"""Results and states as text for people and as JSON values for programs."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from streamcam.cli.terminal import duration, output, styled, table
from streamcam.files import readable
from streamcam.pipeline.report_tally import MOST_KEPT, ReportTally
from streamcam.sinks.manifest import plain_counts
from streamcam.types import CameraState, CameraStatus, JobReport, Outcome, ResultPlace
from streamcam.urls import StorageUrl

OUTCOME_STYLES = {
    Outcome.RUNNING: "cyan",
    Outcome.DONE: "green",
    Outcome.SKIPPED: "dim",
    Outcome.STOPPED: "yellow",
    Outcome.FAILED: "red",
}
STATE_STYLES = {
    CameraState.CONNECTING: "yellow",
    CameraState.LIVE: "green",
    CameraState.STALLED: "yellow",
    CameraState.BACKING_OFF: "red",
    CameraState.FAILED: "bold red",
    CameraState.PAUSED: "dim",
    CameraState.STOPPED: "dim",
}

_BY_RATE = "rate"
"""Cause of the frames that were not sampled: they count as dropped, but are not lost."""


def as_json(report: JobReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "outcome": report.outcome.value,
        "counts": plain_counts(report.counts),
        "outputs": {kind: readable(str(path)) for kind, path in report.outputs.items()},
        "seconds": round(report.seconds, 3),
        "media_seconds": round(report.media_seconds, 3),
        "error": report.error,
        "hint": report.hint,
        "exit_code": int(report.exit_code),
    }


def print_reports(tally: ReportTally) -> None:
    """Print a table with a row per source, and a summary; of very many the failures only."""
    headings = ("source", "result", "frames", "time", "found, or why not")
    rows = table(*headings, right=("frames", "time"))
    for column, ratio in ((0, 3), (4, 5)):
        rows.columns[column].overflow, rows.columns[column].ratio = "fold", ratio
    many = tally.total > MOST_KEPT
    listed = [one for one in tally.kept if one.outcome is Outcome.FAILED or not many]
    shared = _shared_folder([report.source for report in listed])
    for report in listed:
        rows.add_row(
            report.source.removeprefix(shared),
            styled(report.outcome.value, OUTCOME_STYLES[report.outcome]),
            str(report.counts.explained or ""),
            duration(report.seconds),
            _remark(report),
        )
    if listed:
        output().print(rows)
    if (left_out := tally.counts[Outcome.FAILED] - len(listed)) > 0:
        output().print(f"and {left_out:,} more failures")
    output().print(_summary(tally))


def _remark(report: JobReport) -> Text:
    if report.outcome is Outcome.SKIPPED:
        return styled("has results already; --overwrite explains it again", "dim")
    remarks = [detected(report)] if report.counts.explained else []
    if report.counts.corrupt:
        remarks.append(f"{report.counts.corrupt} corrupt packets or frames left out")
    text = styled("; ".join(remarks))
    if report.error is not None:
        text.append("; " if remarks else "").append_text(styled(_reason(report), "red"))
    return text


def _shared_folder(sources: Sequence[str]) -> str:
    """Return the folder that all files share, with a slash; "" if there is none to leave out."""
    folders = [str(Path(source).parent) for source in sources if "://" not in source]
    try:
        shared = os.path.commonpath(folders)
    except ValueError:  # none at all, or absolute and relative ones
        return ""
    return f"{shared}/" if len(sources) > 1 and shared not in ("", "/") else ""


def _summary(tally: ReportTally) -> str:
    """Return e.g. "9 sources: 7 done, 2 failed; results in out"."""
    outcomes = tally.counts
    counts = [f"{outcomes[outcome]:,} {outcome.value}" for outcome in Outcome if outcomes[outcome]]
    noun = "source" if tally.total == 1 else "sources"
    folders = {path.parent for report in tally.kept for path in report.outputs.values()}
    place = f"; results in {_shared_place(folders)}" if folders else ""
    return f"{tally.total:,} {noun}: {', '.join(counts)}{place}"


def _shared_place(folders: Collection[ResultPlace]) -> str:
    shared = os.path.commonpath([str(folder) for folder in folders])
    if any(isinstance(folder, StorageUrl) for folder in folders):
        return shared.replace(":/", "://", 1)
    return str(Path(shared))


def ending(report: JobReport) -> str:
    """Return how a job ended, as one line."""
    if report.error is not None:
        return f"{report.outcome.value}: {_reason(report)}"
    if not report.counts.explained:
        return report.outcome.value
    rate = report.counts.explained / max(report.seconds, 1e-9)
    time = f"{duration(report.seconds)} ({rate:.1f} frames per second)"
    return f"{report.outcome.value} in {time}: {detected(report)}"


def _reason(report: JobReport) -> str:
    return (report.error or "").removeprefix(f"{report.source}: ")


def detected(report: JobReport) -> str:
    """Return what was detected, most frequent first, e.g. "120 person, 3 dog"."""
    return labels_text(report.counts.detections, None) or "nothing found"


def labels_text(labels: Mapping[str, int], limit: int | None = 4) -> str:
    """Return the most frequent labels, as e.g. "2 person, 1 dog"."""
    return ", ".join(f"{count} {label}" for label, count in Counter(labels).most_common(limit))


def camera_line(status: CameraStatus) -> str:
    line = f"{status.name}: {status.state.value}"
    if status.state is CameraState.LIVE:
        pixels = f", {status.width}x{status.height}" if status.width else ""
        return f"{line}: {status.url}{pixels}, {status.codec}"
    if status.error is not None and status.state is not CameraState.CONNECTING:
        return f"{line}: {camera_error(status)}"
    return line


def camera_error(status: CameraStatus) -> str:
    """Return a camera's error without its name, which is shown beside it; "" if there is none."""
    return (status.error or "").removeprefix(f"{status.name}: ")


def lost_frames(status: CameraStatus) -> dict[str, int]:
    return {cause: n for cause, n in status.counts.dropped.items() if cause != _BY_RATE}


def camera_summary(status: CameraStatus, seconds: float) -> str:
    """Return the results of a camera that has ended, as one line."""
    counts = status.counts
    parts = [f"{counts.explained} of {counts.decoded} frames explained in {duration(seconds)}"]
    if status.latency is not None:
        p50, p95 = (1000 * value for value in (status.latency.p50, status.latency.p95))
        parts.append(f"latency {p50:.0f} ms, 95 % below {p95:.0f} ms")
    parts += [f"{count} dropped ({cause})" for cause, count in lost_frames(status).items()]
    if labels := labels_text(counts.detections):
        parts.append(f"found {labels}")
    if status.reconnects:
        times = "once" if status.reconnects == 1 else f"{status.reconnects} times"
        parts.append(f"reconnected {times}")
    return f"{status.name}: {'; '.join(parts)}"
