"""Writes settings as commented TOML: `config.toml` and `streamcam config show`."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from streamcam.config.fields import Quantity, Section, metadata
from streamcam.config.schema import Settings, sections
from streamcam.escapes import escaped_json
from streamcam.files import readable
from streamcam.urls import HIDDEN, is_secret, redacted_url

_HEADER = """\
Settings of streamcam, each with its default.
A setting is looked for in this file (`--config FILE`, or the variable STREAMCAM_CONFIG), then in
the environment as STREAMCAM_<SECTION>_<KEY> (STREAMCAM_SAMPLING_MAX_FPS=2), then in the flags:
the last one found wins. Durations are written as "50ms", "10s", "5m", "12h" or "7d", sizes as
"500MB" or "1GB". Check your file with `streamcam config check`."""

_WIDTH = 100


def to_toml(settings: Settings) -> str:
    """Return the settings as TOML, every key described; keys without a value are commented out."""
    parts = [_comment(line) for line in _HEADER.splitlines()]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        parts += ["", *_table(name, value, field)]
    return "\n".join(parts) + "\n"


def _table(name: str, value: object, field: FieldInfo) -> list[str]:
    """Return a setting's tables; where there are none, an example that is commented out."""
    if isinstance(value, Section):
        return [_comment(value.__doc__ or ""), f"[{name}]", *_assignments(value)]
    lines = [_comment(field.description or "")]
    if isinstance(value, Mapping):
        for sink, settings in value.items():
            values = settings.model_dump(mode="json", exclude_none=True).items()
            lines += [f"[{name}.{sink}]", *(f"{key} = {_value(key, v)}" for key, v in values)]
        return lines if value else [*lines, f"# [{name}.NAME]"]
    assert isinstance(value, tuple)
    for section in value:
        lines += [f"[[{name}]]", *_assignments(section)]
    return lines if value else [*lines, f"# [[{name}]]", *_example(sections()[name])]


def _assignments(section: Section) -> list[str]:
    lines: list[str] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        mark = "# " if value is None else ""
        shown = example(field) if value is None else literal(value, field)
        lines += ["", _comment(field.description or ""), f"{mark}{key} = {shown}"]
    return lines


def _example(kind: type[Section]) -> list[str]:
    lines: list[str] = []
    for key, field in kind.model_fields.items():
        lines += ["#", _comment(field.description or ""), f"# {key} = {example(field)}"]
    return lines


def example(field: FieldInfo) -> str:
    """Return an example of a setting as TOML: its own, else its default."""
    return literal(field.examples[0] if field.examples else field.get_default(), field)


def literal(value: object, field: FieldInfo) -> str:
    """Return a setting's value as TOML, quantities with their unit, credentials hidden."""
    quantity = metadata(field, Quantity)
    if quantity is not None and isinstance(value, int | float):
        return _literal(quantity.format(value))
    return _literal(value)


def _value(key: str, value: Any) -> str:  # noqa: ANN401 - any setting's
    return _literal(HIDDEN if is_secret(key) else value)


def _literal(value: Any) -> str:  # noqa: ANN401 - any setting's
    """Return a value as TOML, its credentials hidden; most literals are those of JSON."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_literal(key)} = {_value(key, item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        value = redacted_url(readable(value))
    return escaped_json(json.dumps(value, ensure_ascii=False))


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
