"""A camera's annotated video and records, in segments by the clock."""

import logging
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.media_errors import writing
from streamcam.sinks.encoder import VideoSettings
from streamcam.sinks.live_encoder import LiveEncoder, VideoPacket
from streamcam.sinks.lock import FolderLock
from streamcam.sinks.recording.cutting import Cutter
from streamcam.sinks.recording.preroll import PreRoll
from streamcam.sinks.recording.segment import Entry, Segment
from streamcam.sinks.records import line
from streamcam.types import Frame, FrameResult, Item, Picture

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """What is recorded of a camera.

    Attributes:
        segment: Seconds after which a new segment begins, above 0 and at most 6 hours: beyond
            them a step of the MP4's clock may not fit.
        video: Whether pictures are recorded; records are in any case.
        record: "always", or around frames with "detections" only.
        pre_roll: Seconds recorded before the first frame with a detection; 0 or more.
        post_roll: Seconds recorded after the last frame with a detection; 0 or more.
        encoder: How the video is encoded.
    """

    segment: float = 60.0
    video: bool = True
    record: Literal["always", "detections"] = "always"
    pre_roll: float = 5.0
    post_roll: float = 5.0
    encoder: VideoSettings = field(default_factory=VideoSettings)


class SegmentSink:
    """Writes `<YYYY-MM-DD>/<HH>/<MM-SS>.mp4` and `.jsonl`, named by the first frame's UTC.

    A segment's video has exactly one frame for each line of its records, in the same order; it
    begins at 0 and follows the camera's own clock. A new segment begins after so many seconds,
    where the camera was connected anew, and where the picture's size changes. A name that is taken
    gets a number (`-2`, `-3`, ...): nothing is ever overwritten.

    A running segment has `.part` names. After a kill all of it plays but its last frame, after a
    power cut what had reached the disk; `recover` gives it its names at the next start.

    Args:
        folder: The camera's, e.g. `out/door`; one sink at a time may write there.
        settings: What is recorded.
        clock: Names segments of frames that do not tell when they were taken.
    """

    kind: ClassVar[str] = "segments"

    def __init__(
        self, folder: Path, settings: SegmentSettings | None = None, clock: Clock | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._settings = settings or SegmentSettings()
        self._clock = clock or Clock()
        self._lock = FolderLock(self._folder)
        always = self._settings.record == "always"
        self._cutter = Cutter(self._settings.segment, None if always else self._settings.post_roll)
        self._pre_roll = PreRoll(self._settings.pre_roll)
        self._encoder: LiveEncoder | None = None
        self._unencoded: deque[Entry] = deque()
        self._segment: Segment | None = None
        self._is_empty = True

    @property
    def needs_picture(self) -> bool:
        """Whether video is recorded."""
        return self._settings.video

    def write(self, item: Item, picture: Picture | None) -> None:
        """Add an explained frame; frames that only passed are ignored.

        Raises:
            SinkError: It cannot be written, or somebody else writes to the folder. What was
                written is kept by `abort`; another sink can go on after it.
        """
        if isinstance(item, Frame):
            return
        if self._settings.video and picture is None:
            raise ValueError("SegmentSink needs the annotated picture")
        self._lock.acquire()
        with writing(str(self._folder)):
            for entry in self._encoded(item, picture if self._settings.video else None):
                self._record(entry)
        self._is_empty = False

    def finish(self) -> Path:
        """Publish the running segment, and return the camera's folder.

        Raises:
            SinkError: There were no frames, or the segment cannot be completed.
        """
        if self._is_empty:
            raise SinkError(f"{self._folder}: no frame was explained, so there are no segments")
        with writing(str(self._folder)):
            for entry in self._flushed():
                self._record(entry)
            self._end_segment()
        self._lock.release()
        return self._folder

    def abort(self) -> None:
        """Publish what is whole of the running segment, and leave nothing else.

        What a camera has shown cannot be had again: a full disk does not take the minute before
        it along. Where not even that can be published, it keeps its `.part` names for `recover`.
        """
        try:
            with writing(str(self._folder)):
                self._close_encoder()
                self._end_segment()
        except SinkError as error:
            logger.warning("%s", error.message)
        self._lock.release()

    def _encoded(self, result: FrameResult, picture: Picture | None) -> list[Entry]:
        """Return the entries that are ready once this frame has come: usually its own."""
        frame = result.frame
        size = (picture.shape[1], picture.shape[0]) if picture is not None else None
        resized = self._encoder is not None and self._encoder.size != size
        place = self._cutter.place(
            frame.time, found=bool(result.detections), anew=frame.discontinuity or resized
        )
        moment = frame.time_utc or self._clock.utc()
        entry = Entry(line(result), frame.time, moment, place.begins, place.wanted)
        if picture is None or size is None:
            return [entry]
        ready = self._flushed() if resized else []
        encoder = self._encoder = self._encoder or LiveEncoder(
            size, self._settings.encoder, self._folder.name
        )
        entry.stream = encoder.stream
        self._unencoded.append(entry)
        return ready + self._paired(encoder.encode(picture, frame.time, key=place.key))

    def _flushed(self) -> list[Entry]:
        """End the encoder, and return the entries that it still held."""
        if self._encoder is None:
            return []
        packets = self._encoder.flush()
        self._close_encoder()
        return self._paired(packets)

    def _close_encoder(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()

    def _paired(self, packets: list[VideoPacket]) -> list[Entry]:
        """Give packets to their entries: without B-frames they come in the order of the frames."""
        entries = [self._unencoded.popleft() for _ in packets]
        for entry, packet in zip(entries, packets, strict=True):
            entry.packet = packet
        return entries

    def _record(self, entry: Entry) -> None:
        if not entry.wanted:
            self._end_segment()
            self._pre_roll.push(entry)
            return
        for each in (*self._pre_roll.take(entry.time), entry):
            self._segment_of(each).write(each)

    def _segment_of(self, entry: Entry) -> Segment:
        """Return the segment that an entry belongs to, which may begin with it."""
        if entry.begins:
            self._end_segment()
        if self._segment is None:
            self._segment = Segment(self._folder, entry)
            self._cutter.opened(entry.time)
        return self._segment

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.end()
