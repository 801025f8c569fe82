"""`streamcam export`: results as data sets of labelling tools, all of them or the hard frames."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.export_parquet import parquet
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, show_error
from streamcam.errors import ExitCode
from streamcam.export.dataset_folder import DatasetFolder
from streamcam.export.exporter import ExportSummary, classes_of, export_all, sources_of
from streamcam.export.formats import FORMATS

app = typer.Typer(
    no_args_is_help=True,
    help="Export results to labelling tools, all frames or the hard ones, or as tables.",
)


class ImageFormat(StrEnum):
    """What frames of videos are written as; pictures are copied."""

    JPG = "jpg"
    PNG = "png"


_Folder = Annotated[
    Path, typer.Argument(help="Output folder of run, watch, live or serve.", metavar="FOLDER")
]
_Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the export.", show_default=False)
]
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier export in that folder.")
]
_Image = Annotated[
    ImageFormat,
    typer.Option(
        "--image-format",
        help="Write frames of videos as JPEG of quality 95, or as PNG, which loses nothing. "
        "Pictures are copied as they are.",
    ),
]


def _exports_all(form: str) -> Callable[..., None]:
    """Return the command that exports everything in a format."""

    def export(
        folder: _Folder,
        to: _Output,
        image_format: _Image = ImageFormat.JPG,
        overwrite: _Overwrite = False,
        quiet: options.Quiet = False,
        json: options.Json = False,
    ) -> None:
        sources = sources_of(folder)
        kind = FORMATS[form]
        ending = f".{image_format.value}"
        with (
            StepReporter(quiet=quiet, lines=json) as steps,
            DatasetFolder(
                to, kind, classes_of(sources), ending=ending, overwrite=overwrite
            ) as dataset,
        ):
            summary = export_all(sources, dataset, steps.step)
            if summary.frames:
                dataset.publish()
        raise typer.Exit(_tell(summary, form, dataset.folder, quiet=quiet, json=json))

    return export


for _form, _kind in FORMATS.items():
    _text = f"Export every explained frame for {_kind.title}: {_kind.files}."
    app.command(_form, help=_text)(_exports_all(_form))
app.command()(parquet)


def _tell(summary: ExportSummary, form: str, folder: Path, *, quiet: bool, json: bool) -> ExitCode:
    """Print what was exported and what was not; return the exit code that follows."""
    for error in summary.failed.values():
        show_error(error.message, error.hint)
    if json:
        written = str(folder) if summary.frames else None
        print_json({**summary.as_values(), "format": form, "folder": written})
    elif not quiet:
        for line in _sentences(summary, form, folder):
            output().print(line, soft_wrap=True)
    return ExitCode.SOME_FAILED if summary.failed or summary.lost else ExitCode.OK


def _sentences(summary: ExportSummary, form: str, folder: Path) -> list[str]:
    if not summary.frames:
        return ["nothing to export, so no folder is written"]
    frames = _number(summary.frames, "frame", "frames")
    boxes = _number(summary.boxes, "box", "boxes")
    sources = _number(len(summary.sources), "source", "sources")
    told = [f"{frames} with {boxes} of {sources} in {folder}: {FORMATS[form].files}"]
    if summary.near or summary.alike:
        told.append(
            f"duplicates left out: {summary.near:,} near in time to a harder frame, "
            f"{summary.alike:,} alike"
        )
    if summary.failed:
        told.append(f"{_number(len(summary.failed), 'source', 'sources')} could not be read")
    if summary.lost:
        told.append(f"{_number(summary.lost, 'frame is', 'frames are')} not in the source any more")
    return told


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
