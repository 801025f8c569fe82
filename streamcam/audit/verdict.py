"""What an audit comes to: which method to use, which not to trust, and how sure that is.

A map is faithful to a box if the box's score falls at once where what the map shows is covered, and
rises at once where it is uncovered: insertion less deletion, -1..1, for each box. Methods are
compared on the same boxes. Boxes of a frame are not independent, so the intervals are those of a
bootstrap over frames.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamcam.audit.bootstrap import LEAST_UNITS, Bootstrap, Interval, interval
from streamcam.audit.scores import BASELINES
from streamcam.cam_methods import method_label

RANDOM = "random"

LEAST_FRAMES = LEAST_UNITS
MOST_FRAMES = 10
"""An audit that may choose ends here, whatever it found."""

SMALL_DIFFERENCE = 0.05
"""Differences of less do not matter: half an interval of this width is narrow enough."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit comes to.

    Attributes:
        scores: The faithfulness of each method and baseline.
        best: The method to use; None if none is better than a random map.
        ties: Methods that cannot be told from the best.
        undecided: Methods that cannot be told from a random map.
        worse: Methods that do worse than a random map.
        insane: Methods whose maps hardly depend on what the network has learnt.
        boxes, frames: What it was made from.
        decided: Whether more frames would hardly change it.
    """

    scores: Mapping[str, Interval]
    best: str | None
    ties: Sequence[str]
    undecided: Sequence[str]
    worse: Sequence[str]
    insane: Sequence[str]
    boxes: int
    frames: int
    decided: bool


def judge(
    faithfulness: Mapping[str, Sequence[float]],
    frame_of: Sequence[int],
    insane: Collection[str] = (),
    seed: int = 0,
) -> Verdict:
    """Compare methods by what was measured.

    Args:
        faithfulness: For each method and baseline, and each box, insertion less deletion.
        frame_of: The frame of each box.
        insane: Methods that failed the sanity check: they are not recommended.
        seed: Of the bootstrap.
    """
    means = _BoxMeans(frame_of, seed)
    scores = {name: means.interval(values) for name, values in faithfulness.items()}
    methods = [name for name in faithfulness if name not in BASELINES]
    gains = {name: means.difference(faithfulness, name, RANDOM) for name in methods}
    useful = [name for name in methods if gains[name].low > 0 and name not in insane]
    best = max(useful, key=lambda name: scores[name].mean, default=None)
    behind = {
        name: means.difference(faithfulness, best, name)
        for name in useful
        if best is not None and name != best
    }
    open_questions = [gain for gain in gains.values() if gain.low <= 0 <= gain.high]
    open_questions += [gap for gap in behind.values() if gap.low <= 0]
    enough = means.frames >= LEAST_FRAMES
    return Verdict(
        scores=scores,
        best=best,
        ties=[name for name, gap in behind.items() if gap.low <= 0],
        undecided=[name for name, gain in gains.items() if gain.low <= 0 <= gain.high],
        worse=[name for name, gain in gains.items() if gain.high < 0],
        insane=[name for name in methods if name in insane],
        boxes=len(frame_of),
        frames=means.frames,
        decided=enough and all(one.half_width <= SMALL_DIFFERENCE for one in open_questions),
    )


class _BoxMeans:
    """Means over boxes, for many draws of frames with replacement."""

    def __init__(self, frame_of: Sequence[int], seed: int) -> None:
        self._frame_of = np.unique(frame_of, return_inverse=True)[1]
        self.frames = int(self._frame_of.max()) + 1
        self._bootstrap = Bootstrap(self.frames, seed)

    def interval(self, values: "Sequence[float] | npt.NDArray[np.float64]") -> Interval:
        columns = [np.bincount(self._frame_of, weights=values), np.bincount(self._frame_of)]
        sums, counts = self._bootstrap.sums(np.stack(columns, axis=1)).T
        return interval(float(np.mean(values)), sums / counts)

    def difference(self, values: Mapping[str, Sequence[float]], one: str, other: str) -> Interval:
        """The interval of the difference of two methods on the same boxes."""
        return self.interval(np.subtract(values[one], values[other]))


def sentences(verdict: Verdict) -> list[str]:
    """Return the verdict in plain words, what must not be missed first."""
    chance = verdict.scores[RANDOM].mean
    found = [
        f"Do not trust {_title(name)} here: it does worse than a random map "
        f"({verdict.scores[name].mean:.2f} against {chance:.2f})."
        for name in verdict.worse
    ]
    found.append(_recommendation(verdict, chance))
    if verdict.undecided:
        names = _listed(verdict.undecided)
        found.append(f"Not to be told from a random map: {names}.")
    if verdict.insane:
        names = _listed(verdict.insane)
        found.append(f"Not to be trusted, whatever they score: {names} (sanity check).")
    return [*found, _certainty(verdict)]


def _recommendation(verdict: Verdict, chance: float) -> str:
    if verdict.best is None:
        return (
            "No method that can be trusted does better than a random map on this footage: its "
            "maps do not tell what the boxes' scores depend on."
        )
    score = verdict.scores[verdict.best]
    text = (
        f"Use {_title(verdict.best)}: its maps show best what the boxes' scores depend on "
        f"({score.mean:.2f}, between {score.low:.2f} and {score.high:.2f}; a random map "
        f"{chance:.2f}, a perfect one close to 1)."
    )
    if verdict.ties:
        text += f" As good, as far as can be told: {_listed(verdict.ties)}."
    return text


def _certainty(verdict: Verdict) -> str:
    what = f"{verdict.boxes} boxes in {verdict.frames} frames"
    if verdict.frames < LEAST_FRAMES:
        return f"From {what} only: too few to be sure; --frames {LEAST_FRAMES} or more."
    if verdict.decided:
        return f"From {what}, with a certainty of 95 %; more would hardly change it."
    return (
        f"From {what}, with a certainty of 95 %; what is not told apart may be by more: "
        f"--frames {2 * verdict.frames}."
    )


def _listed(names: Sequence[str]) -> str:
    titles = [_title(name) for name in names]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _title(name: str) -> str:
    return BASELINES.get(name, method_label(name))


def spread_order(count: int) -> list[int]:
    """Return 0 to count - 1 so that any first few are spread evenly over all.

    The order is that of the van der Corput sequence.
    """
    bits = max(1, (count - 1).bit_length())
    places = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [place for place in places if place < count]
