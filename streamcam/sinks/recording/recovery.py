"""Completes segments whose writer was killed, or ran out of disk space."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.files import PART, FolderLock, PartFile
from streamcam.media_errors import writing
from streamcam.sinks.recording.fragmented_mp4 import read_layout
from streamcam.sinks.recording.naming import (
    SEGMENT_RECORDS,
    SEGMENT_VIDEO,
    dates,
    hours,
    parse_name,
)

logger = logging.getLogger(__name__)


def recover(folder: Path) -> list[Path]:
    """Complete the segments that a killed process left in a camera's folder.

    An incomplete frame or record at the end is cut off, and so is each frame without a record and
    each record without a frame. A segment without a complete frame is removed. Only files named
    like running segments are touched, and none while another process writes to this folder.

    Args:
        folder: The camera's, e.g. `out/door`.

    Returns:
        The files that were completed.

    Raises:
        SinkError: The folder cannot be read.
    """
    if not folder.is_dir():
        return []
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except SinkError as error:
        logger.info("%s; nothing is recovered", error.message)
        return []
    try:
        with writing(str(folder)):
            stems = sorted(_unfinished(folder.absolute()))
        return [file for stem in stems for file in _completed(stem)]
    finally:
        lock.release()


def publish(stem: Path) -> list[Path]:
    """Publish the complete part of a segment, and remove the rest.

    Args:
        stem: The path of its files without their endings.

    Returns:
        The files that were published: records and video, records alone where no video belongs to
        them, or none.

    Raises:
        SinkError: They cannot be repaired or published; the unpublished ones are left unchanged.
    """
    files = video, records = [_at(stem, ending) for ending in (SEGMENT_VIDEO, SEGMENT_RECORDS)]
    with writing(str(stem)):
        if video.part.exists():
            _truncate_to_common(video, records)
        elif records.part.exists():
            _truncate(records.part, [*_line_ends(records.part)])
    # Records first: a reader that finds the video then finds its records.
    return [_published(file) for file in reversed(files) if file.part.exists()]


def _published(file: PartFile) -> Path:
    if os.path.lexists(file.path):
        raise SinkError(f"{file.path}: there is another file of this name")
    return file.publish()


def _completed(stem: Path) -> list[Path]:
    try:
        files = publish(stem)
    except SinkError as error:
        logger.warning("%s; it is left unchanged", error.message)
        return []
    logger.info("%s: %s", stem, "recovered" if files else "nothing to recover")
    return files


def _truncate_to_common(video: PartFile, records: PartFile) -> None:
    """Truncate a video and its records to the frames that both of them have."""
    layout = read_layout(video.part)
    if layout.complete:
        return
    lines = [*_line_ends(records.part)] if records.part.exists() else []
    both = min(len(lines), len(layout.frames))
    _truncate(records.part, lines[:both])
    _truncate(video.part, list(layout.frames[:both]))


def _truncate(part: Path, ends: list[int]) -> None:
    """Keep a file up to the last of these ends; remove it when there is none."""
    if ends:
        os.truncate(part, ends[-1])
    else:
        part.unlink(missing_ok=True)


def _line_ends(path: Path) -> Iterator[int]:
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if line.endswith(b"\n"):
                yield end


def _unfinished(folder: Path) -> set[Path]:
    return {
        Path(hour.path, file).with_suffix("").with_suffix("")
        for date, day in dates(folder)
        for _, hour in hours(date, day)
        for file in _parts(Path(hour.path))
    }


def _parts(hour: Path) -> Iterator[str]:
    with os.scandir(hour) as entries:
        for entry in entries:
            name = entry.name.removesuffix(PART)
            if name != entry.name and parse_name(name) and entry.is_file(follow_symlinks=False):
                yield entry.name


def _at(stem: Path, ending: str) -> PartFile:
    return PartFile(stem.with_name(stem.name + ending))
