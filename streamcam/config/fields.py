"""The types that settings are made of: sections, flags, quantities with units, lists, sinks."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin
from urllib.parse import unquote, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    PlainSerializer,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
)
from pydantic.config import JsonDict, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from streamcam.errors import SinkError
from streamcam.storage.services import OBJECT_SCHEMES
from streamcam.urls import StorageUrl, scheme_of

Tables: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Settings by section and key; None stands for what is not given."""

_T = TypeVar("_T")
_LONGEST_SHOWN = 80
"""Characters of a wrong value in a message."""

_MANY_WORDS = 5
"""More make a message too long where one of them is near."""

_ZERO = re.compile(r"\s*0+(\.0+)?\s*")
_QUANTITY = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


@dataclass(frozen=True, slots=True)
class Flag:
    """Marks a setting that is an option of commands too; its help is the setting's description.

    Attributes:
        name: Without dashes; None: the setting's own name.
        shorthand: Another flag, which stands for this option with a value, and that value.
    """

    name: str | None = None
    short: str | None = None
    shorthand: tuple[str, str] | None = None

    def option(self, key: str) -> str:
        """Return the option, with its dashes, of the setting of that name."""
        return "--" + (self.name or key).replace("_", "-")


@dataclass(frozen=True, slots=True)
class Form:
    """What text must be, in words for people; its `pattern` says the same to programs."""

    words: str


@dataclass(frozen=True, eq=False)
class Quantity:
    """A kind of quantity, held as a number of its base unit and written with a unit."""

    name: str
    example: str
    units: Mapping[str, Decimal]

    @property
    def base(self) -> str:
        return next(unit for unit, factor in self.units.items() if factor == 1)

    def parse(self, value: object) -> object:
        """Return text with a unit (zero needs none) as a number of base units, all else as it is.

        Raises:
            ValueError: The text is not a number with a unit.
        """
        if not isinstance(value, str):
            return value
        if _ZERO.fullmatch(value):
            return 0
        written = _QUANTITY.fullmatch(value)
        known = {unit.casefold(): factor for unit, factor in self.units.items()}
        if written is None or written[2].casefold() not in known:
            shown = shortened(repr(value))
            raise ValueError(f'must be a {self.name} such as "{self.example}", not {shown}')
        number = Decimal(written[1]) * known[written[2].casefold()]
        return int(number) if number == int(number) else float(number)

    def format(self, value: float) -> str:
        """Return a number of base units in the largest unit that gives a whole number."""
        number = Decimal(repr(value))
        for unit, factor in sorted(self.units.items(), key=lambda item: -item[1]):
            if number and number % factor == 0 and (factor >= 1 or number < 1):
                return f"{number / factor:.0f}{unit}"
        return f"{number.normalize():f}{self.base}"

    def alternatives(self) -> list[JsonValue]:
        """Return what JSON Schema allows: text with a unit; bare numbers are deprecated."""
        pattern = rf"^\d+(\.\d+)?\s*({'|'.join(self.units)})$"
        return [{"type": "string", "pattern": pattern}, {"type": "number", "deprecated": True}]


def _units(**factors: str) -> Mapping[str, Decimal]:
    return MappingProxyType({unit: Decimal(factor) for unit, factor in factors.items()})


DURATION = Quantity("duration", "10s", _units(ms="0.001", s="1", m="60", h="3600", d="86400"))
_BINARY = {unit: str(1024**power) for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)}
_DECIMAL = {"B": "1", "kB": "1e3", "MB": "1e6", "GB": "1e9", "TB": "1e12", "PB": "1e15"}
SIZE = Quantity("size", "500MB", _units(**_DECIMAL, **_BINARY))

PIXELS = Quantity("number of pixels", "64MP", _units(px="1", MP="1e6", GP="1e9"))

Duration = Annotated[float, BeforeValidator(DURATION.parse), DURATION]
"""Seconds, written as e.g. "50ms", "10s", "5m", "12h" or "7d"."""

Size = Annotated[int, BeforeValidator(SIZE.parse), SIZE]
"""Bytes, written as e.g. "500MB", "1GB" or "2GiB"."""


Pixels = Annotated[int, BeforeValidator(PIXELS.parse), PIXELS]
"""Pixels of a picture, written as e.g. "64MP"."""


@dataclass(frozen=True, slots=True)
class BareUnit:
    """The unit of a number without one, as earlier versions read it, if not the base unit."""

    unit: str


def metadata(field: FieldInfo, kind: type[_T]) -> _T | None:
    """Return what of that kind a field is annotated with, also inside `... | None`."""
    inner = [
        item
        for part in get_args(field.annotation)
        if get_origin(part) is Annotated
        for item in get_args(part)
    ]
    return next((item for item in (*field.metadata, *inner) if isinstance(item, kind)), None)


def _split_commas(value: object) -> object:
    """Accept "person, dog" where a list is meant: environment variables have no lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]


def _describe_quantities(schema: JsonDict, section: type[BaseModel]) -> None:
    """Let the JSON Schema of a section describe quantities as they are written."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    for key, field in section.model_fields.items():
        quantity, described = metadata(field, Quantity), properties[key]
        if quantity is None or not isinstance(described, dict):
            continue
        for bound in ("type", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
            described.pop(bound, None)
        unset: list[JsonValue] = [{"type": "null"}] if field.default is None else []
        described["anyOf"] = quantity.alternatives() + unset
        if field.default is not None:
            described["default"] = quantity.format(field.default)


class Section(BaseModel):
    """A table of the configuration file: immutable, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra=_describe_quantities,
    )


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what is wrong with an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f'unknown, did you mean "{near[0]}"?'
    return f"unknown (known: {', '.join(known) or 'none'})"


def wrong_word(value: object, known: Iterable[str]) -> str:
    """Return what is wrong with a value that is none of some words, and which of them is near."""
    words, shown = list(known), shortened(repr(value))
    near = difflib.get_close_matches(str(value).casefold(), words, n=1)
    if near and len(words) > _MANY_WORDS:
        return f"there is no {shown}, did you mean {near[0]}?"
    suggestion = f"; did you mean {near[0]}?" if near else ""
    return f"must be {', '.join(words[:-1])} or {words[-1]}, not {shown}{suggestion}"


def shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


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


def _result_place(value: object) -> Path | StorageUrl:
    """Take a folder's path, or the URL of a prefix in object storage."""
    if isinstance(value, StorageUrl | Path):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("path_type", "Input is not a valid path")
    scheme = scheme_of(value)
    if scheme is None:
        return Path(value)
    if scheme == "file":
        return Path(unquote(urlsplit(value).path))
    if scheme in OBJECT_SCHEMES:
        return StorageUrl(value.rstrip("/"))
    known = ", ".join(f"{name}://" for name in sorted(OBJECT_SCHEMES))
    raise ValueError(f"results go into folders, or to {known}, not to {scheme}://")


ResultRoot = Annotated[
    Path | StorageUrl,
    PlainValidator(_result_place),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A folder, or a prefix in object storage, e.g. `s3://bucket/explained`."""
