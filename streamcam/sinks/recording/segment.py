"""One segment of a camera: a video and its records, frame by frame."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from av.video.stream import VideoStream

from streamcam.files import PART, WholeFile
from streamcam.sinks.live_encoder import VideoPacket
from streamcam.sinks.recording.fragmented_mp4 import FragmentWriter
from streamcam.sinks.recording.naming import SEGMENT_RECORDS, SEGMENT_VIDEO, free_stem
from streamcam.sinks.recording.recovery import publish


@dataclass(slots=True)
class Entry:
    """An explained frame, ready to be written.

    Attributes:
        line: Its record.
        time: Seconds on the camera's own clock.
        time_utc: When it was taken.
        begins: Whether a segment must begin with it.
        wanted: Whether it is written in any case; else only as what led to a wanted one.
        stream: The encoder's stream, where there is video.
        packet: The encoded picture, where there is video.
    """

    line: bytes
    time: float
    time_utc: datetime
    begins: bool
    wanted: bool
    stream: VideoStream | None = None
    packet: "VideoPacket | None" = None

    @property
    def is_entry_point(self) -> bool:
        """Whether a segment can begin with it."""
        return self.packet is None or self.packet.is_keyframe


class Segment:
    """A running segment. Every method may raise `SinkError`, `OSError` and `av.FFmpegError`.

    Both files are `.part` files; what reached them is a whole segment at every moment, but for
    the last frame: see `recovery`.

    Args:
        folder: The camera's.
        first: Its first frame, which is not written by this.
    """

    def __init__(self, folder: Path, first: Entry) -> None:
        self.stem = free_stem(folder.absolute(), first.time_utc)
        self._video: FragmentWriter | None = None
        self._records: WholeFile | None = None
        self._sound = True
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

    def write(self, entry: Entry) -> None:
        """Add a frame."""
        assert self._records is not None
        self._sound = False
        self._records.write(entry.line)
        if self._video is not None:
            assert entry.packet is not None
            self._video.write(entry.packet)
        self._sound = True

    def end(self) -> list[Path]:
        """Complete the segment and publish it, or after a failure what is whole of it."""
        try:
            self._close()
        finally:
            files = publish(self.stem)
        return files

    def _close(self) -> None:
        if self._records is not None:
            self._records.close()
        if self._video is not None and self._sound:
            self._video.complete()
        elif self._video is not None:
            self._video.leave()

    def _part(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending + PART)
