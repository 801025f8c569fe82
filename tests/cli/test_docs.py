"""Every command and option has help, and the README documents it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from streamcam.cli.app import app
from streamcam.cli.commands import PURPOSES, load

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def commands(command: object, path: str) -> Iterator[tuple[str, object]]:
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        yield path, command
    for name, subcommand in subcommands.items():
        yield from commands(subcommand, f"{path} {name}")


COMMANDS: dict[str, object] = {"streamcam": typer.main.get_command(app)}
for name in PURPOSES:
    COMMANDS.update(commands(load(name), f"streamcam {name}"))


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - {"streamcam"}))
def test_every_command_has_help_and_stands_in_the_readme(path: str) -> None:
    assert getattr(COMMANDS[path], "help", None), f"{path} has no help"
    assert f"`{path}`" in README


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_option_has_help_and_stands_in_the_readme(path: str) -> None:
    for parameter in COMMANDS[path].params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"
        names = [name for name in parameter.opts if name.startswith("--")]
        for name in names:
            if name not in ("--install-completion", "--show-completion"):
                assert f"`{name}`" in README, f"{path} {name}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--help"],
        ["config", "show"],
        ["jobs", "list", "--help"],
        ["watch", "--help"],
        ["audit", "--help"],
        ["live", "--help"],
        ["serve", "--help"],
        ["status", "--help"],
        ["bench", "--help"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from streamcam.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'pytorch_grad_cam', 'fastapi', 'starlette', 'uvicorn'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
