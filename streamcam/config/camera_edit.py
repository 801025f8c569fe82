"""Changes a camera's regions in the text of a configuration file; all else stays as it is written.

The text is split where its tables begin. Only tables of that camera are changed, each by itself:
comments, order, blank lines and the way values are written belong to the user. What the text says
before and after is compared, so that nothing else can change by mistake.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Array

from streamcam.errors import ConfigError, UsageError

Values: TypeAlias = Mapping[str, Sequence[Any]]
"""Lists by the camera's key: of plain values, or of tables that have a `name`."""

_HEADER = re.compile(r"\s*\[.*\]\s*(#.*)?$")


def edited(text: str, camera: str, values: Values) -> str:
    """Return a valid configuration with other lists for a camera; empty ones are left out.

    Tables are recognised by their name, renamed ones by their place. New ones come last.

    Raises:
        UsageError: The text names no such camera.
        ConfigError: It is written in a way that cannot be edited.
    """
    wanted = tomllib.loads(text)
    _set_plainly(_camera(wanted, camera), values)
    try:
        parts = _split(text.replace("\r\n", "\n"))
        for key, items in values.items():
            _set(_of_camera(parts, camera), key, items)
        result = "".join(part.head + part.tail for part in parts)
        same = _sorted(tomllib.loads(result), camera, values) == _sorted(wanted, camera, values)
    except (TOMLKitError, ValueError, LookupError, TypeError) as error:
        raise _uneditable(camera) from error
    if not same:
        raise _uneditable(camera)
    return result.replace("\n", "\r\n") if "\r\n" in text else result


def camera_values(text: str, camera: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return what a valid configuration says of a camera; raises UsageError where it is not there.

    What is left out there is left out here.
    """
    table = _camera(tomllib.loads(text), camera)
    return {key: table[key] for key in keys if key in table}


# What the text says


def _camera(document: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a table of any values
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
    """Return the items; tables keep what else was said of them before."""
    if not isinstance(items[0], Mapping):
        return list(items)
    return [
        item if index is None else {**before[index], **item}
        for item, index in zip(items, _former(before, items), strict=True)
    ]


def _former(
    before: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]
) -> list[int | None]:
    """Return which table each item was: the one of its name, or a renamed one in its place."""
    names = [table["name"] for table in before]
    renamed = set(names) - {item["name"] for item in items}
    found: list[int | None] = []
    for place, item in enumerate(items):
        if item["name"] in names:
            found.append(names.index(item["name"]))
        else:
            found.append(place if place < len(names) and names[place] in renamed else None)
    return found


def _sorted(document: dict[str, Any], camera: str, values: Values) -> dict[str, Any]:
    """Return a document whose tables of the camera stand in the order of their names."""
    table = _camera(document, camera)
    for key in values:
        if table.get(key) and isinstance(table[key][0], Mapping):
            table[key].sort(key=lambda each: each["name"])
    return document


# How it is written


@dataclass(eq=False)
class _Part:
    """A table of the text, on its own a valid document.

    Attributes:
        keys: Its name, e.g. ("camera", "zones"); none before the first table.
        head: From its header to its last value.
        tail: Blank lines and comments after it, which may belong to what follows.
    """

    keys: tuple[str, ...]
    head: str
    tail: str


def _split(text: str) -> list[_Part]:
    blocks: list[str] = [""]
    for line in text.splitlines(keepends=True):
        # A line in an array or a long string may look like a header: what stands before it is then
        # no document.
        if _HEADER.match(line) and _is_document(line) and _is_document(blocks[-1]):
            blocks.append("")
        blocks[-1] += line
    return [_part(block) for block in blocks]


def _part(block: str) -> _Part:
    lines = block.splitlines(keepends=True)
    end = len(lines)
    while end and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    head = "".join(lines[:end])
    return _Part(_name(lines[0]) if head else (), head, "".join(lines[end:]))


def _is_document(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _name(header: str) -> tuple[str, ...]:
    keys: list[str] = []
    inner: Any = tomllib.loads(header) if _HEADER.match(header) else {}
    while inner:
        if isinstance(inner, list):
            inner = inner[0]
        else:
            ((key, inner),) = inner.items()
            keys.append(key)
    return tuple(keys)


def _of_camera(parts: list[_Part], camera: str) -> "_CameraParts":
    begins = [index for index, part in enumerate(parts) if part.keys == ("camera",)]
    for begin, end in pairwise((*begins, len(parts))):
        if tomllib.loads(parts[begin].head)["camera"][0].get("name") == camera:
            return _CameraParts(parts, begin, end)
    raise LookupError("it is no table of its own")


@dataclass
class _CameraParts:
    """The parts of a camera: `begin` is its own table, up to `end` there may be tables below."""

    parts: list[_Part]
    begin: int
    end: int

    @property
    def own(self) -> _Part:
        return self.parts[self.begin]

    def below(self, key: str | None = None) -> list[_Part]:
        """Return the tables below the camera's, all of them or those of a name."""
        among = self.parts[self.begin + 1 : self.end]
        return [
            part for part in among if part.keys[:1] == ("camera",) and key in (None, *part.keys[1:])
        ]

    def add(self, part: _Part, after: _Part) -> None:
        """Add a table after another one; what stood after that stays last."""
        place = self.parts.index(after) + 1
        is_last = place == len(self.parts) and not after.tail
        part.tail = after.tail if is_last or after.tail.startswith("\n") else f"\n{after.tail}"
        after.head, after.tail = _ended(after.head), "\n"
        self.parts.insert(place, part)
        self.end += 1

    def remove(self, part: _Part) -> None:
        """Remove a table; the comments after it stay."""
        before = self.parts[self.parts.index(part) - 1]
        with_comments = [tail for tail in (before.tail, part.tail) if tail.strip()]
        before.tail = "".join(with_comments) or max(before.tail, part.tail)
        self.parts.remove(part)
        self.end -= 1


def _set(camera: _CameraParts, key: str, items: Sequence[Any]) -> None:
    tables = camera.below(key)
    if tables:
        _set_tables(camera, key, tables, items)
        return
    document = tomlkit.parse(camera.own.head)
    own: Any = document["camera"]
    before = own[0].get(key)
    if isinstance(before, Array) or (items and not isinstance(items[0], Mapping)):
        _set_array(own[0], key, items)
        camera.own.head = tomlkit.dumps(document)
    elif items:
        _set_tables(camera, key, [], items)


def _set_tables(
    camera: _CameraParts, key: str, tables: Sequence[_Part], items: Sequence[Mapping[str, Any]]
) -> None:
    before = [tomllib.loads(part.head)["camera"][key][0] for part in tables]
    former = _former(before, items)
    for number, part in enumerate(tables):
        if number not in former:
            camera.remove(part)
    last = [camera.own, *camera.below(), *camera.below(key)][-1]
    for item, index in zip(items, former, strict=True):
        part = _Part(("camera", key), f"[[camera.{key}]]\n", "") if index is None else tables[index]
        part.head = _with_values(part.head, key, item)
        if index is None:
            camera.add(part, last)
            last = part


def _with_values(head: str, key: str, values: Mapping[str, Any]) -> str:
    document = tomlkit.parse(head)
    camera: Any = document["camera"]
    table = camera[key][0]
    for name, value in values.items():
        if table.get(name) != value:
            table[name] = value
    return tomlkit.dumps(document)


def _set_array(table: AbstractTable, key: str, items: Sequence[Any]) -> None:
    before = table.get(key)
    if not items:
        table.pop(key, None)
    elif isinstance(before, Array):
        _replace_items(before, _merged(before.unwrap(), items))
    else:
        table[key] = _array(items)


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


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _uneditable(camera: str) -> ConfigError:
    return ConfigError(
        f"camera {camera} is written in a way that cannot be edited here",
        hint="Write it as a table [[camera]], or change it by hand.",
    )
