"""Key frames of a video file at which decoding can begin, with the number of frames before them.

They are found in the container's index, so that a file of hours is neither read nor decoded for
them. Only indexes of all frames tell how many there are before a key frame: MP4, MOV and AVI have
one, Matroska and MPEG-TS do not.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import SourceError

MAX_TRIES = 10
"""Key frames that are tried, from the wanted one backwards. Where so many in a row are not points
to begin at, as with open groups of pictures, none of the file's is."""


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """A key frame that no later frame refers across.

    Attributes:
        index: How many frames are shown before it.
        pts, dts: Its presentation and decoding time in ticks of the stream.
    """

    index: int
    pts: int
    dts: int


class SeekIndex:
    """Finds seek points of a stream whose container has an index of all frames.

    The container is sought and read; frames that are decoded at the same time are lost.

    Args:
        longest_step: Ticks from one frame to the next beyond which the file's clock is damaged.

    Raises:
        SourceError: The file's frames cannot be counted by its index; the message says why.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, name: str, longest_step: int
    ) -> None:
        self._container = container
        self._stream = stream
        entries = stream.index_entries
        if len(entries) < 2 or len(entries) != stream.frames:
            kind = container.format.name.partition(",")[0]
            raise SourceError(f"{name}: its container ({kind}) has no index of all frames")
        # Of a frame: its decoding time, and whether it is a key frame.
        self._times: list[int] = []
        self._keys: list[int] = []
        for number, entry in enumerate(entries):
            if entry.is_discard:
                raise SourceError(f"{name}: its edit list hides frames")
            self._times.append(entry.timestamp)
            if entry.is_keyframe:
                self._keys.append(number)
        if any(not 0 < after - before <= longest_step for before, after in pairwise(self._times)):
            raise SourceError(f"{name}: its timestamps have gaps or go back")

    def at_or_before(self, ticks: int) -> SeekPoint | None:
        """Return the last seek point that is shown at or before a time; None for the beginning."""
        below = bisect_right(self._keys, bisect_right(self._times, ticks) - 1)
        # The first key frame is the beginning.
        for place in range(below - 1, max(0, below - 1 - MAX_TRIES), -1):
            point = self._point(self._keys[place - 1], self._keys[place])
            if point is not None and point.pts <= ticks:
                return point
        return None

    def _point(self, before: int, key: int) -> SeekPoint | None:
        """Return the key frame as a seek point if the groups before and after it are closed."""
        packets = list(self._packets(before, min(key + 2, len(self._times))))
        if [packet.dts for packet in packets] != self._times[before : before + len(packets)]:
            return None
        group, own = packets[: key - before], packets[key - before :]
        shown = own[0].pts if own else None
        if shown is None or own[0].dts is None or not own[0].is_keyframe:
            return None
        earlier = [packet.pts for packet in group]
        later = [packet.pts for packet in own[1:]]
        closed = all(pts is not None and pts < shown for pts in earlier)
        closed &= all(pts is not None and pts > shown for pts in later)
        return SeekPoint(key, shown, own[0].dts) if closed else None

    def _packets(self, first: int, last: int) -> Iterator["Packet[VideoStream]"]:
        """Yield the stream's packets from a key frame to before another frame."""
        self._container.seek(self._times[first], stream=self._stream)
        count = last - first
        for packet in self._container.demux(self._stream):
            if packet.dts is None or packet.dts < self._times[first]:
                continue
            yield packet
            count -= 1
            if not count:
                return
