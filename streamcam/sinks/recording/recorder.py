"""A camera's recording: annotated video and records in segments by the clock, and a manifest."""

import logging
from collections import Counter, deque
from pathlib import Path
from typing import Literal

from streamcam.clock import Clock
from streamcam.errors import SinkError
from streamcam.files import FolderLock
from streamcam.media_errors import writing
from streamcam.sinks.base import Provenance, Sink, SinkSettings, SinkTarget
from streamcam.sinks.encoder import EncoderSettings, LiveEncoder, VideoPacket
from streamcam.sinks.manifest import MANIFEST, write_manifest
from streamcam.sinks.recording.segments import EncodedFrame, PreRoll, Segment, Segmenter, recover
from streamcam.sinks.records import line
from streamcam.types import (
    Counts,
    Frame,
    FrameResult,
    Item,
    JobReport,
    Outcome,
    Picture,
    SourceInfo,
)

logger = logging.getLogger(__name__)


class RecordingSettings(SinkSettings):
    """What is recorded of a camera.

    Attributes:
        segment: Seconds after which a new segment begins, above 0 and at most 6 hours: beyond
            them a step of the MP4's clock may not fit.
        video: Whether pictures are recorded; records are in any case.
        pre_roll: Seconds recorded before the first frame with a detection.
        post_roll: Seconds recorded after the last frame with a detection.
    """

    segment: float = 60.0
    video: bool = True
    record: Literal["always", "detections"] = "always"
    pre_roll: float = 5.0
    post_roll: float = 5.0
    encoder: EncoderSettings = EncoderSettings()


class SegmentRecorder:
    """Writes `<YYYY-MM-DD>/<HH>/<MM-SS>.mp4` and `.jsonl`, named by the first frame's UTC.

    A segment's video has exactly one frame for each line of its records, in the same order; it
    begins at 0 and follows the camera's own clock. A new segment begins when the last one is full,
    after a reconnect, and when the picture's size changes. A name that exists gets a number (`-2`,
    `-3`, ...): nothing is ever overwritten.

    A running segment has `.part` names. After a kill all but its last frame is playable, after a
    power failure what had reached the disk; `recover` publishes it at the next start.

    Args:
        folder: The camera's, e.g. `out/door`; one recorder at a time may write there.
        clock: Gives the time of frames without a capture time.
    """

    def __init__(
        self, folder: Path, settings: RecordingSettings | None = None, clock: Clock | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._settings = settings or RecordingSettings()
        self._clock = clock or Clock()
        self._lock = FolderLock(self._folder)
        always = self._settings.record == "always"
        post_roll = None if always else self._settings.post_roll
        self._segmenter = Segmenter(self._settings.segment, post_roll)
        self._pre_roll = PreRoll(self._settings.pre_roll)
        self._encoder: LiveEncoder | None = None
        self._in_encoder: deque[EncodedFrame] = deque()
        self._segment: Segment | None = None
        self._is_empty = True

    @property
    def needs_picture(self) -> bool:
        return self._settings.video

    def write(self, item: Item, picture: Picture | None) -> None:
        """Add an explained frame; frames in between are ignored.

        Raises:
            SinkError: It cannot be written, or another process writes to the folder. `abort`
                publishes what was written; another recorder can continue after it.
        """
        if isinstance(item, Frame):
            return
        if self._settings.video and picture is None:
            raise ValueError("SegmentRecorder needs the annotated picture")
        self._lock.acquire()
        with writing(str(self._folder)):
            for frame in self._encode(item, picture if self._settings.video else None):
                self._record(frame)
        self._is_empty = False

    def finish(self) -> Path:
        """Publish the running segment, and return the camera's folder."""
        if self._is_empty:
            raise SinkError(f"{self._folder}: no frame was explained, so there are no segments")
        with writing(str(self._folder)):
            for frame in self._flush():
                self._record(frame)
            self._end_segment()
        self._lock.release()
        return self._folder

    def abort(self) -> None:
        """Publish the complete part of the running segment, and remove the rest.

        A camera's frames cannot be recorded again: a full disk does not cost the minute before
        it. What cannot be published keeps its `.part` name for `recover`.
        """
        try:
            with writing(str(self._folder)):
                self._close_encoder()
                self._end_segment()
        except SinkError as error:
            logger.warning("%s", error.message)
        self._lock.release()

    def _encode(self, result: FrameResult, picture: Picture | None) -> list[EncodedFrame]:
        """Encode a frame, and return the encoded ones: usually itself."""
        frame = result.frame
        size = (picture.shape[1], picture.shape[0]) if picture is not None else None
        resized = self._encoder is not None and self._encoder.size != size
        decision = self._segmenter.decide(
            frame.time,
            detected=bool(result.detections),
            unrelated=frame.discontinuity or resized,
        )
        moment = frame.time_utc or self._clock.utc()
        encoded = EncodedFrame(line(result), frame.time, moment, decision)
        if picture is None or size is None:
            return [encoded]
        ready = self._flush() if resized else []
        encoder = self._encoder = self._encoder or LiveEncoder(
            size, self._settings.encoder, self._folder.name
        )
        encoded.stream = encoder.stream
        self._in_encoder.append(encoded)
        packets = encoder.encode(picture, frame.time, key=decision.key_frame)
        return ready + self._paired(packets)

    def _flush(self) -> list[EncodedFrame]:
        """Close the encoder, and return the frames that it still held."""
        if self._encoder is None:
            return []
        packets = self._encoder.flush()
        self._close_encoder()
        return self._paired(packets)

    def _close_encoder(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()

    def _paired(self, packets: list[VideoPacket]) -> list[EncodedFrame]:
        """Assign packets to their frames: without B-frames they have the same order."""
        frames = [self._in_encoder.popleft() for _ in packets]
        for frame, packet in zip(frames, packets, strict=True):
            frame.packet = packet
        return frames

    def _record(self, frame: EncodedFrame) -> None:
        if not frame.decision.recorded:
            self._end_segment()
            self._pre_roll.push(frame)
            return
        for each in (*self._pre_roll.take(frame.time), frame):
            if each.decision.begins_segment:
                self._end_segment()
            if self._segment is None:
                self._segment = Segment(self._folder, each)
                self._segmenter.opened(each.time)
            self._segment.write(each)

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.end()


class RecordingSink(Sink[RecordingSettings]):
    """Records segments into a camera's folder, and from the first frame on a manifest beside it."""

    settings_type = RecordingSettings

    def __init__(self, target: SinkTarget, settings: RecordingSettings) -> None:
        self.needs_picture = settings.video
        self._target = target
        self._clock = target.clock
        self._segments = SegmentRecorder(target.folder, settings, target.clock)
        self._origin: tuple[SourceInfo, Provenance] | None = None
        self._started = self._clock.utc()
        self._started_monotonic = self._clock.monotonic()
        self._explained = 0
        self._detections: Counter[str] = Counter()

    @classmethod
    def uses_picture(cls, settings: RecordingSettings) -> bool:
        return settings.video

    @classmethod
    def recover(cls, target: SinkTarget) -> None:
        recover(target.folder)

    def write(self, item: Item, picture: Picture | None) -> None:
        if isinstance(item, Frame):
            return
        if self._origin is None:
            recover(self._target.folder)
        self._segments.write(item, picture)
        if self._origin is None:
            frame = item.frame
            height, width = frame.picture.shape[:2]
            source = SourceInfo(frame.source, width, height, frame.time_base, live=True)
            self._origin = source, self._target.provenance()
            self._write_manifest(*self._origin, Outcome.RUNNING)
        self._explained += 1
        self._detections.update(detection.label for detection in item.detections)

    def finish(self) -> Path:
        folder = self._segments.finish()
        if self._origin is not None:
            self._write_manifest(*self._origin, Outcome.STOPPED)
        return folder

    def abort(self) -> None:
        self._segments.abort()

    def _write_manifest(self, source: SourceInfo, made_with: Provenance, outcome: Outcome) -> None:
        report = JobReport(
            source.id,
            outcome,
            Counts(explained=self._explained, detections=dict(self._detections)),
            seconds=self._clock.monotonic() - self._started_monotonic,
        )
        write_manifest(
            self._target.path(MANIFEST),
            source,
            report,
            made_with,
            started=self._started,
            ended=self._clock.utc(),
        )
