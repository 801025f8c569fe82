"""Writes settings as commented TOML: `config.toml` and `streamcam config show`."""

import json
import textwrap
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from streamcam.config.settings import Section, Settings

_HEADER = """\
Settings of streamcam, each with its default.
A setting is looked for in this file (`--config FILE`, or the variable STREAMCAM_CONFIG), then in
the environment as STREAMCAM_<SECTION>_<KEY> (STREAMCAM_SAMPLING_MAX_FPS=2), then in the flags:
the last one found wins. Check your file with `streamcam config check`."""

_WIDTH = 100


def to_toml(settings: Settings) -> str:
    """Return the settings as TOML, every key described; keys without a value are commented out."""
    parts = [_comment(line) for line in _HEADER.splitlines()]
    for name in Settings.model_fields:
        parts += ["", *_section(name, getattr(settings, name))]
    return "\n".join(parts) + "\n"


def _section(name: str, section: Section) -> list[str]:
    lines = [_comment(section.__doc__ or ""), f"[{name}]"]
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        lines += ["", _comment(field.description or ""), _assignment(key, value, field)]
    return lines


def _assignment(key: str, value: Any, field: FieldInfo) -> str:  # noqa: ANN401 - any setting's
    if value is None:
        example = (field.examples or [""])[0]
        return f"# {key} = {_literal(example)}"
    return f"{key} = {_literal(value)}"


def _literal(value: Any) -> str:  # noqa: ANN401 - any setting's
    """Return a value as TOML; for these types its literals are those of JSON."""
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
