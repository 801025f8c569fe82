"""A comparison in words: what is said of figures whose meaning is known."""

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from streamcam.compare.box_matching import match_boxes
from streamcam.compare.comparer import ComparedSource, DetectorComparison
from streamcam.compare.conclusions import remarks, sentences
from streamcam.compare.figures import figures_of
from streamcam.compare.probes import ProbeReport, ProbeResult
from streamcam.compare.tally import Tally
from streamcam.compare.truth_scores import TruthScores, TruthTally
from streamcam.types import Detection, TrueObject
from tests.compare.made_results import detection, result

if TYPE_CHECKING:
    from streamcam.vision.engine_io import EngineDescription

PERSON = detection("person", 0.8, (0, 0, 60, 60), lift=3.0)
SMALL = detection("bird", 0.6, (70, 0, 85, 15))
BLURRED = detection("person", 0.6, (0, 0, 60, 60), lift=1.5)

CHANNELS = "(agreement 0.90 instead of 0.40): check the order of the channels (RGB or BGR) of B."

ENGINE = cast("EngineDescription", SimpleNamespace(method="eigencam"))


def comparison(
    a: list[Detection],
    b: list[Detection],
    *,
    frames: int = 60,
    flicker: tuple[float, float] = (0.02, 0.02),
    probes: ProbeReport | None = None,
    truth: TruthScores | None = None,
    same_maps: bool = True,
) -> DetectorComparison:
    """A comparison of frames that all are the same."""
    tally = Tally()
    heat = np.random.default_rng(0).random((8, 12), dtype=np.float32)
    other_heat = heat if same_maps else heat[::-1]
    for number in range(frames):
        first, second = flicker if number else (None, None)
        of_a = result(number / 5, a, heat, flicker=first)
        of_b = result(number / 5, b, other_heat, flicker=second)
        tally.add(of_a, of_b, match_boxes(a, b))
    return DetectorComparison(
        names=("fp32", "int8"),
        engines=(ENGINE, ENGINE),
        sources=[ComparedSource("clip.mp4", frames, None, None)],
        frames=tally.frames,
        figures=figures_of(tally),
        truth=truth,
        probes=probes,
        worst=[],
    )


def test_who_finds_more_of_what_is_said() -> None:
    first, second = sentences(comparison([PERSON], [PERSON, SMALL]))
    assert first == (
        "B finds 100% more boxes than A (120 against 60), mostly bird, mostly small ones (below "
        "32x32 pixels); 67% of the boxes are the same."
    )
    assert second == (
        "The maps of both lie on the objects equally well (lift 3.0 and 3.0), and flicker alike "
        "(0.020 and 0.020)."
    )


def test_ties_are_ties() -> None:
    same = comparison([PERSON], [PERSON])
    assert (
        sentences(same)[0]
        == "A and B find as many boxes (60 and 60); 100% of the boxes are the same."
    )
    assert remarks(same) == ["The maps are almost the same: they correlate at 1.00."]


@pytest.mark.parametrize(
    ("flicker", "words"),
    [
        (
            (0.02, 0.05),
            "and A's flicker less (0.020 and 0.050).",
        ),
        (
            (0.05, 0.02),
            "but B's flicker less (0.050 and 0.020).",
        ),
    ],
)
def test_whose_maps_are_better_is_said(flicker: tuple[float, float], words: str) -> None:
    compared = comparison([PERSON], [BLURRED], flicker=flicker)
    better = "A's maps lie better on the objects that both find (lift 3.0 and 1.5 of A and B)"
    assert sentences(compared)[1] == f"{better}, {words}"
    assert "A is surer of the objects that both find: mean confidence 0.80 and 0.60" in " ".join(
        remarks(compared)
    )


def test_who_finds_nothing_is_said() -> None:
    assert sentences(comparison([PERSON], []))[0] == "Only A finds anything: 60 boxes."
    assert sentences(comparison([], []))[0] == "Neither finds anything in 60 frames."


def test_few_frames_are_never_sure() -> None:
    assert "too few to be sure" in remarks(comparison([PERSON], [SMALL], frames=9))[-1]


def test_exchanged_class_names_are_said() -> None:
    renamed = detection("bicycle", 0.8, (0, 0, 60, 60))
    compared = comparison([PERSON], [renamed])
    (first, *_) = remarks(compared)
    assert "lie on the objects equally well" not in sentences(compared)[1]  # lift 3.0 and 2.0
    assert first.startswith("The class names differ: what A calls person is bicycle (100%) to B")


def test_other_boxes_of_the_same_feature_maps_are_said() -> None:
    probes = ProbeReport(6, 0.4, (9.0, 4.0), [ProbeResult("swapped", 0.4, 0.4)])
    words = "The feature maps are the same and the boxes are not"
    (first, *others) = remarks(comparison([PERSON], [SMALL], probes=probes))
    assert first.startswith(words)
    assert not any("No changed picture" in one for one in others)
    for agreed in (comparison([PERSON], [PERSON]), comparison([PERSON], [SMALL], same_maps=False)):
        assert not any(words in one for one in remarks(agreed))


def test_many_more_boxes_are_said_as_a_multiple() -> None:
    many = [detection("kite", 0.6, (x, 0, x + 9, 9)) for x in range(0, 90, 10)]
    found = sentences(comparison([PERSON], [PERSON, *many]))[0]
    assert found.startswith("B finds 10 times as many boxes as A (600 against 60), mostly kite")


def test_moved_boxes_are_said() -> None:
    moved = detection("person", 0.8, (6, 0, 66, 60))
    (first, *_) = remarks(comparison([PERSON], [moved]))
    assert first == (
        "B's boxes of the same objects lie or are, of their sides, 10% to the right. Check how "
        "pictures are resized and padded."
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            (0.5, 0.9),
            f"Fed with red and blue swapped, B finds more of what A finds {CHANNELS}",
        ),
        (
            (0.9, 0.5),
            f"B finds what A finds when A is fed with red and blue swapped {CHANNELS}",
        ),
        ((0.42, 0.3), "No changed picture makes them agree"),
    ],
)
def test_what_makes_them_agree_is_said(changed: tuple[float, float], words: str) -> None:
    probes = ProbeReport(6, 0.4, (9.0, 4.0), [ProbeResult("swapped", *changed)])
    compared = comparison([PERSON], [SMALL], probes=probes, same_maps=False)
    assert remarks(compared)[0].startswith(words)


def test_truth_comes_first() -> None:
    tally = TruthTally()
    truth = [TrueObject("person", 1, PERSON.box), TrueObject("bird", 16, SMALL.box)]
    for unit in range(12):
        tally.add(unit, truth, [PERSON], [PERSON, SMALL])
    scores = tally.scores(12)
    assert scores is not None
    compared = comparison([PERSON], [PERSON, SMALL], truth=scores)
    assert sentences(compared)[0] == (
        "Against the true boxes B is better (F1 0.67 and 1.00 of A and B): it finds 100% of them "
        "and is right in 100% of its own, A finds 50% of them and is right in 100% of its own."
    )
    assert "B finds 100% more boxes than A" in remarks(compared)[1]
    assert scores.unknown == Counter()
