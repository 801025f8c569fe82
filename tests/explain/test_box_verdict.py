"""One box's numbers in words, beside those of random maps."""

import pytest

from streamcam.audit.faithfulness import Faithfulness
from streamcam.explain.box_verdict import Trust, compare_with_chance, in_words

CHANCE = [Faithfulness(0.30, 0.40, 0.0), Faithfulness(0.30, 0.50, 0.0), Faithfulness(0.3, 0.3, 0.0)]


@pytest.mark.parametrize(
    ("deletion", "insertion", "trust"),
    [
        (0.10, 0.60, Trust.BETTER),
        (0.30, 0.56, Trust.BETTER),
        (0.30, 0.54, Trust.UNDECIDED),
        (0.30, 0.26, Trust.UNDECIDED),
        (0.30, 0.24, Trust.WORSE),
        (0.60, 0.20, Trust.WORSE),
    ],
)
def test_a_map_must_beat_all_random_ones(deletion: float, insertion: float, trust: Trust) -> None:
    assert compare_with_chance(Faithfulness(deletion, insertion, 0.9), CHANCE) is trust


def test_the_words_name_the_numbers() -> None:
    good, bad = Faithfulness(0.1, 0.7, 0.4), Faithfulness(0.7, 0.1, -0.4)
    assert in_words("LayerCAM", good, CHANCE, peak_inside=True) == (
        "LayerCAM shows what this score depends on (0.60, random maps 0.10); its peak lies in the "
        "box."
    )
    assert in_words("Grad-CAM", bad, CHANCE, peak_inside=False) == (
        "Grad-CAM misleads here: a random map does better (-0.60, random maps 0.10); its peak lies "
        "outside of the box."
    )
    assert "cannot be told from a random map" in in_words("A", CHANCE[0], CHANCE, peak_inside=True)
