"""Options of commands: those that are generated from settings, and a few that several share."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

import typer
from pydantic.fields import FieldInfo

from streamcam.config.fields import Flag, Quantity, metadata
from streamcam.config.load import ENV_CONFIG
from streamcam.config.schema import sections
from streamcam.errors import UsageError

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (TOML).", envvar=ENV_CONFIG),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on stdout.")]

Command: TypeAlias = Callable[..., None]

_METAVARS = {Path: "PATH", float: "FLOAT", int: "INTEGER"}
"""What the help calls values; to the command line they are text, which the settings validate."""


@dataclass(frozen=True)
class Setting:
    """A setting that is an option too; a repeatable one may be given more than once."""

    section: str
    key: str
    field: FieldInfo
    flag: Flag
    repeatable: bool = False

    @property
    def option(self) -> str:
        return self.flag.option(self.key)

    @property
    def parameter(self) -> str:
        return f"{self.section}_{self.key}"

    @property
    def is_switch(self) -> bool:
        return self.field.annotation is bool

    @property
    def metavar(self) -> str | None:
        """What the help calls the option's value; None for a switch."""
        if self.is_switch:
            return None
        if quantity := metadata(self.field, Quantity):
            return quantity.name.upper()
        types = (self.field.annotation, *get_args(self.field.annotation))
        return next((name for kind, name in _METAVARS.items() if kind in types), "TEXT")

    def parameters(self) -> Iterator[inspect.Parameter]:
        """Yield the option, and its shorthand, as typer declares them."""
        kind = bool if self.is_switch else str
        names = [self.option]
        if self.is_switch and self.field.default is True:
            names = [f"{self.option}/--no-{self.option.removeprefix('--')}"]
        if self.flag.short:
            names.append(self.flag.short)
        option = typer.Option(*names, help=self.field.description, metavar=self.metavar)
        if self.repeatable:
            yield _parameter(self.parameter, Annotated[list[kind] | None, option], None)  # type: ignore[valid-type]
            return
        yield _parameter(self.parameter, Annotated[kind | None, option], None)
        if self.flag.shorthand:
            name, value = self.flag.shorthand
            short = typer.Option(f"--{name}", help=f"Short for {self.option} {value}.")
            yield _parameter(name, Annotated[bool, short], False)

    def take(self, values: MutableMapping[str, Any]) -> object:
        """Take the option's value out of what typer passed; None: not given.

        That of a repeatable one is the list of its values.

        Raises:
            UsageError: It is empty, where that is no list.
        """
        value = values.pop(self.parameter)
        if self.repeatable:
            if "" in (value or ()):
                raise UsageError(f"{self.option}: must not be empty")
            return value or None
        if value == "" and not isinstance(self.field.default, tuple):
            raise UsageError(f"{self.option}: must not be empty")
        if metadata(self.field, Quantity):
            value = _with_base_unit(value)
        if self.flag.shorthand is None:
            return value
        name, implied = self.flag.shorthand
        return resolve_shorthand(self.option, value, f"--{name}", implied, given=values.pop(name))


def resolve_shorthand(
    option: str, value: object, shorthand: str, implied: str, *, given: bool
) -> object:
    """Return the value of an option that another flag may stand for.

    Raises:
        UsageError: Both are given, and they contradict each other.
    """
    if given and value not in (None, implied):
        raise UsageError(f"{shorthand} and {option} {value} contradict each other")
    return implied if given else value


def from_settings(*selected: str, repeatable: Collection[str] = ()) -> Callable[[Command], Command]:
    """Replace a command's parameter `flags` by the options of settings.

    The command gets their values as `Tables`, by section and key; None means not given.

    Args:
        selected: Sections ("model"), single settings ("output.folder"), or settings that are left
            out of a section ("-model.batch").
        repeatable: Sections whose options may be given more than once, but for switches; the
            command gets their values as lists. They have no shorthands.
    """
    settings = [
        replace(one, repeatable=one.section in repeatable and not one.is_switch)
        for one in _select(selected)
    ]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**values: Any) -> None:  # noqa: ANN401 - as typer passes them
            flags: dict[str, dict[str, object]] = {}
            for setting in settings:
                flags.setdefault(setting.section, {})[setting.key] = setting.take(values)
            command(flags=flags, **values)

        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(command).parameters.values():
            if own.name == "flags":
                parameters += [made for setting in settings for made in setting.parameters()]
            else:
                parameters.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _select(selected: tuple[str, ...]) -> Iterator[Setting]:
    seen = {name.removeprefix("-") for name in selected if name.startswith("-")}
    for name in selected:
        section, _, wanted = name.partition(".")
        if section.startswith("-"):
            continue
        for key, field in sections()[section].model_fields.items():
            flag = metadata(field, Flag)
            if flag and wanted in ("", key) and f"{section}.{key}" not in seen:
                seen.add(f"{section}.{key}")
                yield Setting(section, key, field, flag)


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _with_base_unit(value: object) -> object:
    """Read a quantity's number without a unit as one of base units, as earlier versions did."""
    try:
        return float(str(value))
    except ValueError:
        return value


def utc_seconds(option: str, text: str | None) -> float | None:
    """Return a time as seconds since 1970; without a zone it is UTC. Raises `UsageError`."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: must be a time such as 2025-03-01T12:00 or 2025-03-01T12:00+01:00, "
            f"not {text!r}"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
