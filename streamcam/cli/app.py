"""The `streamcam` command: its subcommands, error messages and exit codes."""

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from streamcam.cli.logs import log_to_terminal
from streamcam.cli.terminal import show_error
from streamcam.cli.usage import CommandLineError, in_words
from streamcam.errors import ExitCode, StreamcamError
from streamcam.process_tuning import set_up_libraries
from streamcam.version import __version__

if TYPE_CHECKING:
    from typer._click import Command, Context

PURPOSES = {
    "run": "Explain videos and pictures: annotated heatmap videos, JSON records, manifests.",
    "watch": "Watch folders: explain each video and picture that comes into them, for ever.",
    "live": "Explain a camera or stream as it comes, and record it in segments.",
    "serve": "Run all cameras and watched folders of the configuration, with health, metrics and "
    "a page.",
    "status": "Show the state of a running `streamcam serve`: cameras, files, space.",
    "demo": "Explain a drawn street with the built-in detector: needs no camera and no network.",
    "explain": "Look at one picture in a browser: maps of its boxes, scores without regions of it.",
    "audit": "Measure how far each method's maps can be trusted, on frames of your own.",
    "compare": "Compare two detectors on the same frames: which is better at what.",
    "report": "Report over results: what was found when, how focused, and what is worth a look.",
    "export": "Export results to labelling tools, all frames or the hard ones, or as tables.",
    "baseline": "Learn what is usual in results: `report` tells then what differs.",
    "bench": "Measure how fast streamcam is, on frames of your own.",
    "schema": "Print the JSON Schema of a file that streamcam writes.",
    "doctor": "Print versions, devices, codecs, caches and free space: what a bug report needs.",
    "jobs": "See and change the jobs of watched folders.",
    "events": "See, export and dismiss the events of cameras.",
    "models": "The detectors that can be used by name, and their weights.",
    "config": "See, check and describe the settings.",
}
"""The first line of each command's help."""

_MODULES = {"schema": "config", "watch": "run", "demo": "run"}
"""Modules of commands that have none of their own."""


class Commands(TyperGroup):
    """Lists the commands without importing their modules; imports that of the called one only.

    The modules import numpy, pydantic, PyAV, OpenCV and most of streamcam.
    """

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> tuple[str | None, "Command | None", list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> "Command":
    """Return a command: its module's `app`, or the module's function of the command's name."""
    module = import_module(f"streamcam.cli.{_MODULES.get(name, name)}")
    holder = typer.Typer()
    if name not in _MODULES and hasattr(module, "app"):
        holder.add_typer(module.app, name=name)
    else:
        holder.command(name)(getattr(module, name))
    return typer.main.get_group(holder).commands[name]


app = typer.Typer(
    name="streamcam",
    cls=Commands,
    help="See what an object detector looks at, in pictures and videos.",
    epilog="Exit codes: 0 done or asked to stop, 1 some inputs failed, 2 usage, "
    "69 source or weights unavailable, 70 GPU or internal fault, 78 bad configuration.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, purpose in PURPOSES.items():
    app.add_typer(typer.Typer(), name=name, help=purpose)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamcam {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and debug messages.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    del version
    log_to_terminal(logging.DEBUG if debug else logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with the code that the outcome asks for."""
    set_up_libraries()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # What `typer.Exit` carries is returned.
        code = app(words, standalone_mode=False)
    except CommandLineError as error:
        message, hint = in_words(error)
        if message:
            show_error(message, hint)
        sys.exit(ExitCode.USAGE)
    except StreamcamError as error:
        if "--debug" in words:
            raise
        show_error(error.message, error.hint, error.details)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except Exception as error:
        if "--debug" in words:
            raise
        show_error(
            f"internal fault: {type(error).__name__}: {error}",
            "Please report this, with what `streamcam --debug ...` and `streamcam doctor` print.",
        )
        sys.exit(ExitCode.INTERNAL)
    sys.exit(code or ExitCode.OK)
