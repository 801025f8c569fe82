"""`streamcam run`: explain files and folders, once."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.report import as_json, print_reports
from streamcam.cli.tables import file_reporter
from streamcam.cli.terminal import FORCED, print_json, show_error, stopped_by_signals
from streamcam.config import Settings, load_settings
from streamcam.config.load import Tables
from streamcam.pipeline.file_job import Run, exit_code
from streamcam.sinks.registry import is_result
from streamcam.sources.inputs import Entry, expand
from streamcam.types import JobReport


@options.from_settings("output.folder", "model", "cam", "sampling", "render", "output")
def run(
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, pictures, folders, or demo://street.", metavar="SOURCE..."),
    ],
    flags: Tables,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Explain videos and pictures: annotated heatmap videos, JSON records, manifests.

    For `dir/clip.mp4` and `--output out` the results are `out/dir/clip.heatmap.mp4`,
    `out/dir/clip.detections.jsonl` and `out/dir/clip.manifest.json`. What has results already is
    skipped.
    """
    settings = load_settings(config, os.environ, flags)
    reports = explain(settings, expand(sources, is_result), quiet=quiet, json=json)
    if json:
        print_json([as_json(report) for report in reports])
    elif not quiet:
        print_reports(reports)
    raise typer.Exit(exit_code(reports))


def explain(
    settings: Settings, entries: Sequence[Entry], *, quiet: bool, json: bool = False
) -> list[JobReport]:
    """Explain the entries with progress on the terminal, until Ctrl-C."""
    try:
        with file_reporter(len(entries), quiet=quiet, lines=json) as observer:
            work = Run(settings, observer)
            with stopped_by_signals(work.stop, "what is done is kept"):
                return work.explain(entries)
    except KeyboardInterrupt:
        show_error("forced to stop; unfinished results were removed")
        # A thread that hangs in native code must not delay the second Ctrl-C.
        os._exit(FORCED)
