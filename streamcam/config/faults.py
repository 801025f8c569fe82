"""What is wrong with settings, in words, and where each of them was given.

A setting comes from a flag, a variable or a line of the file; messages name it as its user wrote
it, so that nobody has to look for it.
"""

import difflib
import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from streamcam.config.fields import (
    Flag,
    Form,
    Quantity,
    Section,
    Tables,
    metadata,
    shortened,
    unknown,
    wrong_word,
)
from streamcam.config.schema import Settings, sections
from streamcam.errors import ConfigError, StreamcamError, UsageError
from streamcam.urls import HIDDEN, is_secret, redacted_url

ENV_PREFIX = "STREAMCAM_"

Location: TypeAlias = tuple[int | str, ...]
"""A setting's place: section, key, and what is below; of an array of tables also the number."""

# TOML's integers have 64 bits; Python's own have any number of digits.
_LARGEST_SHOWN = 2**63

_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What a value must be, by the type of pydantic's error."""

_ARRAYS = {"camera", "folder", "webhook"}
"""Arrays of tables, which are given in the file alone."""

_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}


@dataclass(frozen=True)
class Origins:
    """Where settings were given; what comes later wins.

    Attributes:
        path, text: The configuration file and its content.
        variables: Values of the environment by section and key.
    """

    path: Path | None = None
    text: str = ""
    variables: Tables = field(default_factory=dict)
    flags: Tables = field(default_factory=dict)

    def error(self, errors: Sequence[ErrorDetails]) -> StreamcamError:
        """Return one error for all that is wrong: of usage where a flag is, else of configuration.

        More than one fault is told in its details.
        """
        lines = [f"{self.name(error['loc'])}: {self._reason(error)}" for error in errors]
        by_flag = any(self._has(self.flags, error["loc"]) for error in errors)
        kind = UsageError if by_flag else ConfigError
        if len(lines) == 1:
            return kind(lines[0])
        return kind(f"{len(lines)} settings cannot be used", details=lines)

    def name(self, location: Location) -> str:
        """Return a setting's name as it was written: a flag, a variable, or a key with its line."""
        section = str(location[0])
        if self._has(self.flags, location):
            return option(section, str(location[1]))
        if self._by_variable(location):
            keys = location[1:2] or self.variables[section]
            return variable(section, str(next(iter(keys))))
        name = ".".join(map(str, location))
        if self.path is None:
            return name
        line = line_of(location, self.text)
        return f"{self.path}{'' if line is None else f', line {line}'}: {name}"

    def _reason(self, error: ErrorDetails) -> str:
        if not self._by_variable(error["loc"]):
            return reason(error)
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(self.name(error["loc"]), variables(), n=1)
            return f"unknown, did you mean {near[0]}?" if near else "unknown"
        if error["loc"][0] in _ARRAYS:
            return "belongs into the configuration file"
        return reason(error)

    def _by_variable(self, location: Location) -> bool:
        section = location[0]
        if len(location) > 1 or section not in self.variables:
            return self._has(self.variables, location)
        return section in _ARRAYS or line_of(location, self.text) is None

    @staticmethod
    def _has(layer: Tables, location: Location) -> bool:
        keys = layer.get(str(location[0]), {})
        return len(location) > 1 and keys.get(str(location[1])) is not None


def option(section: str, key: str) -> str:
    """Return the flag of a setting."""
    flag = metadata(sections()[section].model_fields[key], Flag)
    return (flag or Flag()).option(key)


def variable(section: str, key: str) -> str:
    """Return the environment's variable of a setting."""
    return f"{ENV_PREFIX}{section}_{key}".upper().removesuffix("_")


def variables() -> list[str]:
    """Return the environment's variables of all settings that can be given there."""
    tables = {name: kind for name, kind in sections().items() if name not in _ARRAYS}
    return [variable(name, key) for name, kind in tables.items() for key in kind.model_fields]


def reason(error: ErrorDetails) -> str:
    """Return what is wrong with a setting, without its name, e.g. "must be 1 to 256, not 0"."""
    if error["type"] == "extra_forbidden":
        return unknown(str(error["loc"][-1]), _known(error["loc"]))
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error":
        return wrong_word(error["input"], _words(_field_of(error["loc"]).annotation))
    if error["type"] == "string_too_short":
        return "must not be empty"
    return f"must be {_demand(error)}, not {_shown(error)}"


def _words(annotation: Any) -> Iterator[str]:  # noqa: ANN401 - any type
    """Yield the words that a setting may be."""
    for part in get_args(annotation):
        if isinstance(part, str):
            yield part
        else:
            yield from _words(part)


def _demand(error: ErrorDetails) -> str:
    found, place = _field_of(error["loc"]), error["loc"]
    if place[0] in _ARRAYS and len(place) <= 2 and error["type"] in _KINDS:
        return f"tables [[{place[0]}]]"
    form, quantity = metadata(found, Form), metadata(found, Quantity)
    if error["type"] == "string_pattern_mismatch" and form is not None:
        return form.words
    if error["type"] in _BOUNDS and (bounds := _bounds(found, quantity)):
        return bounds
    if quantity is not None:
        return f'a {quantity.name} such as "{quantity.example}"'
    return _KINDS.get(error["type"], error["msg"].removeprefix("Input should be "))


def _bounds(of: FieldInfo, quantity: Quantity | None) -> str:
    """Return the bounds of a number, e.g. "1 to 256" or "more than 0"."""
    lowest = highest = ""
    for bound in of.metadata:
        match bound:
            case Ge(ge=number):
                lowest = f"at least {_number(number, quantity)}"
            case Gt(gt=number):
                lowest = f"more than {_number(number, quantity)}"
            case Le(le=number):
                highest = f"at most {_number(number, quantity)}"
            case Lt(lt=number):
                highest = f"less than {_number(number, quantity)}"
    if lowest.startswith("at least") and highest.startswith("at most"):
        return f"{lowest.removeprefix('at least ')} to {highest.removeprefix('at most ')}"
    return " and ".join(filter(None, (lowest, highest)))


def _number(value: Any, quantity: Quantity | None) -> str:  # noqa: ANN401 - any number
    if quantity is None or not value or not math.isfinite(value):
        return str(value) if isinstance(value, int) else f"{value:g}"
    return quantity.format(value)


def _shown(error: ErrorDetails) -> str:
    """Return what was given, but for what may hold a secret."""
    value, quantity = error["input"], metadata(_field_of(error["loc"]), Quantity)
    if isinstance(value, Mapping):
        return "a table"
    if any(is_secret(str(part)) for part in error["loc"]):
        return HIDDEN
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a number of more than 64 bits"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, quantity)
    if isinstance(value, str) and error["type"] in _BOUNDS:
        return shortened(value)
    return shortened(redacted_url(repr(value)))


def _field_of(location: Location) -> FieldInfo:
    """Return the field of a setting, also in tables of tables; an empty one where there is none."""
    fields, found = Settings.model_fields, FieldInfo()
    for key in (part for part in location if isinstance(part, str)):
        if fields:
            found = fields.get(key, FieldInfo())
            fields = _fields_in(found)
    return found


def _fields_in(field: FieldInfo) -> dict[str, FieldInfo]:
    """Return the fields of the table, or of each of the tables, that a setting is; or none."""
    kind = next(iter(get_args(field.annotation)), field.annotation)
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, Section) else {}


def _known(location: Location) -> Iterable[str]:
    return Settings.model_fields if len(location) == 1 else _fields_in(_field_of(location[:-1]))


def line_of(location: Location, text: str) -> int | None:
    """Return the line of TOML that sets a key, else the one that opens the table around it."""
    found: dict[Location, int] = {}
    for place, number in _places(text):
        found.setdefault(place, number)
    parts = range(len(location), 0, -1)
    return next((found[location[:count]] for count in parts if location[:count] in found), None)


def _places(text: str) -> Iterator[tuple[Location, int]]:
    """Yield the tables and keys of TOML with the lines on which they begin."""
    table: Location = ()
    counts: Counter[Location] = Counter()
    for number, line in enumerate(text.split("\n"), start=1):
        head = line.partition("#")[0].strip()
        if head.startswith("["):
            keys = _keys(head.strip("[]"))
            table = _numbered(keys, counts)
            if head.startswith("[["):
                table = (*_numbered(keys[:-1], counts), *keys[-1:])
                counts[table] += 1
                table = (*table, counts[table] - 1)
            yield table, number
        elif "=" in line:
            yield (*table, *_keys(line.partition("=")[0])), number


def _numbered(keys: Sequence[str], counts: Counter[Location]) -> Location:
    """Return a table's place: names of arrays of tables mean the latest of their tables."""
    place: Location = ()
    for key in keys:
        place = (*place, key)
        if counts[place]:
            place = (*place, counts[place] - 1)
    return place


def _keys(dotted: str) -> tuple[str, ...]:
    """Return the parts of a dotted key of TOML; none where it is not one."""
    keys: list[str] = []
    try:
        inner: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    while isinstance(inner, dict):
        ((key, inner),) = inner.items()
        keys.append(key)
    return tuple(keys)
