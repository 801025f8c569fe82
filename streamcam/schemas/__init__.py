"""The JSON Schemas (draft 2020-12) of the files that streamcam writes."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

_ENDING = ".json"


def names() -> tuple[str, ...]:
    """Return the names of the schemas: "audit", "event", "event_message", ..."."""
    entries = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in entries if name.endswith(_ENDING)))


@cache
def schema(name: str) -> dict[str, Any]:
    """Return a schema by its name.

    Args:
        name: "record" for a line of `.detections.jsonl`, "manifest" for `.manifest.json`,
            "audit" for `.audit.json`, "compare" for `compare.json`, "run" for `run.json`,
            "event" for a line of `events.jsonl`, "event_message" for what is published and posted
            of events, "exported_frame" for a line of an export's `frames.jsonl`, "baseline" for
            `baselines/NAME.json`.

    Raises:
        KeyError: There is none of that name.
    """
    if name not in names():
        raise KeyError(name)
    content = files(__name__).joinpath(name + _ENDING).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(content)
    return found
