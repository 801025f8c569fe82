"""The hardest frames of results: ranked over all sources, without repetitions."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

import cv2
import numpy as np

from streamcam.errors import SourceError
from streamcam.escapes import printable
from streamcam.export.dataset_folder import DatasetFolder
from streamcam.export.disagreement import counterpart, disagreements
from streamcam.export.event_stills import event_stills, is_camera
from streamcam.export.exported_frame import ExportedFrame, Reason
from streamcam.export.exporter import ExportSummary, Progress, chosen_records, written
from streamcam.export.hardness import Criterion, HardFrame, Labelled, hard_frames
from streamcam.overlaps import SAME_PLACE, box_overlaps
from streamcam.report.results import FrameTable, ResultSource, load
from streamcam.types import Picture

ALIKE = 10
"""Bits of 64 in which hashes of one look differ at the most. In eight real clips, frames a second
apart differ in 5 bits at the median and three of four in at most 10; frames of two clips in 33, and
in no fewer than 12."""

_FEWEST_KEPT = 0.1
"""Share of a round's frames that the next round expects to keep, at the least."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hard frame and where its record is: the place in its clip's records, from 0."""

    source: ResultSource
    clip: int
    place: int
    hard: HardFrame


@dataclass(slots=True)
class Ranking:
    """Hard frames of all sources, none near in time to a harder one of its source.

    Attributes:
        near: The scores of those that were left out since they are.
        failed: Why a source could not be judged, by its name.
    """

    candidates: list[Candidate] = field(default_factory=list)
    near: list[float] = field(default_factory=list)
    failed: dict[str, SourceError] = field(default_factory=dict)

    def add(
        self, source: ResultSource, table: FrameTable, ranked: Iterable[HardFrame], gap: float
    ) -> None:
        """Add a source's hard frames, which come hardest first, at least `gap` seconds apart."""
        times: dict[int, list[float]] = {}
        starts = np.searchsorted(table.clip, np.arange(len(source.clips)))
        for one in ranked:
            clip, time = int(table.clip[one.row]), float(table.time[one.row])
            taken = times.setdefault(clip, [])
            if gap > 0 and _is_near(taken, time, gap):
                self.near.append(one.score)
                continue
            insort(taken, time)
            self.candidates.append(Candidate(source, clip, one.row - int(starts[clip]), one))

    def hardest_first(self) -> list[Candidate]:
        return sorted(self.candidates, key=lambda one: -one.hard.score)


def rank(
    sources: Sequence[ResultSource],
    criterion: Criterion,
    *,
    gap: float,
    others: Sequence[ResultSource],
    progress: Progress,
) -> Ranking:
    """Rank the frames of all sources by how hard they are.

    Args:
        sources: Results to judge.
        criterion: What makes a frame hard.
        gap: Seconds between two frames of a source, at the least; 0 for none.
        others: Another run's results, for `Criterion.DISAGREEMENT`.
        progress: Called before each source.
    """
    ranking = Ranking()
    for done, source in enumerate(sources):
        progress(source.name, done, len(sources))
        table = load(source)
        try:
            hard = _judged(source, table, criterion, others)
        except SourceError as error:
            ranking.failed[source.name] = error
            continue
        ranking.add(source, table, hard, gap)
    return ranking


@dataclass(frozen=True, slots=True)
class _Staged:
    """A candidate whose picture is written, and may be taken away again."""

    frame: ExportedFrame
    look: int


def export_hardest(
    ranking: Ranking,
    criterion: Criterion,
    dataset: DatasetFolder,
    *,
    top: int,
    distance: int,
    progress: Progress,
) -> ExportSummary:
    """Export the hardest frames, hardest first, leaving out those that look like a harder one.

    Two frames look alike if their hashes differ in few bits, and the boxes that make the one hard
    are in the other as well: the same class in the same place. So a parked car counts once, and
    a person who walks through the same street several times.

    Args:
        ranking: The frames to choose from.
        criterion: What they are ranked by.
        dataset: Where they are written.
        top: How many at the most.
        distance: Bits of 64 up to which hashes are alike, see `look_of`; -1 keeps all.
        progress: Called before pictures are read.
    """
    summary = ExportSummary(failed=dict(ranking.failed))
    waiting = ranking.hardest_first()
    chosen: list[tuple[_Staged, Candidate]] = []
    size = top
    while waiting and summary.frames < top:
        batch, waiting = waiting[:size], waiting[size:]
        before = summary.frames
        staged = _stage(batch, criterion, dataset, summary, progress)
        for place, candidate in enumerate(batch):
            one = staged.get(place)
            if one is None:
                continue
            alike = _is_alike(one.look, candidate.hard.boxes, chosen, distance)
            if alike or summary.frames == top:
                summary.alike += alike
                dataset.remove(one.frame)
                continue
            dataset.add(one.frame)
            summary.count(one.frame)
            chosen.append((one, candidate))
        kept = (summary.frames - before) / len(batch)
        size = ceil((top - summary.frames) / max(kept, _FEWEST_KEPT))
    last = chosen[-1][1].hard.score if summary.frames == top else 0.0
    summary.near = sum(score >= last for score in ranking.near)
    return summary


def look_of(picture: Picture) -> int:
    """Return a hash of how a picture looks, 64 bits: the difference hash (dHash).

    A bit tells whether a cell of an 8x8 grid is brighter than its neighbour to the left; pictures
    that are scaled, compressed or somewhat brighter keep theirs. N. Krawetz, "Kind of Like That",
    2013.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes())


def _stage(
    batch: Sequence[Candidate],
    criterion: Criterion,
    dataset: DatasetFolder,
    summary: ExportSummary,
    progress: Progress,
) -> dict[int, _Staged]:
    """Write the pictures of candidates; by their place in the batch, without those that failed."""
    clips: dict[tuple[str, int], list[int]] = {}
    for place, one in enumerate(batch):
        clips.setdefault((one.source.name, one.clip), []).append(place)
    staged: dict[int, _Staged] = {}
    for done, ((name, clip), places) in enumerate(clips.items()):
        progress(name, done, len(clips))
        source = batch[places[0]].source
        records = chosen_records(source.clips[clip], [batch[place].place for place in places])
        by_frame = {int(records[batch[place].place]["frame"]): place for place in places}
        reasons = {frame: _reason(batch[place], criterion) for frame, place in by_frame.items()}
        for frame, picture in written(source, [*records.values()], dataset, summary, reasons):
            staged[by_frame[int(frame.record["frame"])]] = _Staged(frame, look_of(picture))
    return staged


def _judged(
    source: ResultSource,
    table: FrameTable,
    criterion: Criterion,
    others: Sequence[ResultSource],
) -> list[HardFrame]:
    """The hard frames of a source, those of which a picture is kept; raises `SourceError`."""
    if criterion is Criterion.DISAGREEMENT:
        other = counterpart(source, others)
        if other is None:
            raise SourceError(
                f"{printable(source.name)}: the other run has no results of it",
                hint="Frames are compared where both runs explained the same content.",
            )
        return disagreements(table, load(other))
    hard = hard_frames(table, criterion, _minimum_confidence(source))
    if not is_camera(source):
        return hard
    moments = np.rint(table.utc * 1000)
    kept = event_stills(source)
    return [one for one in hard if int(moments[one.row]) in kept]


def _minimum_confidence(source: ResultSource) -> float | None:
    settings = {} if source.manifest is None else source.manifest.content["settings"]
    minimum: float | None = settings.get("model", {}).get("confidence")
    return minimum


def _reason(candidate: Candidate, criterion: Criterion) -> Reason:
    return Reason(criterion.value, candidate.hard.score, candidate.hard.text)


def _is_near(times: Sequence[float], time: float, gap: float) -> bool:
    """Whether one of some ascending times is less than `gap` away."""
    at = bisect_left(times, time)
    return any(abs(time - other) < gap for other in times[max(0, at - 1) : at + 1])


def _is_alike(
    look: int,
    boxes: Sequence[Labelled],
    chosen: Sequence[tuple[_Staged, Candidate]],
    distance: int,
) -> bool:
    return any(
        (look ^ other.look).bit_count() <= distance and _has_all(candidate.hard.boxes, boxes)
        for other, candidate in chosen
    )


def _has_all(there: Sequence[Labelled], boxes: Sequence[Labelled]) -> bool:
    """Whether each of some boxes is among others: the same class in the same place."""
    if not boxes or not there:
        return not boxes
    shared = box_overlaps([box for _, box in boxes], [box for _, box in there])
    same = np.array([[label == other for other, _ in there] for label, _ in boxes])
    return bool(((shared >= SAME_PLACE) & same).any(axis=1).all())
