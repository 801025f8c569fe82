"""Videos in files, whatever FFmpeg reads."""

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from threading import Event

import av
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamcam.clock import Clock
from streamcam.errors import CorruptMediaError, NotMediaError
from streamcam.files import readable
from streamcam.media_errors import opening
from streamcam.sources.base import Selector
from streamcam.sources.decoder import Decoder
from streamcam.sources.deinterlace import Overlay, deinterlaced
from streamcam.sources.display import Display
from streamcam.sources.pipe import Pipe
from streamcam.sources.timeline import Timeline
from streamcam.types import Frame, SourceInfo

PATIENCE = 10.0
"""Seconds that a pipe gets to deliver the first picture's data."""

# FFmpeg would fetch what a play list names, from the network too, and wait for it for minutes.
_PLAY_LISTS = (b"#EXTM3U", b"ffconcat")
_PROTOCOLS = "file,pipe,crypto,data"
# FFmpeg would draw text as a picture.
_NO_MEDIA = ("tty",)
# Covers, chapter pictures, and the tiles of a larger picture.
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
_HINT = "It may be incomplete, damaged, or another kind of file under this name."


class FileSource:
    """A video file, or a pipe with a video in it.

    A frame's `index` counts the frames that the decoder gives, damaged ones and those before
    `selector.start` too, so it does not depend on what is sampled. `time` counts from the first
    frame. Parts that nobody wants are read but, where that is safe, not decoded.

    Args:
        path: The file.

    Raises:
        NotMediaError: No picture can be read from it.
        SourceUnavailableError: It is not there or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self._name = readable(path)
        self._interrupted = Event()
        self._clock = Clock()
        self._due = -inf
        with ExitStack() as opened:
            self._open(path, opened)
            self._prepare()
            self._opened = opened.pop_all()
        self._info = self._described(path if self._pipe is None else None)

    @property
    def info(self) -> SourceInfo:
        """What is known of the file."""
        return self._info

    @property
    def decoded(self) -> int:
        """How many frames the decoder has given so far."""
        return self._decoder.decoded

    @property
    def corrupt(self) -> int:
        """How many packets and frames were refused or marked as damaged so far."""
        return self._decoder.corrupt

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames; with `every` the others since `selector.start` too.

        To be called once. Ends when the selector wants nothing any more.

        Raises:
            CorruptMediaError: Nothing could be decoded for too long; earlier frames stay good.
            SourceUnavailableError: The file went away.
        """
        fresh = True
        for index, pts, frame in self._shown():
            due = selector.start if every else max(selector.start, selector.next_due)
            self._due = self._ticks(due)
            if self._interrupted.is_set() or selector.next_due == inf:
                return
            time = float((pts - self._origin) * self._time_base)
            if time < selector.start:
                continue
            sampled = selector.wants(index, time)
            if sampled or every:
                yield self._frame(index, pts, frame, sampled=sampled, discontinuity=fresh)
                fresh = False

    def interrupt(self) -> None:
        """Make `frames` end before its next frame, from any thread."""
        self._interrupted.set()
        if self._pipe is not None:
            self._pipe.interrupt()

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._opened.close()

    def _open(self, path: Path, opened: ExitStack) -> None:
        with opening(self._name):
            self._pipe = _pipe(path, self._name)
            if self._pipe is not None:
                opened.callback(self._pipe.close)
            container = av.open(
                # With the prefix, a colon in the name is no protocol.
                self._pipe or f"file:{path}",
                "r",
                container_options={"protocol_whitelist": _PROTOCOLS},
                metadata_errors="replace",  # titles come in any encoding
            )
        if self._pipe is not None:
            self._pipe.patience = None
        opened.callback(container.close)
        self._container = container

    def _prepare(self) -> None:
        """Decode the first frame: it tells size, orientation and where time begins."""
        stream = self._video_stream()
        assert stream.time_base is not None
        self._time_base = stream.time_base
        self._rate = stream.average_rate or stream.guessed_rate
        self._stream = stream
        self._decoder = Decoder(self._container, stream, self._name, self._interrupted)
        self._timeline = Timeline(self._time_base, self._rate)
        self._frames = deinterlaced(self._placed())
        try:
            self._first = next(self._frames, None)
        except CorruptMediaError as error:
            raise NotMediaError(f"{self._name}: no picture can be decoded", hint=_HINT) from error
        if self._first is None:
            raise NotMediaError(f"{self._name}: has no picture in it", hint=_HINT)
        _, self._origin, frame = self._first
        self._display = Display(frame, stream.sample_aspect_ratio)

    def _video_stream(self) -> VideoStream:
        """Return the stream that a player would show."""
        streams = [
            stream for stream in self._container.streams.video if not stream.disposition & _NO_VIDEO
        ]
        if not streams or self._container.format.name in _NO_MEDIA:
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

    def _described(self, path: Path | None) -> SourceInfo:
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
        )

    def _duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self._time_base)
        if self._container.duration:
            return float(self._container.duration / av.time_base)
        return None

    def _placed(self) -> Iterator[Overlay]:
        for index, frame in self._decoder.frames(lambda: self._due):
            pts = self._timeline.placed(frame.pts if frame.pts is not None else frame.dts)
            if frame.interlaced_frame or self._timeline.shifted:
                self._decoder.may_skip = False
            yield index, pts, frame

    def _shown(self) -> Iterator[Overlay]:
        assert self._first is not None
        yield self._first
        yield from self._frames

    def _ticks(self, seconds: float) -> float:
        return self._origin + seconds / float(self._time_base)

    def _frame(
        self, index: int, pts: int, frame: VideoFrame, *, sampled: bool, discontinuity: bool
    ) -> Frame:
        arrival = self._clock.monotonic()
        return Frame(
            source=self._name,
            index=index,
            pts=pts,
            time_base=self._time_base,
            time=float((pts - self._origin) * self._time_base),
            picture=self._display.picture(frame),
            sampled=sampled,
            discontinuity=discontinuity,
            arrival=arrival,
        )


def _pipe(path: Path, name: str) -> Pipe | None:
    """Return a pipe to read from, None for an ordinary file."""
    kind = path.stat()
    if stat.S_ISDIR(kind.st_mode):
        raise NotMediaError(f"{name}: is a folder", hint="Name a file in it.")
    if stat.S_ISFIFO(kind.st_mode):
        return Pipe(path, PATIENCE)
    if not stat.S_ISREG(kind.st_mode):
        raise NotMediaError(f"{name}: is neither a file nor a pipe")
    if not kind.st_size:
        raise NotMediaError(f"{name}: is empty", hint="Was it copied completely?")
    with path.open("rb") as file:
        if file.read(16).startswith(_PLAY_LISTS):
            raise NotMediaError(f"{name}: is a play list", hint="Name the videos in it.")
    return None


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    context = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return default, context.width * context.height, -stream.index
