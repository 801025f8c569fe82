"""`streamcam baseline`: learn what is usual for results, or list what was learned."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, table
from streamcam.config.fields import DURATION
from streamcam.errors import UsageError
from streamcam.files import readable
from streamcam.media_errors import writing

if TYPE_CHECKING:
    from streamcam.drift.baseline_file import Baseline

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_WINDOW = 7200.0


def baseline(
    folder: Annotated[
        Path,
        typer.Argument(help="Output folder of run, watch, live or serve.", metavar="OUT"),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="Learn a baseline of this name. Without it: list them."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Of cameras: only from then on, e.g. 2025-06-01."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Of cameras: only before.")] = None,
    window: Annotated[
        str, typer.Option("--window", help="Time that readings are averaged over.")
    ] = "10m",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the baseline of that name.")
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Learn what is usual in results: `report` tells then what differs.

    Of each camera, and of the files of each folder: focus, flicker, confidence, counts, explained
    variance and where the heat lies, by hour of day. It reads records only, and writes
    `baselines/NAME.json` in that folder. See docs/drift.md.
    """
    if not folder.is_dir():
        raise UsageError(f"{readable(folder)}: there is no such folder")
    if name is None:
        _list(folder, json=json)
        return
    begin, end = options.utc_seconds("--since", since), options.utc_seconds("--until", until)
    _check_new(folder, name, overwrite=overwrite)
    with StepReporter(quiet=quiet, lines=json) as steps:
        made, left_out = _learned(folder, name, _length(window), (begin, end), steps)
    with writing(str(folder)):
        path = made.save(folder)
    if json:
        print_json({**_facts(made), "left_out": left_out, "path": str(path)})
    elif not quiet:
        _print(made)
        for group in left_out:
            output().print(f"{group}: too little for a baseline", style="yellow", markup=False)
        output().print(f"baseline: {readable(path)}", soft_wrap=True, markup=False)


def _learned(
    folder: Path,
    name: str,
    length: float,
    bounds: tuple[float | None, float | None],
    steps: StepReporter,
) -> "tuple[Baseline, list[str]]":
    """Return the baseline, and the names of what there is too little of."""
    from streamcam.drift.baseline_file import Baseline
    from streamcam.drift.groups import find_groups, windows_of
    from streamcam.drift.learning import learn

    sources, left_out = {}, []
    for group in find_groups(folder):
        footage = windows_of(group, length, period=bounds, progress=steps.step)
        learned = learn(footage.windows, length, by_hour=group.is_camera)
        if learned is None:
            left_out.append(group.name)
        else:
            sources[group.name] = learned
    if not sources:
        raise UsageError(
            f"{readable(folder)}: there are too few results to learn from",
            hint=f"It takes 24 windows of {DURATION.format(length)} with 5 explained frames each, "
            "better a week or two; --window makes them shorter.",
        )
    return Baseline(name, time.time(), length, sources), left_out


def _length(text: str) -> float:
    try:
        length = DURATION.parse(text)
    except ValueError as error:
        raise UsageError(f"--window: {error}") from None
    if not isinstance(length, (int, float)) or not 0 < length <= _LONGEST_WINDOW:
        raise UsageError(f"--window: must be more than 0 and at most 2h, not {text}")
    return float(length)


def _check_new(folder: Path, name: str, *, overwrite: bool) -> None:
    from streamcam.drift.baseline_file import path_of

    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: must be letters, digits, dots, dashes and underscores, not {name!r}"
        )
    if path_of(folder, name).exists() and not overwrite:
        raise UsageError(
            f"--name: {readable(folder)} has a baseline {name} already",
            hint="Choose another name, or replace it with --overwrite.",
        )


def _list(folder: Path, *, json: bool) -> None:
    from streamcam.drift.baseline_file import find_baselines

    found = find_baselines(folder)
    if json:
        print_json([_facts(one) for one in found])
        return
    for one in found:
        created = datetime.fromtimestamp(one.created, UTC)
        length = DURATION.format(one.window)
        output().print(f"{one.name}: of {created:%Y-%m-%d %H:%M} UTC, windows of {length}")
        _print(one)
    if not found:
        output().print("no baselines; learn one with --name", markup=False)


def _facts(one: "Baseline") -> dict[str, object]:
    return {
        "name": one.name,
        "created": one.created,
        "window": one.window,
        "sources": {
            name: {
                "first": source.first,
                "last": source.last,
                "frames": source.frames,
                "windows": source.windows,
                "hours": len(source.hours),
                "blocks": source.charts[0].bound.blocks,
                "block_seconds": source.block,
                "labels": list(source.labels),
            }
            for name, source in one.sources.items()
        },
    }


def _print(one: "Baseline") -> None:
    columns = ("source", "frames", "windows", "judged by", "hours", "classes")
    rows = table(*columns, right=("frames", "windows", "hours"), keep=("source", "judged by"))
    for name, source in one.sources.items():
        rows.add_row(
            name,
            f"{source.frames:,}",
            f"{source.windows:,}",
            source.judged_by,
            str(len(source.hours)) if source.by_hour else "all",
            ", ".join(source.labels),
        )
    output().print(rows)
    for name, source in one.sources.items():
        if not source.is_calibrated:
            output().print(
                f"{name}: less than four days: there may be more false alarms than asked for",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
