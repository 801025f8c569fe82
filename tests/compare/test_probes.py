"""What makes two detectors agree: found with detectors whose difference is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from streamcam.compare.probes import PROBES, ProbeReport, likeness, run_probes
from streamcam.types import Detection, Frame, FrameResult, Picture
from tests.compare.made_results import detection, result

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

SQUARES = [(4, 4, 24, 24), (34, 4, 54, 24), (64, 4, 84, 24), (4, 34, 24, 54), (34, 34, 54, 54)]


class RedSquares:
    """Finds squares that are red and bright: a detector that depends on colour and level.

    Args:
        prepare: What it does to a picture first.
    """

    def __init__(self, prepare: Callable[[Picture], Picture] = lambda picture: picture) -> None:
        self._prepare = prepare
        self.forgotten: list[str] = []

    def explain(self, frames: Sequence[Frame]) -> list[FrameResult]:
        return [
            replace(result(frame.time, self._find(frame.picture)), frame=frame) for frame in frames
        ]

    def forget(self, source: str) -> None:
        self.forgotten.append(source)

    def _find(self, picture: Picture) -> list[Detection]:
        seen = self._prepare(picture).astype(float)
        found = []
        for x1, y1, x2, y2 in SQUARES:
            red, _, blue = seen[y1:y2, x1:x2].mean(axis=(0, 1))
            confidence = float(np.clip((red - blue) / 200, 0, 1))
            if confidence > 0.3:
                found.append(detection("square", confidence, (x1, y1, x2, y2)))
        return found


def picture(reds: Sequence[int], blues: Sequence[int]) -> Picture:
    """A grey picture with a square of each red and each blue level."""
    made = np.full((64, 96, 3), 90, np.uint8)
    colours = [(level, 20, 0) for level in reds] + [(0, 20, level) for level in blues]
    for (x1, y1, x2, y2), colour in zip(SQUARES, colours, strict=False):
        made[y1:y2, x1:x2] = colour
    return made


PICTURES = [picture([180, 120], [200]), picture([200, 150, 90], [140]), picture([110], [70])]


def probed(a: RedSquares, b: RedSquares) -> ProbeReport:
    return run_probes(cast("Engine", a), cast("Engine", b), PICTURES, lambda _: None)


def test_swapped_channels_are_found() -> None:
    right = RedSquares()
    report = probed(right, RedSquares(PROBES["swapped"].change))
    assert report.plain == 0
    assert report.best is not None
    assert report.best.name == "swapped"
    assert (report.best.changed_a, report.best.changed_b) == (1, 1)
    assert report.sure[0] > report.sure[1]
    assert len(right.forgotten) == 1 + len(PROBES)


@pytest.mark.parametrize("name", ["darker", "flat", "grey"])
def test_a_change_of_the_input_is_found_by_changing_the_other_one_alike(name: str) -> None:
    report = probed(RedSquares(), RedSquares(PROBES[name].change))
    found = {one.name: one for one in report.results}
    assert found[name].changed_a == 1
    assert report.plain < 0.9


def test_what_agrees_is_not_probed() -> None:
    report = probed(RedSquares(), RedSquares())
    assert report.plain == 1
    assert report.results == []
    assert report.best is None


def test_likeness_weighs_confidence() -> None:
    a = detection("dog", 0.9, (0, 0, 10, 10))
    b = detection("dog", 0.6, (0, 0, 10, 10))
    other = detection("cat", 0.6, (0, 0, 10, 10))
    assert likeness([(a,)], [(b,)]) == pytest.approx(2 * 0.6 / 1.5)
    assert likeness([(a,)], [(other,)]) == 0
    assert likeness([()], [()]) == 1


@pytest.mark.parametrize("name", PROBES)
def test_changes_keep_size_and_type(name: str) -> None:
    changed = PROBES[name].change(PICTURES[0])
    assert changed.shape == PICTURES[0].shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, PICTURES[0])
