"""`streamcam report`: what was found in results, and what in them is worth a look."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import duration, output, print_json, styled, table
from streamcam.files import write_file
from streamcam.report.findings import FindingKind
from streamcam.report.sentences import MANY_OFF, remarks
from streamcam.report.summary import Report, as_values, make_report

if TYPE_CHECKING:
    from streamcam.drift.comparison import DriftReport

PAGE = "report.html"

_LISTED = 3
"""Findings of each kind that the terminal shows; the page shows all."""


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="Output folder of run, watch, live or serve.", metavar="FOLDER"),
    ],
    top: Annotated[
        int, typer.Option("--top", min=1, max=200, help="Findings of each kind on the page.")
    ] = 12,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Compare with this baseline: its name or file. Unset: the folder's newest.",
        ),
    ] = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Report over results: what was found when, how focused, and what is worth a look.

    It reads records only: boxes whose map lies elsewhere, classes in single frames, objects that
    are missed for a frame, stretches of low confidence, maps that jump. Where there is a baseline
    (`streamcam baseline`), also what differs from it. A summary here, pictures with links into the
    videos in `report.html` in the folder.
    """
    with StepReporter(quiet=quiet, lines=json) as steps:
        made = make_report(folder, top, steps.step)
        drift = _compared(folder, baseline, steps)
        page = _write(made, drift)
    if json:
        values = {} if drift is None else {"drift": drift.as_json()}
        print_json({**as_values(made), **values, "page": str(page)})
    elif not quiet:
        if drift is not None:
            _print_drift(drift)
        _print(made, page)


def _compared(folder: Path, wanted: str | None, steps: StepReporter) -> "DriftReport | None":
    """Compare with the baseline that is meant, None where there is none."""
    from streamcam.drift.comparison import chosen_baseline, compare
    from streamcam.drift.judging import ALARMS_PER_WEEK, COOLDOWN

    baseline = chosen_baseline(folder, wanted)
    if baseline is None:
        return None
    return compare(folder, baseline, ALARMS_PER_WEEK, COOLDOWN, steps.step)


def _write(report: Report, drift: "DriftReport | None") -> Path:
    from streamcam.drift.drift_section import section
    from streamcam.report.finding_pictures import pictures_of
    from streamcam.report.report_page import page

    path = report.folder / PAGE
    lead = "" if drift is None else section(drift)
    return write_file(path, page(report, pictures_of(report.findings), path, lead).encode())


def _print_drift(drift: "DriftReport") -> None:
    from streamcam.drift.drift_section import summary

    style = "red" if drift.drifted else "dim"
    output().print(styled(f"drift: {summary(drift)}", style), soft_wrap=True)
    for one in drift.sources:
        for remark in one.remarks():
            output().print(styled(f"drift: {remark}", style), soft_wrap=True)


def _print(report: Report, page: Path) -> None:
    headings = ("boxes", "confidence", "lift", "off object", "peak inside", "missed once")
    rows = table("class", *headings, right=headings, keep=("class",))
    for one in report.classes:
        off = styled(f"{one.off_object:.1%}", "red" if one.off_object >= MANY_OFF else "")
        rows.add_row(
            *(one.label, f"{one.boxes:,}", f"{one.confidence:.0%}", f"{one.lift[0]:.1f}", off),
            *(f"{one.peak_inside:.0%}", f"{one.blinks:,}"),
        )
    output().print(rows)
    for remark in remarks(report):
        output().print(remark, soft_wrap=True)
    for kind in FindingKind:
        for located in report.of_kind(kind)[:_LISTED]:
            what = " ".join(filter(None, (located.finding.label, located.finding.text)))
            place = f"{located.source} {duration(located.time)}"
            output().print(f"{kind.value}: {place}: {what}", soft_wrap=True)
    output().print(f"pictures and timelines: {page}", soft_wrap=True)
