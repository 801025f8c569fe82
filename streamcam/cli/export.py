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
from streamcam.config.fields import DURATION
from streamcam.errors import ExitCode, UsageError
from streamcam.export.dataset_folder import DatasetFolder
from streamcam.export.exporter import ExportSummary, classes_of, export_all, sources_of
from streamcam.export.formats import FORMATS, Format
from streamcam.export.hardness import MEANINGS, Criterion
from streamcam.export.selection import ALIKE, export_hardest, rank

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


def _meanings() -> str:
    return "; ".join(f"`{name.value}`: {meaning}" for name, meaning in MEANINGS.items())


def _seconds(gap: str) -> float:
    try:
        seconds = float(str(DURATION.parse(gap)))
    except ValueError as error:
        raise UsageError(f"--min-gap: {error}") from error
    if seconds < 0:
        raise UsageError("--min-gap: must not be negative")
    return seconds


def _exports_all(form: Format) -> Callable[..., None]:
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


@app.command()
def hard(
    folder: _Folder,
    to: _Output,
    top: Annotated[int, typer.Option("--top", min=1, max=10_000, help="Frames at most.")] = 200,
    by: Annotated[
        Criterion, typer.Option("--by", help=f"What makes a frame hard: {_meanings()}.")
    ] = Criterion.FOCUS,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Output folder of another run over the same sources."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Labelling tool or format.")
    ] = Format.COCO,
    min_gap: Annotated[
        str,
        typer.Option("--min-gap", help="Time between two frames of a source; 0 for none."),
    ] = "2s",
    hash_distance: Annotated[
        int,
        typer.Option(
            "--hash-distance",
            min=-1,
            max=64,
            help="Bits of 64 up to which hashes of two frames count as the same look; -1 keeps "
            "all that look alike.",
        ),
    ] = ALIKE,
    image_format: _Image = ImageFormat.JPG,
    overwrite: _Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Export the frames that are hardest for the detector, to be labelled first.

    Hardest first; of frames that are near in time, or look alike with the same hard boxes, only
    the hardest is taken.
    """
    if (by is Criterion.DISAGREEMENT) != (against is not None):
        raise UsageError(
            "--by disagreement and --against FOLDER need each other",
            hint="Name the output folder of another run over the same sources.",
        )
    sources = sources_of(folder)
    others = [] if against is None else sources_of(against)
    gap = _seconds(min_gap)
    kind = FORMATS[form]
    ending = f".{image_format.value}"
    with (
        StepReporter(quiet=quiet, lines=json) as steps,
        DatasetFolder(to, kind, classes_of(sources), ending=ending, overwrite=overwrite) as dataset,
    ):
        ranking = rank(sources, by, gap=gap, others=others, progress=steps.step)
        summary = export_hardest(
            ranking, by, dataset, top=top, distance=hash_distance, progress=steps.step
        )
        if summary.frames:
            dataset.publish()
    nothing = f"no frame is hard by {by.value}, that is {MEANINGS[by]}"
    code = _tell(summary, form, dataset.folder, nothing=nothing, quiet=quiet, json=json)
    raise typer.Exit(code)


for _form, _kind in FORMATS.items():
    _text = f"Export every explained frame for {_kind.title}: {_kind.files}."
    app.command(_form.value, help=_text)(_exports_all(_form))
app.command()(parquet)


def _tell(
    summary: ExportSummary,
    form: Format,
    folder: Path,
    *,
    nothing: str = "there are no frames",
    quiet: bool,
    json: bool,
) -> ExitCode:
    """Print what was exported and what was not; return the exit code that follows.

    `nothing` says why there is nothing to export, where no source is to blame.
    """
    for error in summary.failed.values():
        show_error(error.message, error.hint)
    if json:
        written = str(folder) if summary.frames else None
        print_json({**summary.as_values(), "format": form.value, "folder": written})
    elif not quiet:
        for line in _sentences(summary, form, folder, nothing):
            output().print(line, soft_wrap=True)
    return ExitCode.SOME_FAILED if summary.failed or summary.lost else ExitCode.OK


def _sentences(summary: ExportSummary, form: Format, folder: Path, nothing: str) -> list[str]:
    if not summary.frames:
        reason = "no source could be read" if summary.failed else nothing
        return [f"nothing is exported: {reason}"]
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
    if summary.not_kept:
        told.append(
            f"{_number(summary.not_kept, 'frame', 'frames')} of cameras left out: only stills of "
            "events are kept without an overlay"
        )
    if summary.lost:
        told.append(f"{_number(summary.lost, 'frame is', 'frames are')} not in the source any more")
    return told


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
