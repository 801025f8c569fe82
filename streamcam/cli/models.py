"""`streamcam models`: the detectors that can be used by name."""

import sys
from dataclasses import asdict

import orjson
import typer
from rich.table import Table

from streamcam.cli import options
from streamcam.cli.terminal import output

app = typer.Typer(no_args_is_help=True, help="The detectors that can be used by name.")


@app.callback()
def _models() -> None:
    pass


@app.command("list")
def list_models(json: options.Json = False) -> None:
    """List the detectors: what they find, how large and accurate they are, what is here."""
    from streamcam.vision.catalogue import list_models as catalogue

    cards = catalogue()
    if json:
        sys.stdout.buffer.write(orjson.dumps([asdict(card) for card in cards]) + b"\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading, justify in _COLUMNS:
        table.add_column(heading, justify=justify)
    output().print(table)


_COLUMNS = ()
