"""Annotated video: H.264 in MP4, with the source's own timestamps and sound."""

from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from streamcam.errors import SinkError
from streamcam.files import PartFile
from streamcam.media_errors import writing
from streamcam.sinks.audio import Sound
from streamcam.sinks.base import Sink, Target
from streamcam.sinks.encoder import EncoderSettings, PictureConverter, even
from streamcam.sinks.mp4 import Mp4Writer, timescale
from streamcam.sinks.result_paths import ResultFile
from streamcam.types import Frame, Item, Picture, SourceInfo

MAX_TIMESCALE = 10_000_000
"""Units a second that the MP4 may count in. It holds steps below 2**31 units, 214 s here; finer
ones (nanoseconds exist) would leave 2 s, so such timestamps are rounded to microseconds."""

_UNITS = 2**31 - 1
"""Of the MP4's clock, at most, between two frames."""

_JITTER = Fraction(1, 2)
"""Seconds by which a frame may come too early and is only moved behind the one before it. Earlier
ones mean that the clock began anew, as in recordings that were joined."""

_FALLBACK_TIME_BASE = Fraction(1, 1_000_000)
_USUAL_RATE = Fraction(25)
"""Its inverse is how long the only frame of a source without a rate is shown, in seconds."""


class VideoSettings(EncoderSettings):
    """How a source's video is written.

    Attributes:
        audio: Whether the source's audio is included.
    """

    audio: bool = True


class VideoSink(Sink[VideoSettings]):
    """Writes the annotated pictures that it is given as an MP4 that browsers play.

    A frame keeps its place on the source's own clock, also where that does not begin at zero: a
    player's position is the records' `pts`. Two clocks are moved to begin at zero, sound and all:
    one that begins below it, which MP4 cannot tell, and that of a live source, which means nothing.
    A clock that jumps back, or by hours, is damaged: the frame follows the one before it instead.

    Args:
        path: Where it goes.
        info: The source; its sound is taken from `info.path`.
        settings: How it is encoded.
    """

    settings_type = VideoSettings
    result_file = ResultFile("video", ".heatmap.mp4", "annotated video", "video/mp4")
    needs_picture = True

    def __init__(self, path: Path, info: SourceInfo, settings: VideoSettings | None = None) -> None:
        self._file = PartFile(path)
        self._info = info
        self._settings = settings or VideoSettings()
        fine = info.time_base.denominator > MAX_TIMESCALE
        self._time_base = _FALLBACK_TIME_BASE if fine else info.time_base
        self._longest_step = Fraction(_UNITS, timescale(self._time_base))
        self._size = even(info.width), even(info.height)
        self._convert = PictureConverter(self._size)
        self._writer: Mp4Writer | None = None
        self._shift = 0
        self._step = round(1 / (info.frame_rate or _USUAL_RATE) / self._time_base)
        self._held: av.VideoFrame | None = None
        self._held_pts = 0
        self._left: float | None = None

    @classmethod
    def create(cls, target: Target, settings: VideoSettings) -> Self:
        return cls(target.path(cls.result_file), target.source, settings)

    def write(self, item: Item, picture: Picture | None) -> None:
        """Add a picture; it is encoded when the next one tells how long it is shown.

        Raises:
            SinkError: It cannot be encoded or written.
        """
        if picture is None:
            raise ValueError("VideoSink needs the annotated picture")
        frame = item if isinstance(item, Frame) else item.frame
        with writing(str(self._file.path)):
            ticks = round(frame.pts * frame.time_base / self._time_base)
            if self._writer is None:
                self._writer = self._start(ticks)
            until = self._place(ticks)
            self._encode_held(until)
            self._held, self._held_pts = self._convert(picture), until
            self._left = None if self._info.duration is None else self._info.duration - frame.time

    def finish(self) -> Path:
        """Complete, sync and publish the video, and return its path.

        Raises:
            SinkError: It has no frames, or cannot be written.
        """
        if self._writer is None or self._held is None:
            raise SinkError(f"{self._file.path}: no frame was written, so there is no video")
        with writing(str(self._file.path)):
            end = self._held_pts + self._last_duration()
            self._encode_held(end)
            self._writer.close(end * self._time_base)
            self._writer = None
        return self._file.publish()

    def abort(self) -> None:
        """Leave no trace."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None
        self._file.discard()

    def _start(self, first: int) -> Mp4Writer:
        if first < 0 or self._info.live:
            self._shift = -first
        return Mp4Writer(
            self._file.prepare(),
            self._size,
            self._time_base,
            self._info.frame_rate,
            self._settings,
            self._sound(first),
        )

    def _sound(self, first: int) -> Sound | None:
        if self._info.path is None or not self._settings.audio:
            return None
        return Sound.of(self._info.path, first * self._time_base, self._shift * self._time_base)

    def _place(self, ticks: int) -> int:
        """Return when a frame is shown, on the clock of the written file."""
        placed = ticks + self._shift
        if self._held is None:
            return placed
        step = placed - self._held_pts
        if -_JITTER < step * self._time_base <= 0:
            return self._held_pts + 1
        if step < 0 or step * self._time_base > self._longest_step:
            placed = self._held_pts + self._step
            self._shift = placed - ticks
        return placed

    def _encode_held(self, until: int) -> None:
        """Encode the picture held back, which is shown until `until`."""
        if self._held is None or self._writer is None:
            return
        self._step = until - self._held_pts
        self._held.pts, self._held.time_base = self._held_pts, self._time_base
        self._held.duration = self._step
        self._writer.write(self._held)

    def _last_duration(self) -> int:
        """As long as the one before it, but not beyond the source's end."""
        if self._left is None:
            return self._step
        left = round(Fraction(self._left) / self._time_base)
        return min(self._step, left) if left > 0 else self._step
