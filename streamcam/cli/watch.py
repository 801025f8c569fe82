"""`streamcam watch`: explain what comes into folders, for ever."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.progress import JsonReporter
from streamcam.cli.tables import file_reporter
from streamcam.cli.terminal import FORCED, show_error, stopped_by_signals
from streamcam.config import Settings, load_settings
from streamcam.config.load import Tables
from streamcam.errors import ExitCode
from streamcam.jobs.watcher import Watcher
from streamcam.observer import Observer


@options.from_settings("output.folder", "watch", "model", "cam", "sampling", "render", "output")
def watch(
    folders: Annotated[list[Path], typer.Argument(help="Folders to watch.", metavar="FOLDER...")],
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
    settings = load_settings(config, os.environ, flags)
    raise typer.Exit(_watch(folders, settings, once=once, quiet=quiet, json=json))


def _watch(
    folders: list[Path], settings: Settings, *, once: bool, quiet: bool, json: bool
) -> ExitCode:
    try:
        with _reporter(quiet=quiet, json=json) as observer:
            work = Watcher(folders, settings, observer, once=once)
            with stopped_by_signals(
                work.stop, "running files end within seconds or are queued again"
            ):
                failed = work.run()
    except KeyboardInterrupt:
        show_error("forced to stop; unfinished results were removed")
        os._exit(FORCED)
    code = ExitCode.SOME_FAILED if once and failed else ExitCode.OK
    if work.stuck:
        # A thread that hangs in native code must not keep the process alive.
        os._exit(code)
    return code


def _reporter(*, quiet: bool, json: bool) -> AbstractContextManager[Observer]:
    return nullcontext(JsonReporter()) if json else file_reporter(None, quiet=quiet)
