"""`streamcam demo`: the whole tool on a drawn street, offline, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.report import detected
from streamcam.cli.run import explain
from streamcam.cli.terminal import duration, output, show_error
from streamcam.config import load_settings
from streamcam.config.load import Tables
from streamcam.sinks.registry import result_files
from streamcam.sources.inputs import expand
from streamcam.types import JobReport


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
    (report,) = explain(settings, expand([scene]), quiet=quiet)
    if report.error is not None:
        show_error(report.error, report.hint)
    elif not quiet:
        _print_results(report)
    raise typer.Exit(report.exit_code)


def _print_results(report: JobReport) -> None:
    console = output()
    console.print(
        f"Explained {report.counts.explained} frames of {report.source} "
        f"in {duration(report.seconds)}: {detected(report)}.",
        soft_wrap=True,
    )
    for file in result_files():
        if file.kind in report.outputs:
            console.print(f"  {file.title:<16} {report.outputs[file.kind]}", soft_wrap=True)
