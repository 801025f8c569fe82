"""Options of commands are made from the settings."""

from typing import Annotated

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from streamcam.cli import options
from streamcam.config.fields import Duration, Flag, Section, Tables
from streamcam.errors import UsageError


class Toy(Section):
    """A table of settings."""

    pause: Annotated[Duration, Flag()] = Field(2.0, description="How long to pause.")
    loud: Annotated[bool, Flag("noise", "-n")] = Field(True, description="Whether it is loud.")
    kind: Annotated[str, Flag(shorthand=("odd", "strange"))] = Field("even", description="What.")
    hidden: int = Field(1, description="A setting that is no option.")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> tuple[typer.Typer, list[Tables]]:
    monkeypatch.setattr(options, "sections", lambda: {"toy": Toy})
    given: list[Tables] = []
    app = typer.Typer()

    @app.command()
    @options.from_settings("toy")
    def run(name: str, flags: Tables) -> None:
        given.append({"name": {"name": name}, **flags})

    return app, given


def test_one_field_makes_an_option_with_its_help(
    command: tuple[typer.Typer, list[Tables]],
) -> None:
    shown = CliRunner().invoke(command[0], ["--help"]).output
    for word in ("--pause", "DURATION", "How long to pause.", "--no-noise", "-n", "--odd"):
        assert word in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("words", "toy"),
    [
        ([], {"pause": None, "loud": None, "kind": None}),
        (["--pause", "5m", "--no-noise"], {"pause": "5m", "loud": False, "kind": None}),
        (["--pause", "5", "-n", "--odd"], {"pause": 5, "loud": True, "kind": "strange"}),
    ],
)
def test_values_come_by_section_and_key(
    command: tuple[typer.Typer, list[Tables]], words: list[str], toy: dict[str, object]
) -> None:
    app, given = command
    assert CliRunner().invoke(app, ["me", *words]).exit_code == 0
    assert given == [{"name": {"name": "me"}, "toy": toy}]


def test_an_empty_value_is_a_usage_error(command: tuple[typer.Typer, list[Tables]]) -> None:
    done = CliRunner().invoke(command[0], ["me", "--kind", ""])
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "--kind: must not be empty"


def test_a_shorthand_that_contradicts_its_option_is_refused(
    command: tuple[typer.Typer, list[Tables]],
) -> None:
    done = CliRunner().invoke(command[0], ["me", "--kind", "even", "--odd"])
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "--odd and --kind even contradict each other"


def test_single_settings_can_be_chosen_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "sections", lambda: {"toy": Toy})

    def keys(*selected: str) -> list[str]:
        return [setting.key for setting in options._select(selected)]

    assert keys("toy.kind", "toy") == ["kind", "pause", "loud"]
    assert keys("toy", "-toy.loud") == ["pause", "kind"]
