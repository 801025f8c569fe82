"""`streamcam models`: the detectors that can be used by name, and their weights."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamcam.cli import options
from streamcam.cli.explainable import explainable
from streamcam.cli.progress import file_reporter
from streamcam.cli.quantize import quantize
from streamcam.cli.terminal import output, print_json, size, table
from streamcam.config import load_settings
from streamcam.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from streamcam.vision.models.library import Library

_NO_FILE = "needs no weights file"

# Classes that are shown of many.
_NAMED = 8

app = typer.Typer(
    no_args_is_help=True, help="The detectors that can be used by name, and their weights."
)

app.command()(explainable)
app.command()(quantize)

Name = Annotated[str, typer.Argument(help="A model's name, see `streamcam models list`.")]


@app.command("list")
def list_models(config: options.Config = None, json: options.Json = False) -> None:
    """List the detectors by name and what is here of them, and the families of detectors.

    For each detector: what it finds, how large, fast and accurate it is. For each family: how its
    models are called, its licence, and how it is installed.
    """
    from streamcam.vision.models import library

    cards = library.list_models(_library(config))
    if json:
        print_json([asdict(card) for card in cards])
        return
    headings = ("name", "task", "classes", "size", "speed", "COCO AP", "licence", "weights")
    rows = table(*headings, right=("classes", "size", "COCO AP"), keep=("name",))
    for card in cards:
        rows.add_row(
            card.name,
            card.task,
            str(card.classes or ""),
            size(card.size_mb * 1e6) if card.size_mb else "",
            card.speed,
            "" if card.box_map is None else f"{card.box_map:.1f}",
            card.licence,
            f"{card.origin}, here" if card.present else f"{card.origin}, not fetched",
            style=None if card.present else "dim",
        )
    output().print(rows)
    output().print("", _families(), sep="\n")


def _families() -> Table:
    from streamcam.vision.models.library import list_families

    rows = table("family", "its models", "licence", "", keep=("family", "licence"))
    for family in list_families():
        state = "installed" if family.present else family.install
        style = None if family.present else "dim"
        rows.add_row(family.name, family.models, family.licence, state, style=style)
    return rows


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Models to fetch.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Fetch every published model.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch published weights into torchvision's cache: with progress, resumed, checked."""
    from streamcam.vision.models.library import pull as fetch
    from streamcam.vision.models.registry import model_names

    wanted = model_names() if every else names or []
    if not wanted:
        raise UsageError("no model named", hint="Name some, or use --all.")
    for name in wanted:
        with file_reporter(1, quiet=quiet) as observer:
            path = fetch(name, observer.download_progressed)
        if not quiet:
            output().print(f"{name}: {path or _NO_FILE}", soft_wrap=True)


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A torchvision checkpoint, or one of nano.")],
    name: Annotated[str, typer.Option("--name", help="What to call it.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="File with the class names, if it holds none.")
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option("--architecture", help="Which detector it belongs to, if not recognised."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of the same name.")
    ] = False,
    config: options.Config = None,
) -> None:
    """Check a checkpoint of your own and keep it under a name for --model."""
    model = _library(config).add(
        file, name, labels=labels, architecture=architecture, replace=overwrite
    )
    output().print(
        f"{model.name}: {model.architecture}, {len(model.classes)} classes, {model.weights}",
        soft_wrap=True,
    )


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all that are here.")] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Check weights against their checksums; exits 1 if any are damaged or absent."""
    from streamcam.vision.models.library import WeightsState
    from streamcam.vision.models.library import verify as check

    findings = check(names or [], _library(config))
    if json:
        print_json(
            [asdict(finding) | {"path": finding.path and str(finding.path)} for finding in findings]
        )
    else:
        headings = ("name", "state", "file")
        rows = table(*headings, fold=headings)
        for finding in findings:
            state = " ".join(filter(None, (finding.state.value, finding.remark)))
            rows.add_row(finding.name, state, str(finding.path or ""))
        output().print(rows)
    if any(finding.state is not WeightsState.WHOLE for finding in findings):
        raise typer.Exit(ExitCode.SOME_FAILED)


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="A model; none: the folders.")] = None,
    config: options.Config = None,
) -> None:
    """Print where a model's weights are or belong, or the folders of all."""
    from streamcam.vision.models import download
    from streamcam.vision.models.library import weights_file

    library = _library(config)
    if name is not None:
        output().print(str(weights_file(name, library) or _NO_FILE), soft_wrap=True)
        return
    output().print(f"published  {download.cache_folder()}", soft_wrap=True)
    output().print(f"imported   {library.folder}", soft_wrap=True)


@app.command()
def export(
    name: Name,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    weights: Annotated[
        str | None, typer.Option("--weights", help="File with weights of your own, or `random`.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="File with the class names for the weights.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    config: options.Config = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a built-in or torchvision detector as an ONNX file, which other tools read too."""
    from streamcam.vision.models.library import export as write

    if target.exists() and not overwrite:
        raise UsageError(f"there is a file {target} already", hint="--overwrite replaces it.")
    library = _library(config)
    with file_reporter(1, quiet=quiet) as observer:
        write(name, target, library, weights, labels, observer.download_progressed)
    if not quiet:
        output().print(str(target), soft_wrap=True)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="An ONNX file.")],
    layer: Annotated[
        str, typer.Option("--layer", help="Layers to look at instead of those found, by name.")
    ] = "",
    layout: Annotated[
        str, typer.Option("--layout", help="What the outputs are, if that is not told right.")
    ] = "auto",
    labels: Annotated[
        Path | None, typer.Option("--labels", help="File with the class names.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show what an ONNX file has: inputs, outputs, their layout, layers that can be explained."""
    from streamcam.vision.models.onnx_family import inspect_onnx

    layers = [name.strip() for name in layer.split(",") if name.strip()]
    found = inspect_onnx(file, labels=labels, layout=layout, layer=layers)
    facts = found.facts()
    if json:
        print_json(facts)
        return
    rows = table("", "", keep=("",), fold=("",))
    for title, lines in _described(facts).items():
        for line in lines:
            rows.add_row(title, line)
            title = ""
    output().print(rows)


def _described(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Facts of an ONNX file in lines for people."""
    names = list(facts["classes"].values())
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return {
        "file": [facts["file"]],
        "made by": [f"{facts['made by']}, opset {facts['opset']}"],
        "inputs": facts["inputs"],
        "outputs": facts["outputs"],
        "layout": [f"{facts['layout'] or 'not known'}: {facts['meaning']}"],
        "classes": [f"{len(names)}: {shown}" if names else "not named: --labels FILE"],
        "layers": [_layer(one) for one in facts["layers"]] or ["none found: --layer NAME"],
        "others": [_layer(one) for one in facts["other layers"]],
    }


def _layer(fact: dict[str, Any]) -> str:
    return f"{fact['name']} {list(fact['shape'])}, stride {fact['stride']:g}"


def _library(config: Path | None) -> "Library":
    from streamcam.vision.models.library import Library

    return Library(load_settings(config, os.environ).model.library)
