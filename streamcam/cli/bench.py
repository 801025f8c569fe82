"""`streamcam bench`: its speed compared with the published recipe and the detector alone."""

import os
from typing import Annotated

import typer
from rich.table import Table

from streamcam.bench.benchmark import BenchPlan, run_bench
from streamcam.bench.measurements import (
    BenchReport,
    RunResult,
    Spread,
    as_values,
    machine_in_words,
    remarks,
)
from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import errors, output, print_json, table
from streamcam.config import load_settings

_STAGES = {
    "decode": "read and decode the file",
    "upload": "copy the pictures to the device",
    "preprocess": "resize, normalise, pad",
    "forward": "the detector",
    "cam": "the map's components",
    "download": "copy boxes and maps to the host",
    "stabilize": "the map's sign and range, focus of the boxes",
    "render": "draw heat, boxes and labels",
    "encode": "convert and encode the video",
    "records": "write JSON lines and a still",
}


@options.from_settings("model", "cam.grid", "output.encoder")
def bench(
    flags: dict[str, dict[str, object]],
    source: Annotated[
        str, typer.Option("--source", help="A video file, or a demo scene.")
    ] = "demo://street",
    frames: Annotated[
        int, typer.Option("--frames", min=1, max=500, help="Number of frames, from the first on.")
    ] = 24,  # all are in memory: 500 of 1080p take 3 GB
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=100, help="Number of repetitions.")
    ] = 3,
    config: options.Config = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Short for --weights random.")
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure how fast streamcam is, on frames of your own.

    Three runs alternate on the same frames with the same weights: the published recipe (grad-cam's
    EigenCAM, file to file), the detector's forward alone at its best batch, and `streamcam run`.
    The last two run in OpenVINO too where that is installed, in every precision. The time before
    the first frame is reported separately.
    """
    model = flags["model"]
    model["weights"] = options.resolve_shorthand(
        *("--weights", model["weights"], "--random-weights", "random"), given=random_weights
    )
    settings = load_settings(config, os.environ, flags)
    plan = BenchPlan(source, frames, rounds)
    with StepReporter(quiet=quiet or json or not errors().is_terminal) as steps:
        report = run_bench(plan, settings, progress=steps.step, fetching=steps.fetch)
    if json:
        print_json(as_values(report))
    else:
        _print(report)


def _print(report: BenchReport) -> None:
    for line in machine_in_words(report):
        output().print(line, soft_wrap=True)
    output().print("", _runs(report), "", _stages(report), "", sep="\n")
    for line in remarks(report):
        output().print(line, soft_wrap=True)


def _runs(report: BenchReport) -> Table:
    numbers = ("frames/s", "spread", "CPU ms/frame", "batch", "precision", "boxes", "streamcam is")
    rows = table("run", *numbers, right=numbers, keep=("run",))
    for name, result, over in (
        ("grad-cam", report.gradcam, report.over_gradcam),
        ("detector only", report.detector_only, report.over_detector_only),
        ("streamcam", report.streamcam, None),
        *_in_openvino(report),
    ):
        rows.add_row(
            name,
            f"{result.rate.median:.2f}",
            f"{result.rate.low:.2f} to {result.rate.high:.2f}",
            f"{1000 * result.processor.median:.0f}",
            str(result.batch),
            result.precision,
            str(result.detections),
            "" if over is None else f"{over.median:.2f} x",
        )
    return rows


def _in_openvino(report: BenchReport) -> list[tuple[str, RunResult, Spread | None]]:
    return [
        row
        for one in report.openvino.values()
        for row in (
            ("OpenVINO, detector only", one.bare, None),
            ("OpenVINO, streamcam", one.streamcam, None),
        )
    ]


def _stages(report: BenchReport) -> Table:
    headings = ("stage", "ms/frame", "share", "what it does")
    rows = table(*headings, right=("ms/frame", "share"), keep=("stage",))
    for name, stage in report.stages.items():
        share = stage.median / report.stages_seconds
        rows.add_row(name, f"{1000 * stage.median:.2f}", f"{share:.1%}", _STAGES[name])
    return rows
