"""Writes settings as commented TOML: `config.toml` and `streamcam config show`."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ByteSize, TypeAdapter
from pydantic.fields import FieldInfo

from streamcam.config.schema import Settings
from streamcam.config.section import Section
from streamcam.urls import HIDDEN, is_secret, redacted_url

_HEADER = """\
Settings of streamcam, each with its default.
A setting is looked for in this file (`--config FILE`, or the variable STREAMCAM_CONFIG), then in
the environment as STREAMCAM_<SECTION>_<KEY> (STREAMCAM_SAMPLING_MAX_FPS=2), then in the flags:
the last one found wins. Check your file with `streamcam config check`."""

_WIDTH = 100
_KILOBYTE = 1000
_BYTES = TypeAdapter(ByteSize)


def to_toml(settings: Settings) -> str:
    """Return the settings as TOML, every key described; keys without a value are commented out."""
    parts = [_comment(line) for line in _HEADER.splitlines()]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        parts += [
            "",
            *_table(name, value, field),
        ]
    return "\n".join(parts) + "\n"


def _table(name: str, value: object, field: FieldInfo) -> list[str]:
    if isinstance(value, Section):
        return _section(name, value)
    if isinstance(value, Mapping):
        return _sinks(name, value, field)
    assert isinstance(value, tuple)
    return _tables(name, value, field)


def _sinks(name: str, sinks: Mapping[str, BaseModel], field: FieldInfo) -> list[str]:
    lines = [_comment(field.description or "")]
    for sink, settings in sinks.items():
        values = settings.model_dump(mode="json", exclude_none=True)
        lines += [f"[{name}.{sink}]", *(f"{key} = {_value(key, v)}" for key, v in values.items())]
    return lines if sinks else [*lines, f"# [{name}.NAME]"]


def _section(name: str, section: Section) -> list[str]:
    return [_comment(section.__doc__ or ""), f"[{name}]", *_assignments(section)]


def _tables(name: str, sections: tuple[Section, ...], field: FieldInfo) -> list[str]:
    """Return a table for each section; where there are none, an example that is commented out."""
    lines = [_comment(field.description or "")]
    for section in sections:
        lines += [f"[[{name}]]", *_assignments(section)]
    if not sections:
        (kind, _) = get_args(field.annotation)
        lines += [f"# [[{name}]]", *_example(kind)]
    return lines


def _assignments(section: Section) -> list[str]:
    lines: list[str] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        lines += ["", _comment(field.description or ""), _assignment(key, value, field)]
    return lines


def _example(kind: type[Section]) -> list[str]:
    lines: list[str] = []
    for key, field in kind.model_fields.items():
        value = field.examples[0] if field.examples else field.default
        lines += ["#", _comment(field.description or ""), f"# {key} = {_literal(value)}"]
    return lines


def _assignment(key: str, value: Any, field: FieldInfo) -> str:  # noqa: ANN401 - any setting's
    if value is None:
        example = (field.examples or [""])[0]
        return f"# {key} = {_literal(example)}"
    return f"{key} = {_literal(value)}"


def _value(key: str, value: Any) -> str:  # noqa: ANN401 - any setting's
    return _literal(HIDDEN if is_secret(key) else value)


def _literal(value: Any) -> str:  # noqa: ANN401 - any setting's
    """Return a value as TOML, its credentials hidden; most literals are those of JSON."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_literal(key)} = {_value(key, item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, ByteSize):
        value = _size(value)
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        value = redacted_url(value)
    return json.dumps(value, ensure_ascii=False)


def _size(value: ByteSize) -> int | str:
    """Return a size in words, where these tell it exactly."""
    words = value.human_readable(decimal=True)
    return words if value >= _KILOBYTE and _BYTES.validate_python(words) == value else int(value)


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
