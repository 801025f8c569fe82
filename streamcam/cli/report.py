"""Reports for people and for programs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from streamcam.cli.terminal import duration, output, printable
from streamcam.types import JobReport, Outcome

STYLES = {
    Outcome.RUNNING: "cyan",
    Outcome.DONE: "green",
    Outcome.SKIPPED: "dim",
    Outcome.STOPPED: "yellow",
    Outcome.FAILED: "red",
}
_SKIPPED = "has results already; --overwrite explains it again"


def as_json(report: JobReport) -> dict[str, Any]:
    """Return a report as plain values, as `--json` prints it."""
    counts = report.counts
    return {
        "source": report.source,
        "outcome": report.outcome.value,
        "counts": {
            "decoded": counts.decoded,
            "explained": counts.explained,
            "corrupt": counts.corrupt,
            "dropped": dict(counts.dropped),
            "detections": dict(counts.detections),
        },
        "outputs": {kind: str(path) for kind, path in report.outputs.items()},
        "seconds": round(report.seconds, 3),
        "media_seconds": round(report.media_seconds, 3),
        "error": report.error,
        "hint": report.hint,
        "exit_code": int(report.exit_code),
    }


def print_table(reports: Sequence[JobReport]) -> None:
    """Print a line per source, and what became of all of them."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("source", overflow="fold", ratio=3)
    table.add_column("result")
    table.add_column("frames", justify="right")
    table.add_column("time", justify="right")
    table.add_column("found, or why not", overflow="fold", ratio=5)
    shared = _shared_folder([report.source for report in reports])
    for report in reports:
        style = STYLES[report.outcome]
        table.add_row(
            printable(report.source.removeprefix(shared)),
            Text(report.outcome.value, style),
            str(report.counts.explained or ""),
            duration(report.seconds),
            _remark(report),
        )
    output().print(table)
    output().print(summary(reports))


def _remark(report: JobReport) -> Text:
    if report.outcome is Outcome.SKIPPED:
        return Text(_SKIPPED, "dim")
    remarks = [found(report)] if report.counts.explained else []
    if report.counts.corrupt:
        remarks.append(f"{report.counts.corrupt} corrupt packets or frames left out")
    text = Text("; ".join(remarks))
    if report.error is not None:
        text.append("; " if remarks else "").append(printable(reason(report)), "red")
    return text


def reason(report: JobReport) -> str:
    """Return why a source failed, without its name, which stands beside it already."""
    return (report.error or "").removeprefix(f"{report.source}: ")


def _shared_folder(sources: Sequence[str]) -> str:
    """Return the folder that all files share, with a slash; "" where there is none to leave out."""
    folders = [str(Path(source).parent) for source in sources if "://" not in source]
    try:
        shared = os.path.commonpath(folders)
    except ValueError:  # none at all, or absolute and relative ones
        return ""
    return f"{shared}/" if len(sources) > 1 and shared not in ("", "/") else ""


def found(report: JobReport) -> str:
    """Return what was detected, most frequent first, e.g. "120 person, 3 dog"."""
    ranked = sorted(report.counts.detections.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{count} {label}" for label, count in ranked) or "nothing found"


def summary(reports: Sequence[JobReport]) -> str:
    """Return e.g. "9 sources: 7 done, 2 failed; results in out"."""
    counts = [
        f"{number} {outcome.value}"
        for outcome in Outcome
        if (number := sum(report.outcome is outcome for report in reports))
    ]
    noun = "source" if len(reports) == 1 else "sources"
    folders = {path.parent for report in reports for path in report.outputs.values()}
    place = f"; results in {_common(folders)}" if folders else ""
    return f"{len(reports)} {noun}: {', '.join(counts)}{place}"


def _common(folders: set[Path]) -> Path:
    first, *others = folders
    for candidate in (first, *first.parents):
        if all(other.is_relative_to(candidate) for other in others):
            return candidate
    return Path("/")
