"""From interlaced video to whole pictures."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

from av.filter import Graph
from av.video.frame import VideoFrame

_TICK = Fraction(1, 1000)  # any will do, since the filter's own times are not used
# One picture for each frame; frames that are not flagged as interlaced pass as they are.
_FILTER = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")

Overlay: TypeAlias = tuple[int, int, VideoFrame]
"""A frame's index, its presentation time in ticks, and the frame; a filter changes its own time."""


def deinterlaced(frames: Iterable[Overlay]) -> Iterator[Overlay]:
    """Yield the same frames, at the same places, as whole pictures.

    Nothing is filtered before the first interlaced frame; from there on everything is, since the
    filter looks at the frames before and after.
    """
    weaver: _Weaver | None = None
    for index, pts, frame in frames:
        if weaver is not None and not weaver.fits(frame):
            yield from weaver.finish()
            weaver = None
        if weaver is None and frame.interlaced_frame:
            weaver = _Weaver(frame)
        if weaver is None:
            yield index, pts, frame
        else:
            yield from weaver.push(index, pts, frame)
    if weaver is not None:
        yield from weaver.finish()


class _Weaver:
    """A filter graph for frames of one size and format."""

    def __init__(self, like: VideoFrame) -> None:
        self._shape = (like.width, like.height, like.format.name)
        self._places: deque[tuple[int, int]] = deque()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=_TICK
        )
        source.link_to(filtered := self._graph.add(*_FILTER))
        filtered.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def fits(self, frame: VideoFrame) -> bool:
        """Whether this graph can take the frame."""
        return self._shape == (frame.width, frame.height, frame.format.name)

    def push(self, index: int, pts: int, frame: VideoFrame) -> Iterator[Overlay]:
        """Take a frame; yield those that are ready, one step behind."""
        self._places.append((index, pts))
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[Overlay]:
        """Yield the rest."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[Overlay]:
        while self._places:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield *self._places.popleft(), frame
