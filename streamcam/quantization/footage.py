"""Frames of a user's footage that differ from each other, for calibration and for comparison."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import SourceError
from streamcam.fingerprint import fingerprint_of_text
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.registry import is_result
from streamcam.sources.base import FiniteSource
from streamcam.sources.inputs import Entry, expand, open_source
from streamcam.sources.limits import Limits
from streamcam.types import Picture

_log = logging.getLogger(__name__)

FrameProgress = Callable[[int, int], None]
"""Called with the number of frames that were looked at, and how many there may be."""

WANTED = 160
"""Frames that are chosen at most, held out ones included."""

FEWEST = 24
"""Frames under which ranges of activations, and percentiles of maps, say nothing."""

# Frames that are looked at for each one that is chosen.
_LOOKED_AT = 4

# Successive frames that are chosen from together; every fourth such block is held out.
_BLOCK = 8
_HELD_OUT_EVERY = 4

# Of videos that do not tell how long they are.
_UNKNOWN_LENGTH_FPS = 1.0

# Frames are compared at this size, height and width, where noise has averaged out.
_THUMBNAIL = (18, 32)

# Kept frames lie in memory: of full HD, a tenth of their pixels' bytes, and less changed than by
# the compression of the video that they come from.
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


class _Candidate(NamedTuple):
    entry: int  # number of its source
    picture: Picture


@dataclass(slots=True)
class FramePool(Sequence[Picture]):
    """Frames that differ from each other; each is added only for being unlike those before it.

    Farthest-point sampling (Gonzalez 1985) in blocks: only one block is in memory at a time.
    """

    _encoded: list[bytes] = field(default_factory=list)
    _looks: list[NDArray[np.float32]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._encoded)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        """RGB pictures, uint8 [height, width, 3]."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        decoded = cv2.imdecode(np.frombuffer(self._encoded[index], np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None  # `_encode` made it
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def add_different(self, pictures: Sequence[Picture], count: int) -> None:
        """Add those `count` pictures that are least like what is here; never the same one twice."""
        looks = [_look(picture) for picture in pictures]
        distances = np.array([self._distance(look) for look in looks])
        for _ in range(min(count, len(pictures))):
            farthest = int(distances.argmax())
            if distances[farthest] == 0:
                return
            self._encoded.append(_encode(pictures[farthest]))
            self._looks.append(looks[farthest])
            distances = np.minimum(distances, [_difference(looks[farthest], own) for own in looks])

    def _distance(self, look: NDArray[np.float32]) -> float:
        return min((_difference(look, other) for other in self._looks), default=np.inf)


@dataclass(frozen=True, slots=True)
class Footage:
    """What was sampled: no frame of one part is a neighbour of a frame of the other.

    Attributes:
        fingerprint: Of the content of the files that frames were taken from.
        files: How many those are.
    """

    calibration: FramePool
    held_out: FramePool
    fingerprint: str
    files: int


def sample_footage(
    spec: str, limits: Limits, progress: FrameProgress = lambda _done, _all: None
) -> Footage:
    """Choose frames of a file or of a folder, spread over files and over time.

    A file of several that cannot be read is left out with a warning.

    Raises:
        SourceError: There is no frame, or there are too few.
    """
    entries = _spread(expand([spec], is_result), WANTED * _LOOKED_AT)
    each = max(1, WANTED * _LOOKED_AT // len(entries))
    counts = _frame_counts(entries, each, limits)
    total = sum(counts.values())
    blocks = _blocks(_candidates(counts, limits), lambda done: progress(min(done, total), total))
    per_block = max(_BLOCK // _LOOKED_AT, math.ceil(WANTED * _BLOCK / total))
    calibration, held_out = FramePool(), FramePool()
    for number, (before, block, after) in enumerate(blocks):
        if number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 2:
            held_out.add_different(_inner(before, block, after), per_block)
        else:
            calibration.add_different([one.picture for one in block], per_block)
    found = len(calibration) + len(held_out)
    if found < FEWEST:
        raise SourceError(
            f"{entries[0].id if len(entries) == 1 else spec}: {found} frames that differ, and "
            f"quantization needs {FEWEST} or more",
            hint="Name a longer video, or a folder with more videos or pictures.",
        )
    digests = " ".join(entry.fingerprint() or entry.id for entry in counts)
    return Footage(calibration, held_out, fingerprint_of_text(digests), len(counts))


def _spread(entries: Sequence[Entry], most: int) -> list[Entry]:
    if len(entries) <= most:
        return list(entries)
    return [entries[place * len(entries) // most] for place in range(most)]


def _frame_counts(entries: Sequence[Entry], most: int, limits: Limits) -> dict[Entry, int]:
    """How many frames to take of each source, those left out that cannot be opened."""
    counts = {}
    for entry in entries:
        try:
            with closing(open_source(entry.spec, limits)) as source:
                counts[entry] = min(most, _frame_count(source) or most)
        except SourceError as error:
            if len(entries) == 1:
                raise
            _log.warning("%s", error.message)
    if not counts:
        raise SourceError("none of the footage's files can be read")
    return counts


def _frame_count(source: FiniteSource) -> int | None:
    info = source.info
    if info.still:
        return 1
    if info.frame_count is None and info.duration is not None and info.frame_rate is not None:
        return max(1, round(info.duration * info.frame_rate))
    return info.frame_count


def _candidates(counts: Mapping[Entry, int], limits: Limits) -> Iterator[_Candidate]:
    """Frames of every source, evenly spaced in time, in order."""
    for number, (entry, count) in enumerate(counts.items()):
        try:
            with closing(open_source(entry.spec, limits)) as source:
                for frame in islice(source.frames(_sampler(source, count)), count):
                    yield _Candidate(number, frame.picture)
        except SourceError as error:
            # What was read before the damage counts.
            _log.warning("%s", error.message)


def _sampler(source: FiniteSource, count: int) -> Sampler:
    """A sampler of the middles of `count` equal parts of a source."""
    length = source.info.duration
    if source.info.still or length is None or length <= 0:
        return Sampler(max_fps=_UNKNOWN_LENGTH_FPS)
    return Sampler(max_fps=count / length, start=length / count / 2)


_Neighbours = tuple[_Candidate | None, list[_Candidate], _Candidate | None]


def _blocks(
    candidates: Iterator[_Candidate], progress: Callable[[int], None]
) -> Iterator[_Neighbours]:
    """Successive candidates in blocks, each with the candidate before it and the one after it."""
    before: _Candidate | None = None
    block = list(islice(candidates, _BLOCK))
    done = 0
    while block:
        following = list(islice(candidates, _BLOCK))
        done += len(block)
        progress(done)
        yield before, block, following[0] if following else None
        before, block = block[-1], following


def _inner(
    before: _Candidate | None, block: Sequence[_Candidate], after: _Candidate | None
) -> list[Picture]:
    """A block's pictures without those next to another block's frame of the same source."""
    inner = list(block)
    if before is not None and before.entry == inner[0].entry:
        inner = inner[1:]
    if inner and after is not None and after.entry == inner[-1].entry:
        inner = inner[:-1]
    return [one.picture for one in inner]


def _look(picture: Picture) -> NDArray[np.float32]:
    height, width = _THUMBNAIL
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Root mean square difference in grey levels."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def _encode(picture: Picture) -> bytes:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _JPEG)
    return encoded.tobytes()
