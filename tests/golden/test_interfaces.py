"""The interfaces that users depend on stay as they are, unless a change is deliberate."""

from collections.abc import Iterator

import typer.main

from streamcam import schemas
from streamcam.cli.app import PURPOSES, app, load
from streamcam.config import Settings
from tests.golden.snapshot import matches


def commands(command: object, path: str) -> Iterator[tuple[str, object]]:
    yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from commands(subcommand, f"{path} {name}")


def parameter(value: object) -> dict[str, object]:
    kept = ("name", "opts", "secondary_opts", "required", "nargs", "multiple", "default", "help")
    return {key: getattr(value, key, None) for key in (*kept, "envvar", "is_flag", "metavar")}


def test_commands_and_options() -> None:
    told: dict[str, object] = {}
    top = typer.main.get_command(app)
    found = [("streamcam", top), *((f"streamcam {n}", load(n)) for n in PURPOSES)]
    for name, command in found:
        pairs = commands(command, name) if command is not top else [(name, command)]
        for path, one in pairs:
            told[path] = {
                "help": one.help,  # type: ignore[attr-defined]
                "parameters": [parameter(p) for p in one.params],  # type: ignore[attr-defined]
            }
    matches("commands", told)


def test_configuration() -> None:
    matches("configuration", Settings.model_json_schema())


def test_schemas_of_written_files() -> None:
    matches("schemas", {name: schemas.schema(name) for name in schemas.names()})
