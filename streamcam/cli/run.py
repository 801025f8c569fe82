"""`streamcam run`, `watch` and `demo`: explain files, once or as they come."""

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.progress import JsonReporter, file_reporter
from streamcam.cli.summaries import as_json, detected, print_reports
from streamcam.cli.terminal import (
    JsonList,
    duration,
    forcible,
    leave,
    output,
    show_error,
    stopped_by_signals,
)
from streamcam.config import Settings, load_settings
from streamcam.config.fields import Tables
from streamcam.errors import ExitCode, UsageError
from streamcam.jobs.watcher import Watcher
from streamcam.malloc import limit_arenas
from streamcam.pipeline.file_run import Run
from streamcam.pipeline.file_sinks import check_records
from streamcam.pipeline.report_tally import ReportTally
from streamcam.pipeline.result_folder import check_output_folder
from streamcam.pipeline.run_folder import RunFolder, kept_run_folder
from streamcam.sinks.registry import is_result, result_files
from streamcam.sources.inputs import Entry, Inputs
from streamcam.sources.shard import Shard
from streamcam.sources.source_list import SourceList
from streamcam.types import JobReport

_FORCED = "unfinished results were removed"

_GOES_ON = "sources at work end first; the same command goes on from there"


@options.from_settings(
    *("output.folder", "model", "cam", "sampling", "render", "tracking", "events", "output", "ray")
)
def run(
    flags: Tables,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Videos, pictures, folders; the same in object storage, such as "
            "s3://bucket/videos/; https://host/clip.mp4; or demo://street.",
            metavar="SOURCE...",
        ),
    ] = None,
    sources_from: Annotated[
        str | None,
        typer.Option(
            "--sources-from",
            help="Explain the sources that a file lists: a text file with one a line (`-`: "
            "standard input), or a column of a Parquet file.",
            metavar="FILE",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            help="Column of --sources-from's Parquet file. Unset: its only one, or `uri`.",
            metavar="NAME",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Explain one of several equal parts of the sources, e.g. the third of 64: `3/64`. "
            "`auto/64`: the part that Kubernetes' indexed job or Slurm's array gives; `auto`: "
            "Slurm's, and as many as its array has tasks.",
            metavar="PART/PARTS",
        ),
    ] = None,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Explain videos and pictures: annotated heatmap videos, JSON records, manifests.

    For `dir/clip.mp4` and `--output out` the results are `out/dir/clip.heatmap.mp4`,
    `out/dir/clip.detections.jsonl` and `out/dir/clip.manifest.json`. What has complete results of
    the same model, method and settings already is skipped.
    """
    settings = load_settings(config, os.environ, flags)
    part = None if shard is None else Shard.parse(shard, os.environ)
    check_output_folder(settings.output.folder)
    check_records(settings.output)
    inputs = Inputs(_named(sources, sources_from, column), is_result)
    entries: Iterable[Entry] = inputs if part is None else part.select(inputs)
    count = len(inputs) if part is None else sum(1 for _ in part.select(inputs))
    if settings.ray.address is None:
        kept: AbstractContextManager[RunFolder | None] = nullcontext()
        if part is not None or sources_from is not None:
            kept = kept_run_folder(settings, shard=_place(part), total=count)
        with kept as folder:
            tally = _explain(settings, entries, count, folder, quiet=quiet, json=json)
    else:
        tally = _explain_on_cluster(settings, entries, count, part, quiet=quiet, json=json)
    if not (json or quiet):
        if tally.total:
            print_reports(tally)
        elif not count:
            output().print(f"None of the sources is in part {part}.")
        if (left := count - tally.total) > 0:
            output().print(f"not begun: {left:,}; the same command goes on with them")
    raise typer.Exit(tally.exit_code)


@options.from_settings(
    *("output.folder", "watch", "model", "cam", "sampling", "render", "tracking", "events"),
    *("-output.split", "output"),
)
def watch(
    folders: Annotated[list[str], typer.Argument(help="Folders to watch.", metavar="FOLDER...")],
    flags: Tables,
    once: Annotated[
        bool, typer.Option("--once", help="Explain the present files, then end.")
    ] = False,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Watch folders: explain each video and picture that comes into them, for ever.

    A file is taken once it is closed and unchanged for the time of --settle. Results mirror the
    tree below the folder. `streamcam jobs` lists what is done, failed or waiting.
    """
    if not all(folders):
        raise UsageError("the name of a folder is empty", hint="Is a variable of the shell unset?")
    settings = load_settings(config, os.environ, flags)
    reporter = nullcontext(JsonReporter()) if json else file_reporter(None, quiet=quiet)
    limit_arenas()
    with forcible(_FORCED), reporter as observer:
        watcher = Watcher([Path(folder) for folder in folders], settings, observer, once=once)
        with stopped_by_signals(
            watcher.stop, "running files end within seconds or are queued again"
        ):
            failed = watcher.run()
    code = ExitCode.SOME_FAILED if once and failed else ExitCode.OK
    if watcher.stuck:
        leave(code)
    raise typer.Exit(code)


@options.from_settings("model.name", "model.weights", "model.device")
def demo(
    flags: Tables,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "streamcam-demo"
    ),
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.2, max=3600, help="Length of the scene.")
    ] = 10.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another street.")] = 1,
    quiet: options.Quiet = False,
) -> None:
    """Explain a drawn street with the built-in detector: needs no camera and no network."""
    settings = load_settings(flags={**flags, "output": {"folder": folder, "overwrite": True}})
    scene = f"demo://street?seconds={seconds:g}&seed={seed}"
    (report,) = _explain(settings, Inputs([scene]), 1, quiet=quiet).kept
    if report.error is not None:
        show_error(report.error, report.hint)
    elif not quiet:
        _print_demo(report)
    raise typer.Exit(report.exit_code)


def _named(
    sources: Sequence[str] | None, sources_from: str | None, column: str | None
) -> Iterable[str]:
    """Return what the user named, on the command line or in a list."""
    if sources_from is None and column is not None:
        raise UsageError("--column: there is no --sources-from that it could be a column of")
    if sources_from is None and not sources:
        raise UsageError(
            "no source is named", hint="Name one, or a file that lists them: --sources-from FILE."
        )
    if sources_from is None:
        return sources or ()
    if sources:
        raise UsageError(
            f"sources are named, and --sources-from {sources_from} too", hint="Choose one of them."
        )
    return SourceList(sources_from, column)


def _explain(
    settings: Settings,
    entries: Iterable[Entry],
    count: int,
    kept: RunFolder | None = None,
    *,
    quiet: bool,
    json: bool = False,
) -> ReportTally:
    """Explain the entries with progress on the terminal, until Ctrl-C."""
    tally, printed = ReportTally(), JsonList()
    with forcible(_FORCED), file_reporter(count, quiet=quiet, lines=json) as observer:
        work = Run(settings, observer)
        with stopped_by_signals(work.stop, "what is done is kept"):
            for report in work.explain(entries):
                if kept is not None:
                    kept.record(report)
                tally.add(report)
                if json:
                    printed.add(as_json(report))
    if json:
        printed.end()
    return tally


def _explain_on_cluster(
    settings: Settings,
    entries: Iterable[Entry],
    count: int,
    part: Shard | None,
    *,
    quiet: bool,
    json: bool,
) -> ReportTally:
    """Explain the entries by the workers of a Ray cluster, until Ctrl-C; keep a run folder."""
    from streamcam.distributed.cluster import connected

    assert settings.ray.address is not None
    tally, printed = ReportTally(), JsonList()
    with forcible(_FORCED), connected(settings.ray.address):
        from streamcam.cli.cluster_table import cluster_reporter
        from streamcam.distributed.ray_run import RayRun

        folder = kept_run_folder(settings, shard=_place(part), total=count)
        with folder as kept, cluster_reporter(count, quiet=quiet, lines=json) as reporter:
            work = RayRun(settings, reporter, reporter.cluster_progressed, total=count)
            with stopped_by_signals(work.stop, _GOES_ON):
                for report, tries in work.explain(entries):
                    kept.record(report, tries)
                    tally.add(report)
                    if json:
                        printed.add(as_json(report))
            kept.end(stopped=tally.total < count)
    if json:
        printed.end()
    return tally


def _place(part: Shard | None) -> tuple[int, int] | None:
    return None if part is None else (part.number, part.count)


def _print_demo(report: JobReport) -> None:
    output().print(
        f"Explained {report.counts.explained} frames of {report.source} "
        f"in {duration(report.seconds)}: {detected(report)}.",
        soft_wrap=True,
    )
    for file in result_files():
        if file.kind in report.outputs:
            output().print(f"  {file.title:<16} {report.outputs[file.kind]}", soft_wrap=True)
