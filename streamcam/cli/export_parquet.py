"""`streamcam export parquet`: all records below a folder as one data set."""

from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, show_error
from streamcam.errors import ExitCode
from streamcam.sinks.parquet.table_file import require_pyarrow


def parquet(
    folder: Annotated[
        Path, typer.Argument(help="Output folder of run, watch, live or serve.", metavar="FOLDER")
    ],
    to: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the data set.", show_default=False)
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier data set in that folder.")
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Export all records, of files and of recordings, as one Parquet data set.

    It has two tables, `frames` and `detections`, in few large files partitioned by date, for
    DuckDB, polars, Spark and whatever else reads Hive's partitions.
    """
    from streamcam.export.record_dataset import find_clips, write_dataset

    require_pyarrow("export parquet")
    clips = find_clips(folder)
    with StepReporter(quiet=quiet, lines=json) as steps:
        numbers = count()
        summary = write_dataset(
            clips,
            to,
            overwrite=overwrite,
            progress=lambda name: steps.step(name, next(numbers), len(clips)),
        )
    if json:
        print_json({**asdict(summary), "folder": str(to)})
    elif not quiet:
        output().print(
            f"{_number(summary.frames, 'frame')} and {_number(summary.detections, 'detection')} of "
            f"{_number(summary.sources, 'source')} on {_number(summary.days, 'day')}: "
            f"{to}/frames, {to}/detections",
            soft_wrap=True,
        )
    if summary.without_records:
        show_error(
            f"no record can be read in {_number(summary.without_records, 'file')} of records",
            "The others are exported.",
        )
    raise typer.Exit(ExitCode.SOME_FAILED if summary.without_records else ExitCode.OK)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
