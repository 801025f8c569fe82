"""Options that are given once for both of two detectors, or twice: first A's, then B's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamcam.config.fields import Flag, Tables, metadata
from streamcam.config.schema import sections
from streamcam.errors import UsageError

DEFAULT = "default"
"""Given in place of a value: as without the option."""

_TWO = 2
_SPEAKING = ("name", "precision", "device", "method")
"""Settings of `model` and `cam` whose values say by themselves what they are."""
_FILES = ("name", "weights", "labels")


@dataclass(frozen=True, slots=True)
class PairedFlags:
    """The flags of A and of B, and what tells each from the other, e.g. "fp32" and "int8"."""

    a: Tables
    b: Tables
    names: tuple[str, str]


def split_flags(flags: Tables) -> PairedFlags:
    """Tell A's flags from B's, of options that may be given twice.

    Args:
        flags: By section and key; a list holds the values of an option that may be repeated.

    Raises:
        UsageError: An option is given more than twice, or nothing differs between A and B.
    """
    sides: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]] = ({}, {})
    names: tuple[list[str], list[str]] = ([], [])
    for section, values in flags.items():
        for key, given in values.items():
            pair = _pair(section, key, given)
            for side, value in zip(sides, pair, strict=True):
                side.setdefault(section, {})[key] = None if value == DEFAULT else value
            if pair[0] != pair[1]:
                for name, word in zip(names, _words(key, pair), strict=True):
                    name.append(word)
    if not names[0]:
        raise UsageError(
            "nothing differs between A and B",
            hint="Give an option twice, first A's value, then B's, e.g. "
            "--precision fp32 --precision int8.",
        )
    return PairedFlags(*sides, (", ".join(names[0]), ", ".join(names[1])))


def _pair(section: str, key: str, given: object) -> tuple[Any, Any]:
    if not isinstance(given, list):
        return given, given
    if len(given) > _TWO:
        raise UsageError(
            f"{_option(section, key)}: given {len(given)} times",
            hint="Once is for both detectors; of two values the first is A's, the second B's.",
        )
    return given[0], given[-1]


def _option(section: str, key: str) -> str:
    flag = metadata(sections()[section].model_fields[key], Flag)
    return flag.option(key) if flag else f"--{key}"


def _words(key: str, pair: tuple[str, str]) -> tuple[str, str]:
    """What a setting's two values are called."""
    shown = _distinct_ends(*pair) if key in _FILES else pair
    if key in _SPEAKING:
        return shown
    plain = key.replace("_", " ")
    a, b = (f"{plain} {value}" if value != DEFAULT else f"{value} {plain}" for value in shown)
    return a, b


def _distinct_ends(one: str, other: str) -> tuple[str, str]:
    """Two paths by their shortest ends that differ: "a/best.pt" and "b/best.pt"."""
    paths = Path(one), Path(other)
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        a, b = (str(Path(*path.parts[-count:])) for path in paths)
        if a != b:
            return a, b
    return one, other
