"""Changes a camera's regions in the text of a configuration file; all else stays as it is written.

Comments, order, blank lines and the way values are written belong to the user. What the text says
before and after is compared, so that nothing else can change by mistake.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, AoT, Array, Table

from streamcam.errors import ConfigError, UsageError

Values: TypeAlias = Mapping[str, Sequence[Any]]
"""Lists by the camera's key: of plain values, or of tables that have a `name`."""


def edited(text: str, camera: str, values: Values) -> str:
    """Return a valid configuration with other lists for a camera; empty ones are left out.

    Raises:
        UsageError: The text names no such camera.
        ConfigError: It is written in a way that cannot be edited.
    """
    wanted = tomllib.loads(text)
    _set_plainly(_camera(wanted, camera), values)
    try:
        document = tomlkit.parse(text)
        table = _camera(document, camera)
        for key, items in values.items():
            _set(table, key, items)
        result = _ending_like(text, tomlkit.dumps(document))
        same = tomllib.loads(result) == wanted
    except (TOMLKitError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise _uneditable(camera) from error
    if not same:
        raise _uneditable(camera)
    return result


def camera_values(text: str, camera: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return what a valid configuration says of a camera; raises UsageError where it is not there.

    What is left out there is left out here.
    """
    table = _camera(tomllib.loads(text), camera)
    return {key: table[key] for key in keys if key in table}


def _camera(document: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a table of either kind
    found = next((each for each in document.get("camera", []) if each.get("name") == name), None)
    if found is None:
        raise UsageError(f"the configuration file has no camera {name}")
    return found


def _set_plainly(table: dict[str, Any], values: Values) -> None:
    for key, items in values.items():
        if items:
            table[key] = _merged(table.get(key, []), items)
        else:
            table.pop(key, None)


def _merged(before: Sequence[Any], items: Sequence[Any]) -> list[Any]:
    """Return the items; tables keep what else the one of their name had before."""
    known = {each["name"]: each for each in before if isinstance(each, Mapping)}
    return [
        {**known.get(each["name"], {}), **each} if isinstance(each, Mapping) else each
        for each in items
    ]


def _set(table: AbstractTable, key: str, items: Sequence[Any]) -> None:
    before = table.get(key)
    if not items:
        table.pop(key, None)
    elif isinstance(before, Array):
        _replace_items(before, _merged(before.unwrap(), items))
    elif isinstance(before, AoT) or (isinstance(items[0], Mapping) and isinstance(table, Table)):
        table[key] = _tables([] if before is None else before, items)
    else:
        table[key] = _array(items)


def _tables(before: Sequence[Table], items: Sequence[Mapping[str, Any]]) -> AoT:
    known = {each["name"]: each for each in before}
    tables = AoT([], parsed=True)
    for item in items:
        table = known.get(item["name"]) or _blank_line_before(tomlkit.table(), tables)
        for key, value in item.items():
            if table.get(key) != value:
                table[key] = value
        tables.append(table)
    if items[-1]["name"] not in known:
        table.add(tomlkit.nl())
    return tables


def _blank_line_before(table: Table, tables: AoT) -> Table:
    if tables.body and not tables.body[-1].as_string().endswith("\n\n"):
        table.trivia.indent = "\n"
    return table


def _replace_items(array: Array, items: Sequence[Any]) -> None:
    """Change what differs, so that comments stay with the items that stay."""
    before, after = _hashable(array.unwrap()), _hashable(items)
    changes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for kind, begin, end, new_begin, new_end in reversed(changes):
        if kind != "equal":
            del array[begin:end]
            for item in reversed(items[new_begin:new_end]):
                array.insert(begin, item)


def _hashable(value: Any) -> Any:  # noqa: ANN401 - any value of TOML
    if isinstance(value, Mapping):
        return tuple((key, _hashable(value[key])) for key in sorted(value))
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def _array(items: Sequence[Any]) -> Array:
    """Return a new array, one line for each item where there are several."""
    array = tomlkit.array()
    array.extend(items)
    return array.multiline(len(items) > 1)


def _ending_like(text: str, result: str) -> str:
    """Return a result whose lines, and whose end, are as those of the text."""
    if not text.endswith("\n\n"):
        result = re.sub(r"\n+$", "\n", result)
    if "\r\n" in text:
        result = re.sub(r"\r?\n", "\r\n", result)
    return result


def _uneditable(camera: str) -> ConfigError:
    return ConfigError(
        f"camera {camera} is written in a way that cannot be edited here",
        hint="Write it as a table [[camera]], or change it by hand.",
    )
