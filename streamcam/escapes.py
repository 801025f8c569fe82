"""What comes from outside, as text that can be shown: nothing in it acts on what shows it.

File names, labels, settings and messages of libraries may hold anything. Whatever leaves for a
terminal, a log, a page or a picture passes through `printable`. Files of JSON keep the text as it
is: JSON has escapes of its own.
"""

import re
from typing import Any

import orjson

# Controls (C0, delete, C1) move a terminal's cursor, set its title or answer in the user's name;
# separators of lines forge log lines; marks, embeddings, overrides and isolates of direction make a
# text read as another (Unicode Technical Report 36); no encoding takes half of a surrogate pair.
_ACTING = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_UNPRINTABLE = re.compile(rf"[{_ACTING}\ud800-\udfff]")
_UNPRINTABLE_JSON = re.compile(f"[{_ACTING}]")


def printable(text: str) -> str:
    r"""Return a text on one line, its control characters and the like as escapes, e.g. `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_json(value: Any, *, indent: bool = False) -> bytes:  # noqa: ANN401 - any plain value
    r"""Return plain values as a line of JSON for a terminal, escaped as JSON does: `\u009b`.

    With `indent` they take several lines.
    """
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()
    return "\n".join([*map(escaped_json, text.split("\n")), ""]).encode()


def escaped_json(line: str) -> str:
    """Return a line of JSON, or a value of TOML, with escapes for all that must not be shown."""
    return _UNPRINTABLE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
