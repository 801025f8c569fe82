"""Every command and option has help, and docs/reference.md documents it."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs.reference import commands, reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
COMMANDS = dict(commands())


def test_the_reference_is_what_the_program_generates() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert text == reference(), "run `make reference`"


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_and_option_has_help(path: str) -> None:
    assert COMMANDS[path].help, f"{path} has no help"
    for parameter in COMMANDS[path].params:
        assert parameter.help, f"{path}: {parameter.name} has no help"


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
