"""Where two runs over the same sources disagree: boxes that only one of them has."""

from collections.abc import Sequence

import numpy as np

from streamcam.export.event_stills import is_camera
from streamcam.export.hardness import HardFrame, Labelled, box_of
from streamcam.overlaps import best_pairs, box_overlaps
from streamcam.report.results import FrameTable, Integers, ResultSource

# Records round times to a microsecond.
_TICKS_A_SECOND = 1_000_000


def counterpart(source: ResultSource, others: Sequence[ResultSource]) -> ResultSource | None:
    """Return another run's results of a source: those of the same content.

    Only manifests without a fingerprint, of earlier versions, are told by their place.
    """
    if source.manifest is None or is_camera(source):  # two recordings have other frames
        return None
    wanted = source.manifest.source
    known = [one for one in others if one.manifest is not None]
    same = [one for one in known if one.manifest and one.manifest.source.has_content_of(wanted)]
    if not same and wanted.fingerprint is None:
        same = [one for one in known if one.manifest and one.manifest.source.is_same_source(wanted)]
    return same[0] if same else None


def disagreements(table: FrameTable, other: FrameTable) -> list[HardFrame]:
    """Return the frames of a table in which another run found other boxes, the worst first.

    Two boxes are the same if their class is, and they overlap by a half (intersection over union);
    each has one partner at most, so that the sum of overlaps is the largest (the Hungarian method).
    A frame's score is the sum of the confidences of boxes without a partner, of both runs. Frames
    that only one of them explained are left out.
    """
    here, there = _frames_in_both(table, other)
    found = [
        hard
        for one, two in zip(here.tolist(), there.tolist(), strict=True)
        if (hard := _disagreement(table, one, other, two)) is not None
    ]
    return sorted(found, key=lambda one: -one.score)


def _frames_in_both(table: FrameTable, other: FrameTable) -> tuple[Integers, Integers]:
    one, two = (np.rint(each.time * _TICKS_A_SECOND) for each in (table, other))
    _, here, there = np.intersect1d(one, two, return_indices=True)
    return here, there


def _disagreement(
    table: FrameTable, frame: int, other: FrameTable, other_frame: int
) -> HardFrame | None:
    mine, theirs = _rows(table, frame), _rows(other, other_frame)
    paired = _partners(table, mine, other, theirs)
    lone = [row for place, row in enumerate(mine.tolist()) if place not in paired]
    missed = [row for place, row in enumerate(theirs.tolist()) if place not in paired.values()]
    if not lone and not missed:
        return None
    score = float(table.confidence[lone].sum() + other.confidence[missed].sum())
    boxes = [box_of(table, row) for row in lone]
    other_boxes = [box_of(other, row) for row in missed]
    text = "; ".join([*_named("only here", boxes), *_named("only there", other_boxes)])
    return HardFrame(frame, score, [*boxes, *other_boxes], text)


def _rows(table: FrameTable, frame: int) -> Integers:
    first, last = np.searchsorted(table.frame_of, [frame, frame + 1])
    return np.arange(first, last)


def _partners(
    table: FrameTable, mine: Integers, other: FrameTable, theirs: Integers
) -> dict[int, int]:
    """The place of each box's partner, by the box's own place in its frame."""
    labels = [other.labels[label] for label in other.label[theirs]]
    same = [[table.labels[table.label[row]] == one for one in labels] for row in mine]
    shared = box_overlaps(table.box[mine], other.box[theirs])
    return dict(best_pairs(shared * np.reshape(same, shared.shape)))


def _named(where: str, boxes: Sequence[Labelled]) -> list[str]:
    return [f"{where}: {', '.join(label for label, _ in boxes)}"] if boxes else []
