"""`streamcam audit`: how far the maps can be trusted, measured on one's own pictures."""

import os
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streamcam.audit.auditor import AuditPlan, run_audit
from streamcam.audit.scores import MEASURES, AuditReport, as_values, number, remarks, rows
from streamcam.audit.verdict import LEAST_FRAMES, MOST_FRAMES, sentences
from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, styled, table
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.files import write_file
from streamcam.sinks.base import result_path
from streamcam.sinks.registry import AUDIT_PAGE, AUDIT_VALUES
from streamcam.sources.inputs import expand


@options.from_settings("output.folder", "model", "-model.batch", "cam.grid")
def audit(
    source: Annotated[
        str, typer.Argument(help="A video, picture, folder, or demo://street.", metavar="SOURCE")
    ],
    flags: Tables,
    methods: Annotated[
        str | None, typer.Option("--methods", help="Only these, e.g. `layercam,gradcam`.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            min=1,
            max=1000,
            help="How many frames are sampled. Unset: as many as the verdict needs, "
            f"{LEAST_FRAMES} to {MOST_FRAMES}.",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, max=100, help="How many boxes of each are explained.")
    ] = 2,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="True boxes, as COCO JSON; demo:// knows its own."),
    ] = None,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure how far each method's maps can be trusted, on frames of your own.

    For each method and two baselines (random, centre): how the boxes' scores fall when what a map
    shows is taken away, whether it points at the true objects, flickers, depends on what the
    network has learnt, and what it costs. What that comes to in plain words and a table here,
    numbers and pictures in `--output`.
    """
    settings = load_settings(config, os.environ, flags)
    wanted = [name.strip() for name in (methods or "").split(",") if name.strip()]
    plan = AuditPlan(source, frames=frames, top=top, methods=wanted, truth=truth)
    with StepReporter(quiet=quiet, lines=json) as steps:
        report, engine = run_audit(plan, settings, progress=steps.step, fetching=steps.fetch)
    values = as_values(expand([source])[0].id if "://" in source else source, report, engine)
    page = _write(source, settings.output.local_folder, report, values)
    if json:
        print_json(values)
    elif not quiet:
        _print(report, page)


def _write(source: str, folder: Path, report: AuditReport, values: dict[str, Any]) -> Path:
    """Write the numbers and the page; return the page's path."""
    from streamcam.audit.page import page

    path = Path(source)
    stem = path.resolve().name if path.is_dir() else expand([source])[0].stem
    content = orjson.dumps(values, option=orjson.OPT_INDENT_2)
    write_file(result_path(folder, stem, AUDIT_VALUES), content)
    return write_file(result_path(folder, stem, AUDIT_PAGE), page(report, values).encode())


def _print(report: AuditReport, page: Path) -> None:
    for sentence in sentences(report.verdict):
        output().print(sentence, soft_wrap=True)
    headings = [measure.heading for measure in MEASURES.values()]
    made = table("method", *headings, right=headings, keep=("method",))
    for row in rows(report):
        cells = [styled(number(key, value)) for key, value in row.values.items()]
        if not row.sane:
            cells[-1].append(" fails").stylize("red")
        made.add_row(row.name, *cells, style="dim" if row.baseline else None)
    output().print(made)
    for remark in remarks(report):
        output().print(remark, soft_wrap=True)
    output().print(f"pictures and explanations: {page}", soft_wrap=True)
