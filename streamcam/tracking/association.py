"""Numbers the detections of successive frames: those of one object have the same number.

Boxes are assigned to tracks so that all together fit best (global nearest neighbour; S. Blackman
and R. Popoli, Design and Analysis of Modern Tracking Systems, 1999), each as its track's motion
lets expect. There are libraries for this; none of those that can be installed beside
opencv-python-headless counts in seconds, which sampled frames need: see docs/architecture.md.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from streamcam.tracking.motion import Booleans, Floats, Integers, Motion

# A box that costs more than this is a new object: three standard deviations from where a well-known
# track is expected, or the place of a new one that has moved by its own length.
_NEW_OBJECT_COST = 18.0

# A track that was found once may be a false alarm, which must not take over the next object.
_UNCONFIRMED_SECONDS = 1.0

# At one frame a second or less, a track still has to survive the frame after.
_MIN_FRAMES = 1.5

# Detectors waver between classes such as car and truck. So much overlap with the place where a
# track is expected makes up for another class.
_OTHER_CLASS_OVERLAP = 0.6

_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The tracks of one frame.

    Attributes:
        found: int64, [boxes]: each box's track.
        ended: Tracks that ended, each with the time when it was last found.
    """

    found: Integers
    ended: tuple[tuple[int, float], ...] = ()


class Associator:
    """Gives the boxes of one source's frames, in their order, the numbers of their tracks.

    Numbers begin at 1 and are never given twice, also after `forget`.

    Args:
        lost_after: Seconds for which an object may be hidden and keep its number.
    """

    def __init__(self, lost_after: float) -> None:
        # Takes 0.2 s, and is needed with tracking only.
        from scipy.optimize import linear_sum_assignment

        self._solve = linear_sum_assignment
        self._lost_after = lost_after
        self._last_number = 0
        self._time: float | None = None
        self._clear()

    def _clear(self) -> None:
        self._motion = Motion.begin(np.zeros((0, 4)))
        self._numbers = self._class_ids = self._frames = _NOTHING
        self._seen = np.zeros(0)

    def forget(self) -> tuple[tuple[int, float], ...]:
        """End all tracks, and return them as `Numbers.ended`: what follows is unrelated."""
        ended = self._listed(np.ones(len(self._numbers), np.bool_))
        self._clear()
        self._time = None
        return ended

    def update(self, time: float, boxes: Floats, class_ids: Integers) -> Numbers:
        """Number the boxes of the next frame.

        Args:
            time: In seconds; does not fall.
            boxes: float64, [boxes, 4]: x1, y1, x2, y2 in pixels.
            class_ids: int64, [boxes].
        """
        step = 0.0 if self._time is None else max(0.0, time - self._time)
        self._time = time
        self._motion.advance(step)
        ended = self._end_lost(time, step)
        centres = _as_centres(boxes)
        found = np.zeros(len(boxes), np.int64)
        self._continue_tracks(found, time, step, centres, class_ids)
        self._begin_tracks(found, time, centres, class_ids)
        return Numbers(found, ended)

    def _end_lost(self, time: float, step: float) -> tuple[tuple[int, float], ...]:
        limit = np.where(self._frames > 1, self._lost_after, _UNCONFIRMED_SECONDS)
        lost = time - self._seen > np.maximum(limit, _MIN_FRAMES * step)
        ended = self._listed(lost)
        if ended:
            self._keep(~lost)
        return ended

    def _listed(self, tracks: Booleans) -> tuple[tuple[int, float], ...]:
        return tuple(zip(self._numbers[tracks].tolist(), self._seen[tracks].tolist(), strict=True))

    def _keep(self, tracks: Booleans) -> None:
        self._motion.keep(tracks)
        self._numbers, self._class_ids = self._numbers[tracks], self._class_ids[tracks]
        self._seen, self._frames = self._seen[tracks], self._frames[tracks]

    def _continue_tracks(
        self, found: Integers, time: float, step: float, centres: Floats, class_ids: Integers
    ) -> None:
        """Write the numbers of the tracks that go on into `found`."""
        if not len(found) or not len(self._numbers):
            return
        recent = time - self._seen <= _MIN_FRAMES * step
        costs, turns = self._motion.costs(centres, recent)
        same = self._class_ids[:, None] == class_ids[None]
        tracks, boxes = self._assign(np.where(same, costs, np.inf), _NEW_OBJECT_COST)
        left_tracks = np.setdiff1d(np.arange(len(self._numbers)), tracks)
        left_boxes = np.setdiff1d(np.arange(len(found)), boxes)
        if len(left_tracks) and len(left_boxes):
            overlaps = _overlaps(self._motion.place[left_tracks], centres[left_boxes])
            more_tracks, more_boxes = self._assign(-overlaps, -_OTHER_CLASS_OVERLAP)
            tracks = np.concatenate((tracks, left_tracks[more_tracks]))
            boxes = np.concatenate((boxes, left_boxes[more_boxes]))
        found[boxes] = self._numbers[tracks]
        self._motion.correct(tracks, centres[boxes], turns[tracks, boxes])
        self._class_ids[tracks] = class_ids[boxes]
        self._seen[tracks] = time
        self._frames[tracks] += 1

    def _assign(self, costs: Floats, limit: float) -> tuple[Integers, Integers]:
        """Assign columns to rows so that the sum is least; who costs more than `limit` has none."""
        rows, columns = self._solve(np.minimum(costs, limit))
        good = costs[rows, columns] < limit
        return cast("Integers", rows[good]), cast("Integers", columns[good])

    def _begin_tracks(
        self, found: Integers, time: float, centres: Floats, class_ids: Integers
    ) -> None:
        (new,) = np.nonzero(found == 0)
        if not len(new):
            return
        numbers = self._last_number + 1 + np.arange(len(new))
        self._last_number += len(new)
        found[new] = numbers
        self._motion.extend(Motion.begin(centres[new]))
        self._numbers = np.concatenate((self._numbers, numbers))
        self._class_ids = np.concatenate((self._class_ids, class_ids[new]))
        self._seen = np.concatenate((self._seen, np.full(len(new), time)))
        self._frames = np.concatenate((self._frames, np.ones(len(new), np.int64)))


def _as_centres(boxes: Floats) -> Floats:
    """Return boxes x1, y1, x2, y2 as centre x, y, width, height."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=1)


def _overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes as centre x, y, width, height: [len(a), len(b)]."""
    low = np.maximum(*((each[..., :2] - each[..., 2:] / 2) for each in (a[:, None], b[None])))
    high = np.minimum(*((each[..., :2] + each[..., 2:] / 2) for each in (a[:, None], b[None])))
    shared = (high - low).clip(0).prod(axis=2)
    areas = a[:, None, 2:].prod(axis=2) + b[None, :, 2:].prod(axis=2)
    return cast("Floats", shared / np.maximum(areas - shared, 1e-9))
