"""Removes what killed processes left unfinished in the output folder."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from streamcam.files import PART
from streamcam.jobs.identity import is_being_written
from streamcam.sinks.registry import is_result

# Where it cannot be known whether a process still writes a file: far longer than a writer pauses.
_ABANDONED_SECONDS = 3600.0


def sweep_parts(folder: Path) -> list[Path]:
    """Remove unfinished results that nobody writes any more, in a folder and below it.

    Returns:
        What was removed.
    """
    return [part for part in _parts(folder) if _is_stray(part) and _removed(part)]


def _parts(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if name.endswith(PART) and is_result(path):
                yield path


def _is_stray(part: Path) -> bool:
    try:
        written = is_being_written(part)
        if written is None:
            return time.time() - part.stat().st_mtime > _ABANDONED_SECONDS
    except OSError:
        return False
    return not written


def _removed(part: Path) -> bool:
    with suppress(OSError):
        part.unlink()
        return True
    return False
