"""Compares what users and programs depend on with a stored snapshot."""

import json
import os
from pathlib import Path

FOLDER = Path(__file__).parent


def matches(name: str, value: object) -> None:
    """Assert that a value equals the snapshot of that name.

    A deliberate change: run the test with UPDATE_GOLDEN=1, and say in CHANGELOG.md what changed.
    """
    path = FOLDER / f"{name}.json"
    text = json.dumps(value, indent=1, sort_keys=True, default=str) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"differs from {path}; see {__name__}"
