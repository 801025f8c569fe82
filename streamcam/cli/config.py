"""`streamcam config`: the settings; `streamcam schema`: the formats of written files."""

import os
from pathlib import Path
from typing import Annotated

import orjson
import typer

from streamcam import schemas
from streamcam.cli.options import Config
from streamcam.cli.terminal import output
from streamcam.config import Settings, load_settings
from streamcam.config.faults import Location, Origins
from streamcam.config.toml import to_toml
from streamcam.errors import ConfigError, UsageError, did_you_mean

app = typer.Typer(no_args_is_help=True, help="See, check and describe the settings.")


@app.command()
def show(config: Config = None) -> None:
    """Print the settings in force, as a commented configuration file."""
    typer.echo(to_toml(load_settings(config, os.environ)), nl=False)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The configuration file to check.")]) -> None:
    """Check a configuration file: names every key that is unknown or out of bounds."""
    _check_models(file, load_settings(file))
    output().print(f"{file} is good")


@app.command("schema")
def settings_schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    typer.echo(orjson.dumps(Settings.model_json_schema(), option=orjson.OPT_INDENT_2))


def _check_models(file: Path, settings: Settings) -> None:
    from streamcam.vision.models.names import is_known, known_names, unknown_model

    library = settings.model.library
    models: dict[Location, str] = {("model", "name"): settings.model.name}
    models |= {("camera", i, "model"): c.model for i, c in enumerate(settings.camera) if c.model}
    origins = Origins(file, file.read_text(encoding="utf-8"))
    for location, name in models.items():
        if not is_known(name, library):
            error = unknown_model(name, known_names(library))
            raise ConfigError(f"{origins.name(location)}: {error.message}", hint=error.hint)


def schema(
    name: Annotated[str, typer.Argument(help="`record` (a JSON line), `manifest` or `audit`.")],
) -> None:
    """Print the JSON Schema of a file that streamcam writes."""
    if name not in schemas.names():
        hint = did_you_mean(name, schemas.names()) or f"Known: {', '.join(schemas.names())}."
        raise UsageError(f"there is no schema named {name!r}", hint=hint)
    typer.echo(orjson.dumps(schemas.schema(name), option=orjson.OPT_INDENT_2))
