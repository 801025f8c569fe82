"""Videos in files, whatever FFmpeg reads."""

import os
import select
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from math import floor, inf
from pathlib import Path
from threading import Lock

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from streamcam.errors import CorruptMediaError, NotMediaError, SourceError
from streamcam.files import readable
from streamcam.media_errors import opening, reading
from streamcam.sources.base import DecodedFrame, FiniteSource, Selector
from streamcam.sources.colour_encoding import refuse_unknown_colours
from streamcam.sources.decoder import MAX_HELD, Decoder, TimestampRepair
from streamcam.sources.display import Display, TimedFrame, deinterlaced
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.seek_points import SeekIndex, SeekPoint
from streamcam.storage.object_reader import RemoteObject
from streamcam.types import SourceInfo

PIPE_TIMEOUT = 10.0
"""Seconds within which a pipe must deliver the data of the first picture."""

# FFmpeg would fetch what a play list names, from the network too, and wait for it for minutes.
_PLAY_LISTS = (b"#EXTM3U", b"ffconcat")
_PROTOCOLS = "file,pipe,crypto,data"
_BEGINNING = 16
"""Bytes that tell a play list."""

# FFmpeg would draw text as a picture.
_TEXT_FORMATS = ("tty",)
# Covers, chapter pictures, and the tiles of a larger picture.
_STILL_STREAMS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
# Seconds from one frame to the next; a clock that leaps further is damaged.
_LONGEST_STEP = 60
_HINT = "It may be incomplete, damaged, or another kind of file under this name."


class FileSource(FiniteSource):
    """A video in a file, in a pipe, or in an object of a storage.

    A frame's `index` counts all frames of the stream, damaged, skipped and early ones too, so it
    does not depend on what is sampled. `time` counts from the first frame. Groups of pictures that
    are not wanted are, where that is safe, not decoded.

    Raises:
        NotMediaError: No picture can be read from it.
        SourceError: Its frames are larger than the limits allow, or none comes in time.
        SourceUnavailableError: It is not there or may not be read.
    """

    def __init__(self, medium: Path | str | RemoteObject, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        self._remote = medium if isinstance(medium, RemoteObject) else None
        self._pipe: InterruptiblePipe | None = None
        self._name = medium.name if isinstance(medium, RemoteObject) else readable(medium)
        self._limits = limits
        self._due = -inf
        with ExitStack() as opened:
            path = None
            if isinstance(medium, RemoteObject):
                self._open_remote(medium, opened)
            else:
                path = Path(medium)
                self._open(path, opened)
            self._prepare()
            # It refers to this source and this source to it: neither would be freed, with decoder
            # and filters, before the next full garbage collection.
            opened.callback(lambda: self._frames.close())
            self._opened = opened.pop_all()
        self.info = self._describe(path if self._pipe is None else None)

    @property
    def decoded(self) -> int:
        return self._decoder.decoded

    @property
    def corrupt(self) -> int:
        return self._decoder.corrupt

    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:
        for index, pts, frame in chain(self._first, self._frames):
            due = selector.start if every else max(selector.start, selector.next_due)
            self._due = self._origin + due / float(self._time_base)
            time = float((pts - self._origin) * self._time_base)
            picture = partial(self._display.picture, frame)
            yield DecodedFrame(index, pts, self._time_base, time, picture)

    def begin_at(self, point: SeekPoint) -> None:
        """Let `frames` begin at a seek point; to be called before it.

        Raises:
            CorruptMediaError: The file cannot be sought.
        """
        with reading(self._name):
            self._container.seek(point.dts, stream=self._stream)
        self._restart()
        self._decoder.begin_at(point)

    def time_of(self, point: SeekPoint) -> float:
        """Return when a seek point is shown, in seconds from the first frame."""
        return float((point.pts - self._origin) * self._time_base)

    def seek_points(self, times: Sequence[float]) -> list[SeekPoint | None]:
        """Find for each time, in seconds, the last seek point at or before it; None: the beginning.

        At most one group of pictures is decoded. The source gives no frames afterwards.

        Raises:
            SourceError: The file has no seek points; the message says why.
        """
        if self._pipe is not None:
            raise SourceError(f"{self._name}: is a pipe")
        if self._origin < 0:
            raise SourceError(f"{self._name}: its clock begins below zero")
        with reading(self._name):
            longest = round(_LONGEST_STEP / self._time_base)
            index = SeekIndex(self._container, self._stream, self._name, longest)
            while not self._decoder.counts_by_packets and next(self._frames, None) is not None:
                if self._decoder.decoded > MAX_HELD:
                    break
            if not self._decoder.counts_by_packets:
                raise SourceError(f"{self._name}: its frames cannot be counted without decoding")
            ticks = [self._origin + floor(time / float(self._time_base) + 1e-6) for time in times]
            return [index.at_or_before(each) for each in ticks]

    def interrupt(self) -> None:
        super().interrupt()
        if self._pipe is not None:
            self._pipe.interrupt()
        if self._remote is not None:
            self._remote.interrupt()

    def close(self) -> None:
        self._opened.close()

    def _open(self, path: Path, opened: ExitStack) -> None:
        with opening(self._name):
            self._pipe = _opened_pipe(path, self._name)
            if self._pipe is not None:
                opened.callback(self._pipe.close)
                # Its data may come at any time.
                self._limits = replace(self._limits, frame_timeout=inf)
            container = av.open(
                # With the prefix, a colon in the name is no protocol.
                self._pipe or f"file:{path}",
                "r",
                container_options={"protocol_whitelist": _PROTOCOLS},
                metadata_errors="replace",  # titles come in any encoding
                timeout=None if self._pipe else self._limits.frame_timeout,  # of one read
            )
        if self._pipe is not None:
            self._pipe.timeout = None
        opened.callback(container.close)
        self._container = container

    def _open_remote(self, content: RemoteObject, opened: ExitStack) -> None:
        reader = content.reader()
        with opening(self._name):
            _refuse_unplayable(content.size, reader.read(_BEGINNING), self._name)
            reader.seek(0)
            self._container = av.open(reader, "r", metadata_errors="replace")
        opened.callback(self._container.close)

    def _prepare(self) -> None:
        """Decode the first frame, which gives size, orientation and time origin."""
        stream = self._video_stream()
        context = stream.codec_context
        self._limits.check_frame(context.width, context.height, self._name)
        assert stream.time_base is not None
        self._time_base = stream.time_base
        self._rate = stream.average_rate or stream.guessed_rate
        self._stream = stream
        self._decoder = Decoder(
            self._container, stream, self._name, self._interrupted, self._limits
        )
        self._timestamps = TimestampRepair(self._time_base, self._rate)
        self._frames = deinterlaced(self._timed())
        try:
            first = next(self._frames, None)
        except CorruptMediaError as error:
            raise NotMediaError(f"{self._name}: no picture can be decoded", hint=_HINT) from error
        if first is None:
            raise NotMediaError(f"{self._name}: has no picture in it", hint=_HINT)
        self._first = [first]
        _, self._origin, frame = first
        refuse_unknown_colours(frame, self._name)
        self._display = Display(frame, stream.sample_aspect_ratio)
        self._limits.check_frame(self._display.width, self._display.height, self._name)

    def _restart(self) -> None:
        """Give up the frames that are read ahead."""
        self._frames.close()
        self._first = []
        self._frames = deinterlaced(self._timed())

    def _video_stream(self) -> VideoStream:
        """Return the stream that a player would show."""
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & _STILL_STREAMS
        ]
        if not streams or self._container.format.name in _TEXT_FORMATS:
            raise NotMediaError(
                f"{self._name}: has no video in it", hint="Sound alone cannot be explained."
            )
        known = [stream for stream in streams if stream.codec_context is not None]
        if not known:
            raise NotMediaError(
                f"{self._name}: its video format cannot be decoded here",
                hint="Convert it to H.264 first.",
            )
        return max(known, key=_rank)

    def _describe(self, path: Path | None) -> SourceInfo:
        duration = self._duration()
        count = self._stream.frames or None
        if duration and self._rate:
            expected = max(1, round(duration * self._rate))
            count = min(count, expected) if count else expected
        return SourceInfo(
            id=self._name,
            width=self._display.width,
            height=self._display.height,
            time_base=self._time_base,
            frame_rate=self._rate,
            duration=duration,
            frame_count=count,
            path=path,
            reopen=None if self._remote is None else self._remote.reader,
        )

    def _duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self._time_base)
        if self._container.duration:
            return float(self._container.duration / av.time_base)
        return None

    def _timed(self) -> Iterator[TimedFrame]:
        for index, frame in self._decoder.frames(lambda: self._due):
            pts = self._timestamps.repaired(frame.pts if frame.pts is not None else frame.dts)
            if frame.interlaced_frame or self._timestamps.shifted:
                self._decoder.may_skip = False
            yield index, pts, frame


class InterruptiblePipe:
    """A named pipe or standard input for FFmpeg; reading can be interrupted.

    Args:
        timeout: Seconds to wait for data, None for no limit.
    """

    def __init__(self, path: Path, timeout: float | None) -> None:
        self.timeout = timeout
        # Without O_NONBLOCK this would wait for a writer, and nothing could end that.
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._wake_read, self._wake_write = os.pipe()
        # A closed descriptor's number may be reused at once.
        self._closing = Lock()
        self._closed = False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end or after an interruption."""
        ready, _, _ = select.select([self._file, self._wake_read], [], [], self.timeout)
        if not ready:
            raise TimeoutError(f"no data for {self.timeout:g} seconds")
        if self._wake_read in ready:
            return b""
        return os.read(self._file, size)

    def interrupt(self) -> None:
        with self._closing:
            if not self._closed:
                os.write(self._wake_write, b"!")

    def close(self) -> None:
        with self._closing:
            if not self._closed:
                self._closed = True
                for descriptor in (self._file, self._wake_read, self._wake_write):
                    os.close(descriptor)


def _opened_pipe(path: Path, name: str) -> InterruptiblePipe | None:
    kind = path.stat()
    if stat.S_ISDIR(kind.st_mode):
        raise NotMediaError(f"{name}: is a folder", hint="Name a file in it.")
    if stat.S_ISFIFO(kind.st_mode):
        return InterruptiblePipe(path, PIPE_TIMEOUT)
    if not stat.S_ISREG(kind.st_mode):
        raise NotMediaError(f"{name}: is neither a file nor a pipe")
    with path.open("rb") as file:
        _refuse_unplayable(kind.st_size, file.read(_BEGINNING), name)
    return None


def _refuse_unplayable(size: int, beginning: bytes, name: str) -> None:
    if not size:
        raise NotMediaError(f"{name}: is empty", hint="Was it copied completely?")
    if beginning.startswith(_PLAY_LISTS):
        raise NotMediaError(f"{name}: is a play list", hint="Name the videos in it.")


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    context = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return default, context.width * context.height, -stream.index
