"""The commands by name: what each is for, and how the one that is called is loaded.

Their modules bring numpy, pydantic, PyAV, OpenCV and most of streamcam along. The overview needs
none of that.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context

PURPOSES = {
    "run": "Explain videos and pictures: annotated heatmap videos, JSON records, manifests.",
    "watch": "Watch folders: explain each video and picture that comes into them, for ever.",
    "live": "Explain a camera or stream as it comes, and record it in segments.",
    "serve": "Run all cameras and watched folders of the configuration, with health, metrics and "
    "a page.",
    "status": "Show how a running `streamcam serve` is: cameras, files, room.",
    "demo": "Explain a drawn street with the built-in detector: needs no camera and no network.",
    "audit": "Measure how far each method's maps can be trusted, on frames of your own.",
    "bench": "Measure how fast streamcam is, on frames of your own.",
    "schema": "Print the JSON Schema of a file that streamcam writes.",
    "doctor": "Print versions, devices, codecs, caches and free space: what a bug report needs.",
    "jobs": "See and change what a watcher knows of its files.",
    "models": "The detectors that can be used by name, and their weights.",
    "config": "See, check and describe the settings.",
}
"""Of each command the first line of its help."""


class Commands(TyperGroup):
    """Lists the commands without loading them, and loads the one that is called."""

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> tuple[str | None, "Command | None", list[str]]:
        """Find the called command, as typer does, and load it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> "Command":
    """Return a command: its module's `app`, or the function that is called as the command is."""
    module = import_module(f"streamcam.cli.{name}")
    holder = typer.Typer()
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name)
    else:
        holder.command(name)(getattr(module, name))
    return typer.main.get_group(holder).commands[name]
