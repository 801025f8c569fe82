"""What results are called."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from streamcam.files import PART

VIDEO = ".heatmap.mp4"
PICTURE = ".heatmap.jpg"
RECORDS = ".detections.jsonl"
MANIFEST = ".manifest.json"
AUDIT_VALUES = ".audit.json"
AUDIT_PAGE = ".audit.html"
MAPS_ARCHIVE = ".maps.npz"
MAPS_FOLDER = ".maps"
MAP = ".map.png"
"""Ends the name of a map in such a folder."""

MAX_NAME = 255
"""Bytes in a file name on ext4, XFS, Btrfs and APFS."""

_ENDINGS = (
    *(VIDEO, PICTURE, RECORDS, MANIFEST, MAPS_ARCHIVE, MAP),
    *(AUDIT_VALUES, AUDIT_PAGE),
)
_LONGEST = max(len(ending) for ending in _ENDINGS) + len(PART)
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class ResultPaths:
    """Where the results of one source go."""

    video: Path
    picture: Path
    records: Path
    manifest: Path
    maps_archive: Path
    maps_folder: Path
    audit_values: Path
    audit_page: Path


def outputs(folder: Path, stem: str) -> ResultPaths:
    """Name a source's results.

    Args:
        folder: Where they go.
        stem: The source's name without its ending, e.g. "clip"; with the folders above it, e.g.
            "dir/clip", where their tree is mirrored.

    Returns:
        `clip.heatmap.mp4`, `clip.heatmap.jpg`, `clip.detections.jsonl`, `clip.manifest.json`,
        `clip.maps.npz`, the folder `clip.maps`, `clip.audit.json` and `clip.audit.html`.
        A stem too long for a file name is cut, and one that is not UTF-8 is mended; both are told
        apart by a digest of the whole.
    """
    *above, name = stem.split("/")
    place, short = folder.joinpath(*map(_clean, above)), _fit(_clean(name))
    return ResultPaths(
        video=place / (short + VIDEO),
        picture=place / (short + PICTURE),
        records=place / (short + RECORDS),
        manifest=place / (short + MANIFEST),
        maps_archive=place / (short + MAPS_ARCHIVE),
        maps_folder=place / (short + MAPS_FOLDER),
        audit_values=place / (short + AUDIT_VALUES),
        audit_page=place / (short + AUDIT_PAGE),
    )


def is_output(path: Path) -> bool:
    """Tell whether a path is named like a result of ours, finished or not."""
    return path.name.removesuffix(PART).endswith(_ENDINGS)


def _clean(name: str) -> str:
    """Return a name that JSON can carry: bytes that are not UTF-8 are replaced, and told apart."""
    encoded = os.fsencode(name)
    text = encoded.decode("utf-8", "replace")
    return name if text == name else f"{text}~{_digest(encoded)}"


def _fit(name: str) -> str:
    encoded = os.fsencode(name)
    room = MAX_NAME - _LONGEST
    if len(encoded) <= room:
        return name
    kept = encoded[: room - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{kept}~{_digest(encoded)}"


def _digest(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST]
