"""File names of results."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from streamcam.files import PART

MAX_NAME = 255
"""Bytes in a file name on ext4, XFS, Btrfs and APFS."""

AUDIT_VALUES = ".audit.json"
AUDIT_PAGE = ".audit.html"

_RESERVED = 17
"""Bytes kept free for an ending, so that all results of a source share the stem."""

_DIGEST = 8


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A kind of file, or of folder, that is written for a source.

    Attributes:
        kind: Names it in reports, manifests and URLs, e.g. "video".
        ending: Ends its name, e.g. ".heatmap.mp4".
        title: Its name for people.
        media_type: Its MIME type; None for what is not offered over HTTP.
    """

    kind: str
    ending: str
    title: str
    media_type: str | None = None


def result_path(folder: Path, stem: str, ending: str) -> Path:
    """Name a result of a source.

    Args:
        folder: Where the results go.
        stem: The source's name without its ending, e.g. "clip"; with the folders above it, e.g.
            "dir/clip", where their tree is mirrored.
        ending: Of the result, e.g. ".heatmap.mp4".

    Returns:
        E.g. `folder/dir/clip.heatmap.mp4`. A stem too long for a file name is truncated, and bytes
        that are not UTF-8 are replaced; a digest of the whole stem keeps such names distinct.
    """
    *above, name = stem.split("/")
    return folder.joinpath(*map(_clean, above), _fit(_clean(name), len(ending)) + ending)


def _clean(name: str) -> str:
    """Return a name that JSON can hold: bytes that are not UTF-8 are replaced, a digest added."""
    encoded = os.fsencode(name)
    text = encoded.decode("utf-8", "replace")
    return name if text == name else f"{text}~{_digest(encoded)}"


def _fit(name: str, ending: int) -> str:
    encoded = os.fsencode(name)
    available = MAX_NAME - len(PART) - max(ending, _RESERVED)
    if len(encoded) <= available:
        return name
    beginning = encoded[: available - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{beginning}~{_digest(encoded)}"


def _digest(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST]
