"""`streamcam models quantize`: a detector in int8, calibrated on one's own footage."""

import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, show_error, table
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.errors import ExitCode
from streamcam.quantization.quantizer import QuantizationPlan, QuantizationReport, quantize_model


@options.from_settings(
    "model", "-model.name", "-model.device", "-model.precision", "-model.classes", "-model.batch"
)
def quantize(
    name: Annotated[str, typer.Argument(help="A model's name, or its file or folder.")],
    flags: Tables,
    footage: Annotated[
        str, typer.Option("--footage", help="A video, or a folder of videos and pictures.")
    ],
    new_name: Annotated[
        str | None, typer.Option("--name", help="What to call it. Unset: the model's, with -int8.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Keep it even if it agrees too little.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an imported model of the same name.")
    ] = False,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Make a detector faster on Intel's devices: in int8, calibrated on your own footage.

    Chooses frames that differ, and keeps a part of them apart. On that part it compares boxes,
    maps and speed with the float model. What agrees too little is not kept without --force. The
    result is used by its name: --model NAME.
    """
    named = {**flags, "model": {**flags["model"], "name": name}}
    settings = load_settings(config, os.environ, named)
    plan = QuantizationPlan(footage=footage, name=new_name, force=force, overwrite=overwrite)
    with StepReporter(quiet=quiet, lines=json) as steps:
        report = quantize_model(plan, settings, progress=steps.step, fetching=steps.fetch)
    if json:
        print_json(_values(report))
    elif not quiet:
        _print(report)
    shortfall = report.measured.agreement.shortfall
    if report.folder is None:
        show_error(f"{report.name} was not kept: {shortfall}", "--force keeps it nevertheless.")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _values(report: QuantizationReport) -> dict[str, Any]:
    measured = report.measured
    return {
        "name": report.name,
        "model": report.model,
        "folder": report.folder and str(report.folder),
        "calibration_frames": len(report.footage.calibration),
        "held_out_frames": len(report.footage.held_out),
        "agreement": asdict(measured.agreement),
        "shortfall": measured.agreement.shortfall,
        "milliseconds": {"float": report.float_ms, "int8": measured.milliseconds},
    }


def _print(report: QuantizationReport) -> None:
    agreed, measured = report.measured.agreement, report.measured
    rows = table("", "", show_header=False)
    rows.add_row("calibrated on", f"{len(report.footage.calibration)} frames")
    rows.add_row(
        "compared on", f"{agreed.frames} others, with {agreed.float_boxes} confident boxes"
    )
    rows.add_row("boxes found again", _share(agreed.found))
    rows.add_row("boxes of int8 that the float model has", _share(agreed.confirmed))
    rows.add_row(
        "correlation of the maps",
        f"mean {agreed.map_mean:.3f}, 5th percentile {agreed.map_low:.3f}",
    )
    before, now = report.float_ms, measured.milliseconds
    speed = f"{before:.1f} ms before, {now:.1f} ms in int8 ({before / now:.2f}x)"
    rows.add_row("forward pass of a picture", speed)
    output().print(rows)
    if report.folder is not None:
        output().print(f"kept as {report.name}: --model {report.name}", soft_wrap=True)
    if report.folder is not None and agreed.shortfall is not None:
        output().print(f"warning: {agreed.shortfall}", soft_wrap=True)


def _share(value: float | None) -> str:
    return "there are none" if value is None else f"{value:.1%}"
