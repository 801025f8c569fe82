"""Cuts a clip out of a camera's recorded segments, without decoding or encoding anything."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import orjson
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamcam.clock import iso_utc
from streamcam.files import PartFile, write_file
from streamcam.media_errors import writing
from streamcam.sinks.encoder import TIME_BASE, VideoPacket
from streamcam.sinks.recording.naming import SegmentFiles, segments_between

_LONGEST_GAP = 1.0
"""Seconds for which a clip shows the frame before a gap in the recording; the rest is left out."""

_NEXT_SEGMENT = timedelta(hours=1)
"""In which another segment begins, if the recording goes on."""

_SHORTEST_STEP = 0.001
"""Seconds; the clock may have been put back between two segments."""


@dataclass(frozen=True, slots=True)
class EventClip:
    """A clip that was cut: when its first and its last frame were taken, and their number."""

    begin: datetime
    end: datetime
    frames: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Frames of one segment: the first one that is wanted, and the last one."""

    video: Path
    first: int
    last: int
    times: Sequence[datetime]
    lines: Sequence[bytes]


def is_recorded_until(folder: Path, moment: datetime) -> bool:
    """Return whether all that was recorded up to a moment is published."""
    segments = segments_between(folder, moment, moment + _NEXT_SEGMENT)
    if not segments:
        return False
    return segments[-1].begin >= moment or _times(_lines(segments[-1])[-1:])[-1:] >= [moment]


def cut(
    folder: Path, begin: datetime, end: datetime, path: Path, records: Path
) -> EventClip | None:
    """Cut the frames of a stretch of time out of a camera's recording.

    A clip begins with the key frame at or before the first frame of that time. Its timestamps go on
    across segments; a gap is shortened to a second. Frames of another size than the first ones are
    left out.

    Args:
        folder: The camera's, e.g. `out/door`.
        begin: The time of the first frame that is wanted.
        end: The time of the last one.
        path: The clip to write, MP4.
        records: The records of its frames to write, a line each.

    Returns:
        None where nothing was recorded in that time.

    Raises:
        SinkError: It cannot be read or written.
    """
    parts = [
        part for each in segments_between(folder, begin, end) for part in _part(each, begin, end)
    ]
    if not parts:
        return None
    with writing(str(path)):
        file = PartFile(path)
        try:
            kept = _join(parts, file.prepare())
            write_file(records, b"".join(line for _, line in kept))
            file.publish()
        except BaseException:
            file.discard()
            raise
    times = [time for time, _ in kept]
    return EventClip(times[0], times[-1], len(times))


def _part(segment: SegmentFiles, begin: datetime, end: datetime) -> Iterator[_Part]:
    """Yield the part of a segment that lies in a stretch of time, if there is one."""
    lines = _lines(segment)
    times = _times(lines)
    inside = [number for number, time in enumerate(times) if begin <= time <= end]
    if inside:
        yield _Part(segment.video, inside[0], inside[-1], times, lines)


def _lines(segment: SegmentFiles) -> list[bytes]:
    try:
        return segment.records.read_bytes().splitlines(keepends=True)
    except OSError:  # retention may have deleted it just now
        return []


def _times(lines: Sequence[bytes]) -> list[datetime]:
    return [datetime.fromisoformat(orjson.loads(line)["time_utc"]) for line in lines]


def _join(parts: Sequence[_Part], path: Path) -> list[tuple[datetime, bytes]]:
    """Write the parts' packets one after the other; return the time and record of each frame."""
    kept: list[tuple[datetime, bytes]] = []
    with ExitStack() as stack:
        writer: _ClipWriter | None = None
        for part in parts:
            source = stack.enter_context(av.open(str(part.video)))
            stream = source.streams.video[0]
            if writer is None:
                writer = _ClipWriter(path, stream, part.times[part.first])
                stack.callback(writer.close)
            elif not writer.continues(stream):
                break
            for position, (number, packet) in enumerate(_packets(source.demux(stream), part)):
                writer.write(packet, part.times[number], begins_part=position == 0)
                kept.append((part.times[number], part.lines[number]))
    return kept


def _packets(packets: Iterator[VideoPacket], part: _Part) -> list[tuple[int, VideoPacket]]:
    """Return the numbers and packets of a part, from the key frame before it on."""
    taken: list[tuple[int, VideoPacket]] = []
    for number, packet in enumerate(packets):
        if number > part.last or packet.pts is None:
            break
        if packet.is_keyframe and number <= part.first:
            taken.clear()
        taken.append((number, packet))
    return taken


class _ClipWriter:
    """Muxes packets of several segments into one MP4 that begins at zero."""

    def __init__(self, path: Path, template: VideoStream, begin: datetime) -> None:
        self._container: OutputContainer = av.open(
            str(path), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._container.metadata["creation_time"] = iso_utc(begin)
        self._stream = self._container.add_stream_from_template(template)
        self._stream.time_base = TIME_BASE
        self._parameters = _parameters(template)
        self._shift = Fraction(0)
        self._shown = Fraction(0)
        self._taken: datetime | None = None

    def continues(self, stream: VideoStream) -> bool:
        """Tell whether a decoder can go on with another segment's packets."""
        return _parameters(stream) == self._parameters

    def write(self, packet: VideoPacket, taken: datetime, *, begins_part: bool) -> None:
        assert packet.pts is not None
        time = packet.pts * packet.time_base
        if begins_part:
            self._shift = self._begin_of_part(taken) - time
        self._shown, self._taken = time + self._shift, taken
        duration = (packet.duration or 0) * packet.time_base
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = round(self._shown / TIME_BASE)
        packet.duration = round(duration / TIME_BASE)
        packet.stream = self._stream
        self._container.mux(packet)

    def close(self) -> None:
        self._container.close()

    def _begin_of_part(self, taken: datetime) -> Fraction:
        """Return when the first frame of the next part is shown, in seconds."""
        if self._taken is None:
            return Fraction(0)
        gap = (taken - self._taken).total_seconds()
        return self._shown + Fraction(min(max(gap, _SHORTEST_STEP), _LONGEST_GAP))


def _parameters(stream: VideoStream) -> tuple[int, int, bytes | None]:
    context = stream.codec_context
    return context.width, context.height, context.extradata
