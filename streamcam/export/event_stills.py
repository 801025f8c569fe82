"""Pictures of cameras without an overlay: the stills of their events, the only ones that are kept.

Recordings hold the annotated pictures; see `streamcam.events.archive`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from streamcam.errors import SourceUnavailableError
from streamcam.escapes import printable
from streamcam.report.results import ResultSource
from streamcam.sinks.recording.naming import EVENT_LINES, STILL, event_file


def is_camera(source: ResultSource) -> bool:
    """Return whether results are the recordings of a camera."""
    return source.manifest is None or bool(source.manifest.content["source"].get("live"))


def event_stills(source: ResultSource) -> Mapping[int, Path]:
    """Return the stills of a camera's ended events, by `moment_of` the frame that they show.

    Raises:
        SourceUnavailableError: There is none.
    """
    # <camera>/<YYYY-MM-DD>/<HH>/<MM-SS>.jsonl
    found = _stills_below(source.clips[0].records.parents[2])
    if not found:
        raise SourceUnavailableError(
            f"{printable(source.name)}: no picture of this camera without an overlay is kept",
            hint="Recordings hold annotated pictures; of events ([camera.events]) a still is kept.",
        )
    return found


def moment_of(time_utc: str) -> int:
    """Return a frame's wall-clock time in milliseconds since 1970, as exact as records give it."""
    return round(datetime.fromisoformat(time_utc).timestamp() * 1000)


@lru_cache(maxsize=8)
def _stills_below(folder: Path) -> Mapping[int, Path]:
    """See `event_stills`; it is asked for with every segment, and there are thousands of them."""
    events = [one for lines in sorted(folder.glob(f"*/*/{EVENT_LINES}")) for one in _events(lines)]
    stills = {
        moment_of(one["best"]["time_utc"]): event_file(folder, one["id"], STILL) for one in events
    }
    return {moment: still for moment, still in stills.items() if still.is_file()}


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file of them; lines that are cut short are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield orjson.loads(line)
        except ValueError:
            continue
