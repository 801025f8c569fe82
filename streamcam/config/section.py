"""What every table of the configuration shares, and the tables of sinks."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails

from streamcam.errors import SinkError


def _split_commas(value: object) -> object:
    """Accept "person, dog" where a list is meant: environment variables have no lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]


class Section(BaseModel):
    """A table of the configuration file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what is wrong with an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f'unknown, did you mean "{near[0]}"?'
    return f"unknown (known: {', '.join(known) or 'none'})"


def _sink_settings(tables: object) -> object:
    """Turn each table into the settings of the sink that it is named after."""
    if not isinstance(tables, Mapping):
        return tables
    settings: dict[str, BaseModel] = {}
    faults: list[InitErrorDetails] = []
    for name, table in tables.items():
        if isinstance(table, BaseModel):
            settings[name] = table
            continue
        try:
            settings[name] = _settings_of(name).model_validate(table)
        except ValidationError as error:
            faults += _located(name, error)
        except SinkError as error:
            faults.append(_fault(error.message, (name,), table))
    if faults:
        raise ValidationError.from_exception_data("sinks", faults)
    return settings


def _settings_of(name: str) -> type[BaseModel]:
    # PyAV and numpy come with the sinks: only where one is named.
    from streamcam.sinks import registry

    if name not in registry.optional_sinks():
        raise SinkError(unknown(name, registry.optional_sinks()))
    return registry.sink_type(name).settings_type


def _located(name: str, error: ValidationError) -> Iterable[InitErrorDetails]:
    """Yield the errors of a sink's table as errors of a table of that name."""
    for each in error.errors():
        location = (name, *each["loc"])
        if each["type"] == "extra_forbidden":
            known = _settings_of(name).model_fields
            yield _fault(unknown(str(each["loc"][-1]), known), location, each["input"])
        else:
            details = InitErrorDetails(type=each["type"], loc=location, input=each["input"])
            yield {**details, "ctx": each["ctx"]} if "ctx" in each else details


def _fault(message: str, location: tuple[int | str, ...], value: object) -> InitErrorDetails:
    error = {"error": ValueError(message)}
    return InitErrorDetails(type="value_error", loc=location, input=value, ctx=error)


SinkTables: TypeAlias = Annotated[
    Mapping[str, SerializeAsAny[InstanceOf[BaseModel]]],
    BeforeValidator(_sink_settings),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
]
"""A table for each sink, named after it; validated by the sink's own settings."""
