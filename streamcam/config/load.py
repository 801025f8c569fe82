"""Gathers settings from file, environment and flags, and explains what is wrong with them."""

import logging
import math
import tomllib
import traceback
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from streamcam.config.fields import BareUnit, Quantity, metadata, unknown
from streamcam.config.schema import Settings, sections
from streamcam.errors import ConfigError
from streamcam.urls import HIDDEN, is_secret, redacted_url

ENV_PREFIX = "STREAMCAM_"
ENV_CONFIG = "STREAMCAM_CONFIG"

_ENV_TESTS = "STREAMCAM_TEST_"
"""Begins the variables of the development environment, which are no settings."""

# TOML's integers have 64 bits; Python's own have any number of digits.
_LARGEST_SHOWN = 2**63
_LONGEST_SHOWN = 80

Tables = Mapping[str, Mapping[str, Any]]

_log = logging.getLogger(__name__)


def load_settings(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Tables | None = None,
) -> Settings:
    """Merge a TOML file < environment < flags over the built-in defaults.

    Variables are `STREAMCAM_<SECTION>_<KEY>`; others are ignored, but not those with the prefix and
    an unknown name. A flag's value None means not given.

    Raises:
        ConfigError: Something is unknown or out of bounds; the message names every such key.
    """
    merged: dict[str, Any] = _read(path) if path is not None else {}
    _merge(merged, _from_environment(environment or {}))
    _give_units(merged)
    _merge(merged, flags or {})
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        origins = f"{path}, " if path is not None else ""
        variables = f"the {ENV_PREFIX}* variables and the flags"
        raise ConfigError(
            _describe(error.errors()),
            hint=f"Look in {origins}{variables}; see `streamcam config show`.",
        ) from None


def _merge(tables: dict[str, Any], layer: Tables) -> None:
    for section, values in layer.items():
        given = {key: value for key, value in values.items() if value is not None}
        tables[section] = {**tables.get(section, {}), **given}


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


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file") from None
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply (at line {_line(error)})") from None
    except ValueError as error:
        raise ConfigError(
            f"{path} has a number that is too long (at line {_line(error)})"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None


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


def _describe(errors: Iterable[ErrorDetails]) -> str:
    faults = [f"{'.'.join(map(str, error['loc']))}: {_reason(error)}" for error in errors]
    if len(faults) == 1:
        return faults[0]
    return f"{len(faults)} settings cannot be used\n" + "\n".join(f"  {fault}" for fault in faults)


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return unknown(str(error["loc"][-1]), _known(error["loc"]))
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    bound = error["msg"].removeprefix("Input ").replace("should", "must", 1)
    return f"{bound}, not {_shown(error)}"


def _shown(error: ErrorDetails) -> str:
    """Return what was given, but for what may hold a secret."""
    value = error["input"]
    if isinstance(value, Mapping):
        return "a table"
    if any(is_secret(str(part)) for part in error["loc"]):
        return HIDDEN
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a number of more than 64 bits"
    shown = redacted_url(repr(value))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 1]}…"


def _known(location: tuple[int | str, ...]) -> Iterable[str]:
    if len(location) == 1:
        return Settings.model_fields
    section = sections().get(str(location[0]))
    return () if section is None else section.model_fields
