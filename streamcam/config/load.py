"""Gathers settings from file, environment and flags, and explains what is wrong with them."""

import logging
import math
import tomllib
import traceback
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from streamcam.config.faults import ENV_PREFIX, Origins
from streamcam.config.fields import BareUnit, Quantity, Tables, metadata
from streamcam.config.schema import Settings, sections
from streamcam.errors import ConfigError

ENV_CONFIG = "STREAMCAM_CONFIG"

_ENV_TESTS = "STREAMCAM_TEST_"
"""Begins the variables of the development environment, which are no settings."""

_log = logging.getLogger(__name__)


def load_settings(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Tables | None = None,
    text: str | None = None,
) -> Settings:
    """Merge a TOML file < environment < flags over the built-in defaults.

    Variables are `STREAMCAM_<SECTION>_<KEY>`; others are ignored, but not those with the prefix and
    an unknown name. A flag's value None means not given. `text` stands for the file's content.

    Raises:
        ConfigError: Something is unknown or out of bounds; the message names every such setting
            where it was given.
        UsageError: A flag is wrong.
    """
    if text is None:
        text = "" if path is None else read_text(path)
    merged = {} if path is None else _parse(path, text)
    origins = Origins(path, text, _from_environment(environment or {}), flags or {})
    _merge(merged, origins.variables)
    _give_units(merged)
    _merge(merged, origins.flags)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise origins.error(error.errors()) from None


def _merge(tables: dict[str, Any], layer: Tables) -> None:
    for section, values in layer.items():
        given = {key: value for key, value in values.items() if value is not None}
        below = tables.get(section, {})
        if given and isinstance(below, Mapping):
            tables[section] = {**below, **given}
        elif given and isinstance(below, list):
            # Refused with all else that is wrong, as is what should be a table below and is none.
            tables[section] = given


def _give_units(tables: dict[str, Any]) -> None:
    """Read numbers without a unit as earlier versions did, with a warning for each."""
    for section, kind in sections().items():
        values = tables.get(section)
        if not isinstance(values, dict):
            continue
        for key, field in kind.model_fields.items():
            written = _with_unit(values.get(key), field)
            if written is not None:
                values[key] = written
                _log.warning(
                    '%s.%s: write "%s": the next version refuses numbers without a unit',
                    *(section, key, written),
                )


def _with_unit(value: object, field: FieldInfo) -> str | None:
    """Return a number of a quantity with the unit that it was meant in; None for all else."""
    quantity = metadata(field, Quantity)
    if quantity is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except (ArithmeticError, ValueError):  # no number, or one too long to be written
        return None
    if not number or not math.isfinite(number):
        return None
    unit = metadata(field, BareUnit)
    return f"{number.normalize():f}{unit.unit if unit else quantity.base}"


def read_text(path: Path) -> str:
    """Return a configuration file's text, line ends as they are; raises ConfigError."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file") from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply (at line {_line(error)})") from None
    except ValueError as error:
        raise ConfigError(
            f"{path} has a number that is too long (at line {_line(error)})"
        ) from None


def _line(error: Exception) -> int:
    """Return the line of TOML that the parser was at; Python's own errors do not tell it."""
    places = [
        frame.f_locals
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if {"src", "pos"} <= frame.f_locals.keys()
    ]
    return 1 + str(places[-1]["src"]).count("\n", 0, places[-1]["pos"])


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for name, value in sorted(environment.items()):
        if name.startswith(_ENV_TESTS) or name == ENV_CONFIG:
            continue
        if name.startswith(ENV_PREFIX):
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("_")
            tables.setdefault(section, {})[key] = value
    return tables
