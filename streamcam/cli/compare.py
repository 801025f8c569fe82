"""`streamcam compare`: two detectors on the same frames, and which is better at what."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streamcam.cli import options
from streamcam.cli.paired_options import split_flags
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import (
    forcible,
    output,
    print_json,
    show_error,
    stopped_by_signals,
    styled,
    table,
)
from streamcam.compare.comparer import Comparer, ComparisonPlan, DetectorComparison
from streamcam.compare.comparison_values import as_values
from streamcam.compare.conclusions import remarks, sentences
from streamcam.compare.figures import FoundBoxes
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.errors import ExitCode
from streamcam.files import write_file
from streamcam.pipeline.result_folder import check_output_folder

PAGE = "compare.html"
VALUES = "compare.json"

_CLASSES = 10
"""Classes that the terminal shows, the most frequent; the page shows all."""


@options.from_settings(
    *("output.folder", "model", "-model.batch", "cam", "-cam.why_every", "sampling"),
    *("render.colormap", "render.opacity", "output.encoder"),
    repeatable=("model", "cam"),
)
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, pictures, folders, or demo://street.", metavar="SOURCE..."),
    ],
    flags: Tables,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="True boxes, as COCO JSON; demo:// knows its own."),
    ] = None,
    probes: Annotated[
        int,
        typer.Option(
            "--probes",
            min=0,
            max=100,
            help="Frames, those with the most boxes, that are changed (channels swapped, darker, "
            "blurred, ...) to see what makes A and B agree; 0 for none.",
        ),
    ] = 6,
    video: Annotated[
        bool, typer.Option("--video/--no-video", help="Write side-by-side videos and pictures.")
    ] = True,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Compare two detectors on the same frames: which is better at what.

    An option of the detector that is given once counts for both, one that is given twice is what
    differs: first A's value, then B's (`--precision fp32 --precision int8`); `default` stands for
    leaving it out. Two sentences and a table here; `compare.html`, `compare.json` and side-by-side
    videos in `--output`.
    """
    paired = split_flags(flags)
    a, b = (load_settings(config, os.environ, side) for side in (paired.a, paired.b))
    check_output_folder(a.output.local_folder)
    plan = ComparisonPlan(
        sources=sources, a=a, b=b, names=paired.names, truth=truth, probes=probes, pictures=video
    )
    with forcible("there is no report"), StepReporter(quiet=quiet, lines=json) as steps:
        comparer = Comparer(plan, progress=steps.step, fetching=steps.fetch)
        with stopped_by_signals(comparer.stop, "what is compared by now is reported"):
            comparison = comparer.run()
    values = as_values(comparison)
    page = _write(a.output.local_folder, comparison, values)
    if json:
        print_json(values)
    elif not quiet:
        _print(comparison, page)
    _fail_for(comparison)


def _write(folder: Path, comparison: DetectorComparison, values: dict[str, Any]) -> Path:
    """Write the numbers and the page; return the page's path."""
    from streamcam.compare.comparison_page import page

    write_file(folder / VALUES, orjson.dumps(values, option=orjson.OPT_INDENT_2))
    path = folder / PAGE
    return write_file(path, page(comparison, path).encode())


def _fail_for(comparison: DetectorComparison) -> None:
    """Say which sources failed, and exit with 1 if any did."""
    failed = [one.error for one in comparison.sources if one.error is not None]
    for error in failed:
        show_error(error)
    if failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _print(comparison: DetectorComparison, page: Path) -> None:
    for side, name in zip("AB", comparison.names, strict=True):
        output().print(f"{side}: {name}", soft_wrap=True)
    for sentence in sentences(comparison):
        output().print(sentence, soft_wrap=True)
    _print_boxes(comparison)
    for remark in remarks(comparison):
        output().print(remark, soft_wrap=True)
    output().print(f"pictures and charts: {page}", soft_wrap=True)


def _print_boxes(comparison: DetectorComparison) -> None:
    figures, truth = comparison.figures, comparison.truth
    headings = ["A", "B", "both", "only A", "only B", "other class"]
    if truth:
        headings += ["recall A", "recall B", "precision A", "precision B"]
    known = {} if truth is None else {one.label: one for one in truth.classes}
    rows = table("boxes", *headings, right=headings, keep=("boxes",))
    for one in _rows(figures.classes, figures.sizes, figures.boxes):
        cells = [f"{count:,}" for count in (one.a, one.b, one.both, one.only_a, one.only_b)]
        cells.append(f"{max(one.renamed):,}")
        accuracy = known.get(one.name)
        if accuracy:
            pairs = (accuracy.a, accuracy.b)
            cells += [_share(side.recall) for side in pairs]
            cells += [_share(side.precision) for side in pairs]
        rows.add_row(styled(one.name), *cells)
    output().print(rows)


def _rows(
    classes: Sequence[FoundBoxes], sizes: Sequence[FoundBoxes], boxes: FoundBoxes
) -> list[FoundBoxes]:
    of_sizes = [replace(one, name=f"({one.name})") for one in sizes]
    return [*classes[:_CLASSES], *of_sizes, replace(boxes, name="(all)")]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
