"""`streamcam bench`: how fast it is, beside the published way and the bare detector."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import orjson
import typer
from rich.status import Status
from rich.table import Table

from streamcam.bench.figures import as_values, machine_in_words, remarks
from streamcam.bench.plan import BenchPlan, run_bench
from streamcam.bench.results import BenchReport, Spread, Standing
from streamcam.cli import options
from streamcam.cli.terminal import errors, output
from streamcam.config import load_settings

# Every frame is held in memory: 500 of 1080p take 3 GB.
_MOST_FRAMES = 500

_STAGES = {
    "decode": "read and decode the file",
    "upload": "bring the pictures to the device",
    "preprocess": "resize, normalise, pad",
    "forward": "the detector",
    "cam": "the map's components",
    "download": "bring boxes and maps back",
    "settle": "the map's sign and range, focus of the boxes",
    "render": "draw heat, boxes and labels",
    "encode": "convert and encode the video",
    "records": "write JSON lines and a still",
}


@options.from_settings(
    *("model.name", "model.weights", "model.device", "model.precision", "model.batch"),
    *("cam.grid", "output.encoder"),
)
def bench(
    flags: dict[str, dict[str, object]],
    source: Annotated[
        str, typer.Option("--source", help="A video file, or a demo scene.")
    ] = "demo://street",
    frames: Annotated[
        int,
        typer.Option(
            "--frames", min=1, max=_MOST_FRAMES, help="How many frames, from the first on."
        ),
    ] = 24,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=100, help="How often each way has its turn.")
    ] = 3,
    config: options.Config = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Short for --weights random.")
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Measure how fast streamcam is, on frames of your own.

    Three ways take turns on the same frames with the same weights: the published one (grad-cam's
    EigenCAM, file in, file out), the detector's forward alone at its best batch, and what
    `streamcam run` does. What comes before the first frame is told apart.
    """
    model = flags["model"]
    model["weights"] = options.resolve_shorthand(
        *("--weights", model["weights"], "--random-weights", "random"), given=random_weights
    )
    settings = load_settings(config, os.environ, flags)
    plan = BenchPlan(source, frames, rounds)
    with errors().status("starting") as status:
        report = run_bench(plan, settings, progress=_teller(status, quiet=quiet or json))
    if json:
        sys.stdout.buffer.write(orjson.dumps(as_values(report)) + b"\n")
    else:
        _print(report)


def _teller(status: Status, *, quiet: bool) -> Callable[[str, int, int], None]:
    """Return what shows how far it is: a spinner on a terminal, nothing elsewhere."""

    def tell(what: str, done: int, total: int) -> None:
        status.update(f"{what}, turn {done + 1} of {total}" if total > 1 else what)

    if quiet:
        status.stop()
        return lambda _what, _done, _total: None
    return tell


def _print(report: BenchReport) -> None:
    for line in machine_in_words(report):
        output().print(line, soft_wrap=True, markup=False)
    output().print()
    output().print(_ways(report))
    output().print()
    output().print(_stages(report))
    output().print()
    for line in remarks(report):
        output().print(line, soft_wrap=True, markup=False)


def _ways(report: BenchReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("way", no_wrap=True)
    for heading in ("frames/s", "spread", "CPU ms/frame", "batch", "precision", "boxes"):
        table.add_column(heading, justify="right")
    table.add_column("streamcam is", justify="right")
    for name, standing, over in (
        ("article", report.article, report.over_article),
        ("bare detector", report.bare, report.over_bare),
        ("streamcam", report.streamcam, None),
    ):
        table.add_row(name, *_cells(standing), "" if over is None else f"{over.median:.2f} x")
    return table


def _cells(standing: Standing) -> tuple[Any, ...]:
    return (
        f"{standing.rate.median:.2f}",
        _range(standing.rate),
        f"{1000 * standing.processor.median:.0f}",
        str(standing.batch),
        standing.precision,
        str(standing.found),
    )


def _range(spread: Spread) -> str:
    return f"{spread.low:.2f} to {spread.high:.2f}"


def _stages(report: BenchReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("stage", no_wrap=True)
    table.add_column("ms/frame", justify="right")
    table.add_column("share", justify="right")
    table.add_column("what it does")
    together = sum(stage.median for stage in report.stages.values())
    for name, stage in report.stages.items():
        share = stage.median / together
        table.add_row(name, f"{1000 * stage.median:.2f}", f"{share:.1%}", _STAGES[name])
    return table
