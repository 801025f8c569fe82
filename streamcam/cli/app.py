"""The `streamcam` command: its subcommands, and how errors reach a person."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from streamcam.cli.commands import PURPOSES, Commands
from streamcam.cli.logs import speak_to_people
from streamcam.cli.terminal import show_error
from streamcam.errors import ExitCode, StreamcamError
from streamcam.version import __version__

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
    speak_to_people(logging.DEBUG if debug else logging.WARNING)


def share_cores() -> None:
    """Keep threads out of each other's way; before torch is loaded and OpenCV first works."""
    # OpenMP's threads would otherwise spin while they wait, beside those that decode, draw and
    # encode, and OpenCV's would share out what takes 0.1 ms.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    # Most that our threads do lets others run meanwhile; who comes back from it should not wait for
    # Python's usual 5 ms behind one that draws.
    sys.setswitchinterval(0.0005)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with the code that the outcome asks for."""
    share_cores()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words)
    except StreamcamError as error:
        if "--debug" in words:
            raise
        show_error(error.message, error.hint)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
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
