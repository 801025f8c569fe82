"""Generates `docs/reference.md`: every command with its options, every setting.

Run as `python docs/reference.py > docs/reference.md`, or `make reference`.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer.main
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from streamcam.cli.app import PURPOSES, app, load
from streamcam.config.fields import Quantity, Section, metadata
from streamcam.config.schema import Settings, sections
from streamcam.config.toml import example, literal
from streamcam.errors import ExitCode

_HEAD = """\
# Reference

Generated from the program by `make reference`; do not edit.

## Commands
"""

_SETTINGS = """\
## Settings

A setting is looked for in the configuration file, then in the environment as
`STREAMCAM_<SECTION>_<KEY>`, then in the options; the last one found wins. Durations are written as
`"50ms"`, `"10s"`, `"5m"`, `"12h"` or `"7d"`, sizes as `"500MB"` or `"1GB"`.
"""

_EXIT_CODES = {
    ExitCode.OK: "done, or asked to stop",
    ExitCode.SOME_FAILED: "some inputs could not be explained, or some results not written",
    ExitCode.USAGE: "invalid command line",
    ExitCode.UNAVAILABLE: "the source or the weights are not available",
    ExitCode.INTERNAL: "the GPU failed, or an internal fault",
    ExitCode.CONFIG: "invalid configuration",
}

_BOUNDS = ((Ge, "ge", ">="), (Gt, "gt", ">"), (Le, "le", "<="), (Lt, "lt", "<"))

_FIELDS = {
    f"{name}_{key}": field
    for name, section in sections().items()
    for key, field in section.model_fields.items()
}
"""Settings by the names of the parameters that `streamcam.cli.options` makes of them."""


def reference() -> str:
    lines = [_HEAD]
    for path, command in commands():
        rows = [[_names(one), _default(one), one.help or ""] for one in command.params]
        lines += [f"### `{path}`", "", (command.help or "").strip(), ""]
        lines += _table(["option", "default", "meaning"], rows) if rows else []
    codes = [[f"{code.value}", meaning] for code, meaning in _EXIT_CODES.items()]
    lines += ["## Exit codes", "", *_table(["code", "meaning"], codes), _SETTINGS]
    for name, section in sections().items():
        repeated = isinstance(Settings.model_fields[name].default, tuple)
        lines += [f"### `{f'[[{name}]]' if repeated else f'[{name}]'}`", "", section.__doc__ or ""]
        lines += ["", *_settings(section)]
    lines += ["### `[sinks.NAME]`", "", Settings.model_fields["sinks"].description or "", ""]
    return "\n".join(lines).rstrip() + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command with its path, e.g. "streamcam jobs list"; first `streamcam` itself."""
    yield "streamcam", typer.main.get_command(app)
    for name in PURPOSES:
        yield from _leaves(load(name), f"streamcam {name}")


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - click's
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        yield path, command
    for name, subcommand in subcommands.items():
        yield from _leaves(subcommand, f"{path} {name}")


def _names(parameter: Any) -> str:  # noqa: ANN401 - click's
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _default(parameter: Any) -> str:  # noqa: ANN401 - click's
    if parameter.name in _FIELDS:
        return _setting_default(_FIELDS[parameter.name])
    if parameter.default in (None, False) or parameter.name == "version":
        return ""
    return f"`{parameter.default}`"


def _settings(section: type[Section]) -> list[str]:
    rows = [
        [f"`{key}`", _setting_default(field), _bounds(field), field.description or ""]
        for key, field in section.model_fields.items()
    ]
    return _table(["key", "default", "bounds", "meaning"], rows)


def _setting_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return f"unset, e.g. `{example(field)}`" if value is None else f"`{literal(value, field)}`"


def _bounds(field: FieldInfo) -> str:
    quantity = metadata(field, Quantity)
    limits = [
        (sign, getattr(bound, name))
        for kind, name, sign in _BOUNDS
        for bound in field.metadata
        if isinstance(bound, kind)
    ]
    return ", ".join(
        f"{sign} {quantity.format(limit) if quantity and limit else limit}"
        for sign, limit in limits
    )


def _table(headings: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return [*(f"| {' | '.join(map(_cell, line))} |" for line in lines), ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
