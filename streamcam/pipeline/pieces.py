"""Long videos in pieces: where they are cut, and which of them are done already.

A piece is explained on its own, on another core, GPU or machine. It begins some seconds early, with
a lead-in that is explained but not written: by its end the stabilizer has the sign, component and
range that it has in one piece. Its frames, their numbers and times are those of the whole video.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from streamcam.cam_methods import EIGENCAM
from streamcam.config import Settings
from streamcam.errors import SourceError
from streamcam.files import PART, write_file
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.base import result_path
from streamcam.sources.file import FileSource
from streamcam.sources.inputs import Entry, open_source
from streamcam.sources.limits import Limits
from streamcam.sources.seek_points import SeekPoint
from streamcam.types import Counts, Outcome

LEAD_IN = 30.0
"""Seconds. After 20, maps of two real videos differed by at most 0.0002 from those in one piece;
after 8 by 0.03. See docs/splitting.md."""

_MOST_LEAD_IN = 0.5
"""Of a piece's length."""

_SHORTEST_REST = 0.25
"""Of a piece's length: a shorter end of the video belongs to the piece before it."""

_FOLDER = ".pieces"
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a video.

    Attributes:
        number: From 0.
        lead_in, start, end: Seconds from the video's first frame. Frames from `start` until before
            `end` are written, those from `lead_in` on explained. `end` is infinite for the last.
        seek: Where decoding begins, None for the video's beginning.
    """

    number: int
    lead_in: float
    start: float
    end: float
    seek: SeekPoint | None = None


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The pieces of a video, in their order; none where it is not split, and why if that is odd."""

    pieces: tuple[Piece, ...] = ()
    remark: str | None = None


def plan_pieces(entry: Entry, settings: Settings) -> SplitPlan:
    """Plan the pieces of a source that is longer than `[output] split`.

    The source is opened, and read around the places where pieces begin; at most one group of
    pictures is decoded.

    Raises:
        SourceError: The source cannot be opened.
    """
    length = settings.output.split
    if length is None:
        return SplitPlan()
    source = open_source(entry.spec, Limits(**settings.limits.model_dump()))
    try:
        bounds = _bounds(source.info.duration, length, settings)
        if not isinstance(source, FileSource) or len(bounds) < 2:
            return SplitPlan()
        hindrance = _hindrance(settings)
        if hindrance is not None:
            return SplitPlan(remark=f"not split: {hindrance}")
        return SplitPlan(_pieces(source, bounds, length))
    except SourceError as error:
        return SplitPlan(remark=f"not split: {error.message.removeprefix(f'{entry.id}: ')}")
    finally:
        source.close()


def piece_folder(entry: Entry, settings: Settings) -> Path:
    """Return the folder of a source's pieces; another one for other content of the same name."""
    digest = (entry.fingerprint() or "")[:_DIGEST]
    return result_path(settings.output.local_folder, entry.stem, f".{digest}{_FOLDER}{PART}")


def _bounds(duration: float | None, length: float, settings: Settings) -> list[float]:
    """Return where pieces begin, in seconds."""
    start, end = settings.sampling.start, settings.sampling.end
    last = min(duration or 0.0, math.inf if end is None else end)
    count = math.ceil((last - start) / length - _SHORTEST_REST)
    return [start + number * length for number in range(max(1, count))]


def _hindrance(settings: Settings) -> str | None:
    """Return why the results of pieces would not be those of the whole video."""
    if not isinstance(settings.output.folder, Path):
        return "its results go to object storage"
    if settings.file_tracking is not None:
        return "tracks go on from piece to piece"
    if settings.cam.method != EIGENCAM:
        return f"{settings.cam.method} counts the frames from the first one"
    if settings.output.video == "full" and _samples_coarsely(settings):
        return "a piece might have no explained frame"
    if settings.sinks:
        return f"the results of {', '.join(sorted(settings.sinks))} cannot be joined"
    return None


def _samples_coarsely(settings: Settings) -> bool:
    """Whether stretches as long as a quarter of a piece may have no explained frame."""
    sampling = settings.sampling
    return sampling.every is not None or sampling.max_fps * (settings.output.split or 0.0) < 4


def _pieces(source: FileSource, bounds: list[float], length: float) -> tuple[Piece, ...]:
    """Return the pieces; those at whose beginning decoding cannot begin are one with the last."""
    lead_in = min(LEAD_IN, length * _MOST_LEAD_IN)
    begins = [max(bounds[0], bound - lead_in) for bound in bounds]
    points = dict(zip(bounds, zip(begins, source.seek_points(begins), strict=True), strict=True))
    kept = [
        bound
        for bound in bounds
        if bound == bounds[0] or _is_near(source, points[bound][1], bound, length + lead_in)
    ]
    ends = [*kept[1:], math.inf]
    return tuple(
        Piece(number, points[start][0], start, end, points[start][1])
        for number, (start, end) in enumerate(zip(kept, ends, strict=True))
    )


def _is_near(source: FileSource, point: SeekPoint | None, bound: float, seconds: float) -> bool:
    return bound - (0.0 if point is None else source.time_of(point)) <= seconds


class PieceSelector:
    """Samples the frames of a piece, those that are sampled of the whole video.

    Attributes:
        decoded: How many frames of the piece were seen.
    """

    def __init__(self, sampler: Sampler, piece: Piece) -> None:
        self._sampler = sampler
        self._piece = piece
        self._ended = False
        self.decoded = 0
        sampler.skip_to(piece.lead_in)

    @property
    def start(self) -> float:
        return self._piece.lead_in

    @property
    def next_due(self) -> float:
        return math.inf if self._ended else self._sampler.next_due

    def wants(self, index: int, time: float) -> bool:
        if time >= self._piece.end:
            self._ended = True
            return False
        self.decoded += time >= self._piece.start
        return self._sampler.wants(index, time)


@dataclass(frozen=True, slots=True)
class PieceRecord:
    """What is known of a piece that is done; written last, as a manifest is.

    Attributes:
        key: Digest of what it was made with.
        first, last: Seconds of its first and last written frame; None without one.
        still_score: Of its still, see `still_score`.
        lead_in: The record of the last frame of the lead-in, None without one.
    """

    piece: Piece
    key: str
    outcome: Outcome
    outputs: Mapping[str, Path]
    counts: Counts
    first: float | None = None
    last: float | None = None
    still_score: float = 0.0
    lead_in: Mapping[str, Any] | None = None

    def write(self, path: Path) -> None:
        """Write it as JSON; raises `SinkError`."""
        outputs = {kind: output.name for kind, output in self.outputs.items()}
        content = {
            **{name: getattr(self, name) for name in ("key", "outcome", "first", "last")},
            "still_score": self.still_score,
            "lead_in": self.lead_in,
            "piece": _plain(self.piece),
            "counts": asdict(self.counts),
            "outputs": outputs,
        }
        write_file(path, orjson.dumps(content))


def read_piece(path: Path, piece: Piece, key: str) -> PieceRecord | None:
    """Read the record of a piece that is complete; None if it is not, or of other frames or key."""
    try:
        content = orjson.loads(path.read_bytes())
        if content.pop("piece") != _plain(piece) or content["key"] != key:
            return None
        counts = Counts(**content.pop("counts"))
        outputs = {kind: path.parent / name for kind, name in content.pop("outputs").items()}
        outcome = Outcome(content.pop("outcome"))
        found = PieceRecord(piece, outcome=outcome, counts=counts, outputs=outputs, **content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    complete = found.outcome is Outcome.DONE and all(p.exists() for p in outputs.values())
    return found if complete else None


def _plain(piece: Piece) -> dict[str, Any]:
    """Return a piece as JSON gives it back."""
    plain: dict[str, Any] = orjson.loads(orjson.dumps(asdict(piece)))
    return plain


def total(records: list[PieceRecord]) -> Counts:
    """Return the counts of pieces together."""
    sums: dict[str, Any] = {
        name: sum(getattr(record.counts, name) for record in records)
        for name in ("decoded", "explained", "corrupt", "without_map")
    }
    detections: dict[str, int] = {}
    for record in records:
        for label, count in record.counts.detections.items():
            detections[label] = detections.get(label, 0) + count
    return Counts(**sums, detections=detections)
