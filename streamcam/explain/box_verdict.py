"""What the audit's numbers of one box come to, in words.

One box is not enough for a statistical test, so a map is compared with random maps of the same box:
only one that is clearly better or worse than all of them is called so.
"""

from collections.abc import Sequence
from enum import StrEnum

from streamcam.audit.faithfulness import Faithfulness
from streamcam.audit.verdict import SMALL_DIFFERENCE

RANDOM_MAPS = 3
"""How many a map is compared with."""


class Trust(StrEnum):
    """How a map of a box compares with random ones."""

    BETTER = "better"
    UNDECIDED = "undecided"
    WORSE = "worse"


def faithfulness_of(measured: Faithfulness) -> float:
    """Insertion less deletion, -1..1, as the audit compares methods."""
    return measured.insertion - measured.deletion


def compare_with_chance(measured: Faithfulness, chance: Sequence[Faithfulness]) -> Trust:
    """Tell whether a map is better or worse than all random ones, by more than does not matter."""
    own, others = faithfulness_of(measured), [faithfulness_of(one) for one in chance]
    if own > max(others) + SMALL_DIFFERENCE:
        return Trust.BETTER
    if own < min(others) - SMALL_DIFFERENCE:
        return Trust.WORSE
    return Trust.UNDECIDED


def in_words(
    label: str, measured: Faithfulness, chance: Sequence[Faithfulness], *, peak_inside: bool
) -> str:
    """Return what is to be thought of the map that the method of a label made of a box."""
    own = faithfulness_of(measured)
    mean = sum(map(faithfulness_of, chance)) / len(chance)
    compared = f"{own:.2f}, random maps {mean:.2f}"
    peak = "in the box" if peak_inside else "outside of the box"
    match compare_with_chance(measured, chance):
        case Trust.BETTER:
            found = f"{label} shows what this score depends on ({compared})"
        case Trust.WORSE:
            found = f"{label} misleads here: a random map does better ({compared})"
        case Trust.UNDECIDED:
            found = f"{label} cannot be told from a random map here ({compared})"
    return f"{found}; its peak lies {peak}."
