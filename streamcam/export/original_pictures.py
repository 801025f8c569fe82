"""The pictures that records were made of, without an overlay, read again from their source."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import ExifTags, Image

from streamcam.errors import SourceError, SourceUnavailableError
from streamcam.escapes import printable
from streamcam.export.event_stills import event_stills, is_camera, moment_of
from streamcam.report.results import ResultSource
from streamcam.sinks.manifest import Manifest
from streamcam.sources.inputs import Entry, open_source
from streamcam.sources.limits import Limits
from streamcam.types import Picture

Record: TypeAlias = Mapping[str, Any]
"""A line of records, in the form of the schema "record"."""

# Times in records are rounded to a microsecond.
_EARLY_SECONDS = 0.001

_SHOWN_BY_BROWSERS = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
"""Endings of pictures that every labelling tool opens."""

_UPRIGHT = 1  # of EXIF's orientations


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """A frame's own picture.

    Attributes:
        picture: RGB, uint8 [height, width, 3], as displayed: what the detector was given.
        file: The picture's file, where its pixels are those of `picture`; None for videos, and
            for pictures that are turned or made smaller to be displayed. Of a camera's frame the
            still of an event.
    """

    picture: Picture
    file: Path | None = None


class _AtFrames:
    """Selects the frames with some ascending numbers, given with their times in seconds."""

    def __init__(self, wanted: Sequence[tuple[int, float]]) -> None:
        self._left = deque(wanted)
        self.start = self.next_due

    @property
    def next_due(self) -> float:
        return self._left[0][1] - _EARLY_SECONDS if self._left else inf

    def wants(self, index: int, time: float) -> bool:
        del time
        while self._left and self._left[0][0] < index:
            self._left.popleft()
        if not self._left or self._left[0][0] != index:
            return False
        self._left.popleft()
        return True


def originals(source: ResultSource, records: Sequence[Record]) -> Iterator[tuple[Record, Original]]:
    """Yield the records whose frames are still to be had, with their pictures, in order of time.

    A frame of a file is known by its number and its timestamp (`pts`), so it is exactly the one
    that was explained; of a camera's, those are there that stand for an event.

    Raises:
        SourceUnavailableError: The source is missing, or it is a camera without stills of events.
        SourceError: The source has other content now, or cannot be read.
    """
    if is_camera(source):
        yield from _from_stills(source, records)
    else:
        assert source.manifest is not None
        yield from _from_file(source.manifest, records)


def _from_stills(
    source: ResultSource, records: Sequence[Record]
) -> Iterator[tuple[Record, Original]]:
    stills = event_stills(source)
    for record in records:
        file = stills.get(moment_of(record["time_utc"]))
        picture = None if file is None else cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        if picture is not None:
            yield record, Original(np.asarray(picture, np.uint8), file)


def _from_file(manifest: Manifest, records: Sequence[Record]) -> Iterator[tuple[Record, Original]]:
    location = manifest.source.location
    _check_content(manifest, location)
    numbers = {int(record["frame"]): record for record in records}
    wanted = [(number, float(numbers[number]["time"])) for number in sorted(numbers)]
    if not wanted:
        return
    with closing(open_source(location, _limits(manifest))) as opened:
        size = opened.info.width, opened.info.height
        file = Path(location) if opened.info.still else None
        if file is not None and not _is_copied(file, size):
            file = None
        for frame in opened.frames(_AtFrames(wanted)):
            record = numbers[frame.index]
            if frame.pts == record["pts"]:
                yield record, Original(frame.picture, file)


def _check_content(manifest: Manifest, location: str) -> None:
    """Raise an error where the source is missing, or has not the content that was explained."""
    known = manifest.source.fingerprint
    now = Entry(location, stem="").fingerprint()
    if now is None:
        raise SourceUnavailableError(
            f"{printable(location)}: is missing, or may not be read",
            hint="Pictures are read again from the source; put it back where it was.",
        )
    if known not in (None, now):
        raise SourceError(
            f"{printable(location)}: has other content than when it was explained",
            hint="Explain it again: its boxes belong to other pictures.",
        )


def _limits(manifest: Manifest) -> Limits:
    """The limits that the source was explained with; they may decide a picture's size."""
    given = manifest.content["settings"].get("limits", {})
    return Limits(**{one.name: given[one.name] for one in fields(Limits) if one.name in given})


def _is_copied(file: Path, size: tuple[int, int]) -> bool:
    """Whether a picture's file shows what was explained in every program."""
    if file.suffix.lower() not in _SHOWN_BY_BROWSERS:
        return False
    try:
        with Image.open(file) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
            return image.size == size and orientation == _UPRIGHT
    except (OSError, ValueError, SyntaxError):
        return False
