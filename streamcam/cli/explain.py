"""`streamcam explain`: a page on which one picture's boxes are explained, and regions masked."""

import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import errors, forcible, stopped_by_signals
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.explain.session import ExplainSession, open_session


@options.from_settings("model", "-model.batch", "cam.grid")
def explain(
    source: Annotated[
        str, typer.Argument(help="A picture, a video, or demo://street.", metavar="SOURCE")
    ],
    flags: Tables,
    at: Annotated[
        float | None,
        typer.Option(
            "--at", min=0, help="Second of the video that is looked at. Unset: its middle."
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option("--methods", help="Compare these at first, e.g. `layercam,gradcam`."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 0,
    opened: Annotated[
        bool, typer.Option("--open", help="Open the page in this machine's browser.")
    ] = False,
    config: options.Config = None,
    quiet: options.Quiet = False,
) -> None:
    """Look at one picture in a browser: maps of its boxes, scores without regions of it.

    Choose a box, compare what several methods show of it, with the audit's numbers, and mask
    regions to see its score fall or rise. The page is on this machine alone, and needs no network;
    its address is printed. Ctrl-C ends it.
    """
    settings = load_settings(config, os.environ, flags)
    wanted = [name.strip() for name in (methods or "").split(",") if name.strip()]
    with ExitStack() as exits:
        with StepReporter(quiet=quiet) as steps:
            session = exits.enter_context(
                open_session(settings, source, at=at, methods=wanted, fetching=steps.fetch)
            )
        _serve(session, port, wanted, open_page=opened, quiet=quiet)


def _serve(
    session: ExplainSession, port: int, methods: Sequence[str], *, open_page: bool, quiet: bool
) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    # Imported here because it brings the web framework.
    from streamcam.service.http.explain_server import ExplainServer

    server = ExplainServer(session, port, methods)
    ended = threading.Event()
    with forcible("nothing is lost"), stopped_by_signals(ended.set, None):
        server.start()
        try:
            # Flushed, since it may be read through a pipe while this runs on.
            typer.echo(server.entrance)
            sys.stdout.flush()
            if not quiet:
                errors().print("Ctrl-C ends it", style="dim")
            if open_page and not webbrowser.open(server.entrance):
                errors().print("no browser could be opened: open that address yourself")
            ended.wait()
        finally:
            server.stop()
