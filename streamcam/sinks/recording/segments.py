"""Segments of a recording: where they begin, the pre-roll, their files, recovery after a kill."""

import logging
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.files import PART, FolderLock, PartFile, WholeFile
from streamcam.media_errors import writing
from streamcam.sinks.encoder import VideoPacket
from streamcam.sinks.recording.fragmented_mp4 import FragmentWriter, read_layout
from streamcam.sinks.recording.naming import (
    SEGMENT_RECORDS,
    SEGMENT_VIDEO,
    dates,
    free_stem,
    hours,
    parse_name,
)

logger = logging.getLogger(__name__)

_ROUNDING = 1e-6
"""Tolerance in seconds for comparing times that are sums of floats."""


class FrameDecision(NamedTuple):
    """How a frame is recorded."""

    begins_segment: bool  # whether a segment must begin with it
    recorded: bool  # whether it is recorded in any case; otherwise only as pre-roll
    key_frame: bool  # whether a video must be able to begin with it


class Segmenter:
    """Decides for each frame whether it is recorded, and whether it begins a segment.

    Args:
        seconds: Length of a segment.
        post_roll: Seconds recorded after a frame with a detection; None to record always.
    """

    def __init__(self, seconds: float, post_roll: float | None) -> None:
        self._seconds = seconds
        self._post_roll = post_roll
        self._segment_began: float | None = None
        self._last_detection: float | None = None
        self._recorded = False

    def decide(self, time: float, *, detected: bool, unrelated: bool) -> FrameDecision:
        """Take the next frame; an `unrelated` one cannot follow the one before it in a video."""
        if detected:
            self._last_detection = time
        recorded = self._is_recorded(time)
        began = self._segment_began
        is_full = began is not None and time - began >= self._seconds - _ROUNDING
        begins = unrelated or is_full
        # The pre-roll of the next detection begins right after what is recorded.
        key_frame = begins or (self._recorded and not recorded)
        self._recorded = recorded
        if not recorded:
            self._segment_began = None
        elif begins:
            self._segment_began = time
        return FrameDecision(begins, recorded, key_frame)

    def opened(self, time: float) -> None:
        """Register a segment that began with a pre-roll frame of this time."""
        if self._segment_began is None or time > self._segment_began:
            self._segment_began = time

    def _is_recorded(self, time: float) -> bool:
        if self._post_roll is None:
            return True
        if self._last_detection is None:
            return False
        return time - self._last_detection <= self._post_roll + _ROUNDING


@dataclass(slots=True)
class EncodedFrame:
    """An explained frame, ready to be written."""

    line: bytes  # its record
    time: float  # seconds on the camera's own clock
    time_utc: datetime
    decision: FrameDecision
    stream: VideoStream | None = None  # the encoder's stream, where there is video
    packet: "VideoPacket | None" = None  # the encoded picture, where there is video

    @property
    def can_begin_segment(self) -> bool:
        return self.packet is None or self.packet.is_keyframe


class PreRoll:
    """Holds the last frames, in complete groups of pictures, until something is detected.

    It is up to one group longer than demanded: a video can only begin with a group.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._groups: deque[list[EncodedFrame]] = deque()

    def push(self, frame: EncodedFrame) -> None:
        """Add a frame, and drop what is too old; the first one must be a key frame."""
        if frame.can_begin_segment:
            self._groups.append([])
        self._groups[-1].append(frame)
        self._drop_old(frame.time)

    def take(self, time: float) -> list[EncodedFrame]:
        """Return the frames of the seconds before a moment, and drop all."""
        self._drop_old(time)
        taken = [frame for group in self._groups for frame in group]
        self._groups.clear()
        return taken

    def _drop_old(self, time: float) -> None:
        while len(self._groups) > 1 and self._groups[1][0].time <= time - self._seconds:
            self._groups.popleft()


class Segment:
    """A running segment. Every method may raise `SinkError`, `OSError` and `av.FFmpegError`.

    Both files are `.part` files, and a complete segment at every moment but for the last frame: see
    `recover`. The constructor does not yet write the first frame.
    """

    def __init__(self, folder: Path, first: EncodedFrame) -> None:
        self.stem = free_stem(folder.absolute(), first.time_utc)
        self._video: FragmentWriter | None = None
        self._records: WholeFile | None = None
        self._consistent = True
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The video before the records: records alone are those of a segment without video.
            if first.stream is not None:
                part = self._part(SEGMENT_VIDEO)
                self._video = FragmentWriter(part, first.stream, first.time_utc)
            self._records = WholeFile(self._part(SEGMENT_RECORDS), "xb")
        except BaseException:
            self.end()
            raise

    def write(self, frame: EncodedFrame) -> None:
        assert self._records is not None
        self._consistent = False
        self._records.write(frame.line)
        if self._video is not None:
            assert frame.packet is not None
            self._video.write(frame.packet)
        self._consistent = True

    def end(self) -> list[Path]:
        """Complete and publish the segment; after a failure, its complete part."""
        try:
            self._close()
        finally:
            files = _publish(self.stem)
        return files

    def _close(self) -> None:
        if self._records is not None:
            self._records.close()
        if self._video is not None and self._consistent:
            self._video.complete()
        elif self._video is not None:
            self._video.close()

    def _part(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending + PART)


def recover(folder: Path) -> list[Path]:
    """Complete the segments that a killed process left in a camera's folder; return their files.

    An incomplete frame or record at the end is cut off, and so is each frame without a record and
    each record without a frame. A segment without a complete frame is removed. Only files named
    like running segments are touched, and none while another process writes to this folder.

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


def _publish(stem: Path) -> list[Path]:
    """Publish the complete part of a segment, remove the rest, and return the files published.

    Raises:
        SinkError: They cannot be repaired or published; the unpublished ones are left unchanged.
    """
    endings = (SEGMENT_VIDEO, SEGMENT_RECORDS)
    files = video, records = [PartFile(stem.with_name(stem.name + end)) for end in endings]
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
        files = _publish(stem)
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
