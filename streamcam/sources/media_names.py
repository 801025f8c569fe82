"""How media are sorted by their names, and which of them are inputs."""

import re
from pathlib import PurePath

from streamcam.sources.registry import known_suffix


def is_media(path: PurePath) -> bool:
    """Return whether a file in a folder is media by its name."""
    return known_suffix(path) and not path.name.startswith(".")


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts clip2 before clip10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def safe_name(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.") or "source"
