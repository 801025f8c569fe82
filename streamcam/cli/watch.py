"""`streamcam watch`: explain what comes into folders, for ever."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from streamcam.cli import options
from streamcam.cli.board import Board
from streamcam.cli.progress import Faults, Lines
from streamcam.cli.report import as_json
from streamcam.cli.signals import FORCED, stopped_by_signals
from streamcam.cli.terminal import errors, show_error
from streamcam.config import Settings, load_settings
from streamcam.errors import ExitCode
from streamcam.jobs.watcher import Watcher
from streamcam.observer import Observer
from streamcam.types import JobReport


def watch(
    folders: Annotated[list[Path], typer.Argument(help="Folders to watch.", metavar="FOLDER...")],
    output: options.Output = None,
    recursive: Annotated[
        bool | None,
        typer.Option("--recursive/--no-recursive", help="Take files of the folders below too."),
    ] = None,
    include: Annotated[
        str | None, typer.Option("--include", help="Only files that match, e.g. `*.mp4,cam1/*`.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option("--exclude", help="Never files or folders that match.")
    ] = None,
    settle: Annotated[
        float | None, typer.Option("--settle", help="Seconds that a file must stand still.")
    ] = None,
    poll: Annotated[
        bool | None,
        typer.Option("--poll", help="Look regularly, for file systems without events (NFS)."),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", help="What becomes of explained files: keep, delete, move:DIR."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Explain what is there, then end.")] = False,
    state: options.State = None,
    config: options.Config = None,
    model: options.Model = None,
    weights: options.Weights = None,
    labels: options.Labels = None,
    confidence: options.Confidence = None,
    classes: options.Classes = None,
    device: options.Device = None,
    precision: options.Precision = None,
    half: options.Half = False,
    batch: options.Batch = None,
    max_fps: options.MaxFps = None,
    every: options.Every = None,
    start: options.Start = None,
    end: options.End = None,
    method: options.Method = None,
    why: options.Explain = None,
    why_every: options.WhyEvery = None,
    why_top: options.WhyTop = None,
    grid: options.Grid = None,
    colormap: options.Colormap = None,
    opacity: options.Opacity = None,
    video: options.Video = None,
    save_maps: options.SaveMaps = None,
    encoder: options.Encoder = None,
    audio: options.Audio = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Watch folders: explain each video and picture that comes into them, for ever.

    A file is taken once it is closed and stood still for --settle seconds. Results mirror the tree
    below the folder. `streamcam jobs` lists what is done, failed or waiting.
    """
    settings = load_settings(config, os.environ, options.tables(locals()))
    raise typer.Exit(_watch(folders, settings, once=once, quiet=quiet, json=json))


def _watch(
    folders: list[Path], settings: Settings, *, once: bool, quiet: bool, json: bool
) -> ExitCode:
    try:
        with _observer(quiet=quiet, json=json) as observer:
            work = Watcher(folders, settings, observer, once=once)
            with stopped_by_signals(
                work.stop, "running files end within seconds or are given back"
            ):
                failed = work.run()
    except KeyboardInterrupt:
        show_error("forced to stop; unfinished results were removed")
        os._exit(FORCED)
    code = ExitCode.SOME_FAILED if once and failed else ExitCode.OK
    if work.stuck:
        # A thread that hangs in native code must not keep the process from ending.
        os._exit(code)
    return code


@contextmanager
def _observer(*, quiet: bool, json: bool) -> Iterator[Observer]:
    if json:
        yield _JsonLines()
    elif quiet:
        yield Faults()
    elif errors().is_terminal:
        with Board() as board:
            yield board
    else:
        yield Lines()


class _JsonLines(Faults):
    """Prints a report a line on stdout, as the jobs end."""

    def file_ended(self, report: JobReport) -> None:
        """Print the report."""
        sys.stdout.buffer.write(orjson.dumps(as_json(report)) + b"\n")
        sys.stdout.buffer.flush()
