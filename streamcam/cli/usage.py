"""Errors of the command line, which typer finds, in our words: what is wrong, and what is near."""

import difflib
import re
from typing import Any

import typer

CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]
"""Raised where a command, an option or its value is wrong: `UsageError` of click, of which newer
versions of typer carry a copy of their own."""

_VALUES = (
    (r"valid int", "must be a whole number"),
    (r"valid (number|float)", "must be a number"),
    (r"greater than or equal to (\S+)", r"must be at least \1"),
    (r"less than or equal to (\S+)", r"must be at most \1"),
)
"""What typer says of wrong values, and how we do."""

_SUGGESTION = ". Did you mean "


def in_words(error: Any) -> tuple[str, str | None]:  # noqa: ANN401 - a `CommandLineError`
    """Return a `CommandLineError`'s message and hint, in the form of our own errors.

    The message is empty where the help was printed because nothing was asked for.
    """
    message, _, near = _message(error).rstrip(".").partition(_SUGGESTION)
    # Missing ones are a kind of wrong values.
    option, known = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if option and known:
        message = f"there is no option {option}"
        near = f"{difflib.get_close_matches(option, known, n=1, cutoff=0)[0]}?"
    if near:
        return message, f"Did you mean {near}"
    command = getattr(getattr(error, "ctx", None), "command_path", None)
    return message, f"See `{command} --help`." if command else None


def _message(error: Any) -> str:  # noqa: ANN401 - a `CommandLineError`
    wrong_value = isinstance(error, typer.BadParameter) and error.message
    text = str(error.message if wrong_value else error.format_message())
    text = text.removeprefix("Value error, ")
    found = ((re.search(said, text), ours) for said, ours in _VALUES)
    text = next((match.expand(ours) for match, ours in found if match), text)
    names = getattr(getattr(error, "param", None), "opts", None)
    if wrong_value and names:
        return f"{names[0]}: {text}"
    return text[:1].lower() + text[1:]
