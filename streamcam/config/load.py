"""Gathers settings from file, environment and flags, and explains what is wrong with them."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streamcam.config.schema import Settings
from streamcam.config.section import unknown
from streamcam.errors import ConfigError
from streamcam.urls import HIDDEN, is_secret, redacted_url

ENV_PREFIX = "STREAMCAM_"
ENV_CONFIG = "STREAMCAM_CONFIG"

Tables = Mapping[str, Mapping[str, Any]]


def load_settings(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Tables | None = None,
) -> Settings:
    """Merge file < environment < flags over the built-in defaults.

    Args:
        path: A TOML file; None for none.
        environment: Variables `STREAMCAM_<SECTION>_<KEY>`; others are ignored, but not those with
            the prefix and an unknown name.
        flags: Values by section and key; None means not given.

    Raises:
        ConfigError: Something is unknown or out of bounds; the message names every such key.
    """
    merged: dict[str, Any] = _read(path) if path is not None else {}
    for layer in (_from_environment(environment or {}), flags or {}):
        for section, values in layer.items():
            given = {key: value for key, value in values.items() if value is not None}
            merged[section] = {**merged.get(section, {}), **given}
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_describe(error.errors()), hint=_origin(path)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file") from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for name, value in sorted(environment.items()):
        if name.startswith(ENV_PREFIX) and name != ENV_CONFIG:
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("_")
            tables.setdefault(section, {})[key] = value
    return tables


def _describe(errors: Iterable[ErrorDetails]) -> str:
    faults = [f"{_dotted(error)}: {_reason(error)}" for error in errors]
    if len(faults) == 1:
        return faults[0]
    return f"{len(faults)} settings cannot be used\n" + "\n".join(f"  {fault}" for fault in faults)


def _dotted(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"])


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
    return "a list" if isinstance(value, list | tuple) else redacted_url(repr(value))


def _known(location: tuple[int | str, ...]) -> Iterable[str]:
    """Return the names that are known where an unknown one is."""
    *parents, _ = (str(part) for part in location)
    if not parents:
        return Settings.model_fields
    annotation = Settings.model_fields[parents[0]].annotation
    section = next(iter(get_args(annotation)), annotation)  # of a table, or of a list of them
    return getattr(section, "model_fields", ())


def _origin(path: Path | None) -> str:
    origins = f"{path}, " if path is not None else ""
    return (
        f"Look in {origins}the {ENV_PREFIX}* variables and the flags; see `streamcam config show`."
    )
