"""Which boxes of two detectors are the same object, in one frame.

Boxes are paired as `best_pairs` does, first those of the same class, then what is left of them
whatever their class. Classes are the same if their names are: models count them differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamcam.overlaps import best_pairs, box_overlaps
from streamcam.types import Detection

DetectionPair = tuple[Detection, Detection]
"""A's detection and B's of the same object."""


class FoundBy(StrEnum):
    """Which of the two detectors found an object."""

    BOTH = "both"
    OTHER_CLASS = "other class"
    ONLY_A = "only A"
    ONLY_B = "only B"


@dataclass(frozen=True, slots=True)
class MatchedBoxes:
    """The boxes of one frame.

    Attributes:
        both: Pairs of the same class.
        other_class: Pairs in the same place, of different classes.
        only_a, only_b: Boxes without a counterpart.
    """

    both: Sequence[DetectionPair] = ()
    other_class: Sequence[DetectionPair] = ()
    only_a: Sequence[Detection] = ()
    only_b: Sequence[Detection] = ()

    @property
    def agreement(self) -> float:
        """Share of all boxes that both have, 0..1 (Dice's coefficient); 1 where there are none."""
        differing = 2 * len(self.other_class) + len(self.only_a) + len(self.only_b)
        boxes = 2 * len(self.both) + differing
        return 2 * len(self.both) / boxes if boxes else 1.0

    @property
    def disagreement(self) -> float:
        """The sum of the differing boxes' confidences; of a pair the higher one."""
        pairs = (max(a.confidence, b.confidence) for a, b in self.other_class)
        return sum(pairs) + sum(one.confidence for one in (*self.only_a, *self.only_b))

    def of_a(self) -> list[tuple[Detection, FoundBy]]:
        """A's boxes with what they are, in no particular order."""
        return self._side(0, self.only_a, FoundBy.ONLY_A)

    def of_b(self) -> list[tuple[Detection, FoundBy]]:
        return self._side(1, self.only_b, FoundBy.ONLY_B)

    def _side(
        self, side: int, alone: Sequence[Detection], found_by: FoundBy
    ) -> list[tuple[Detection, FoundBy]]:
        return [
            *((pair[side], FoundBy.BOTH) for pair in self.both),
            *((pair[side], FoundBy.OTHER_CLASS) for pair in self.other_class),
            *((one, found_by) for one in alone),
        ]


def match_boxes(a: Sequence[Detection], b: Sequence[Detection]) -> MatchedBoxes:
    """Pair the boxes of two detectors in one frame."""
    overlaps = box_overlaps([one.box for one in a], [one.box for one in b])
    same = np.array(
        [[one.label.casefold() == other.label.casefold() for other in b] for one in a], np.bool_
    ).reshape(overlaps.shape)
    both = best_pairs(np.where(same, overlaps, 0))
    left = overlaps.copy()
    left[[i for i, _ in both], :] = 0
    left[:, [j for _, j in both]] = 0
    other_class = best_pairs(left)
    pairs = [*both, *other_class]
    paired_a, paired_b = {i for i, _ in pairs}, {j for _, j in pairs}
    return MatchedBoxes(
        both=[(a[i], b[j]) for i, j in both],
        other_class=[(a[i], b[j]) for i, j in other_class],
        only_a=[one for i, one in enumerate(a) if i not in paired_a],
        only_b=[one for j, one in enumerate(b) if j not in paired_b],
    )
