"""What would make two detectors agree: each gets changed pictures, the other one plain ones.

If B on plain pictures finds what A finds with red and blue swapped, the two read the channels in
another order. So a detector that was exported or loaded with a wrong preparation of its input is
told from one whose weights differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamcam.compare.box_matching import match_boxes
from streamcam.types import Detection, Frame, Picture

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

Found = Sequence[tuple[Detection, ...]]
"""The detections of each picture."""

_SOURCE = "streamcam probe"
_GREY = 114.0
"""What contrast is changed around: about the mean of photos."""

NOTABLE = 0.1
"""A gain of agreement from which a probe says something; on six frames less is chance."""

SIMILAR_ENOUGH = 0.95
"""Agreement from which there is nothing to explain."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A change of pictures.

    Attributes:
        meaning: What is done, as in "fed with ...".
        advice: What to check where it makes the detectors agree, as in "check ...".
    """

    meaning: str
    advice: str
    change: Callable[[Picture], Picture]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How far the detectors agree, 0..1, where A or B is fed with changed pictures."""

    name: str
    changed_a: float
    changed_b: float


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What came of the probes.

    Attributes:
        plain: How far they agree on the plain pictures: what boxes of the same class and place have
            in common of their confidence, 0..1.
        sure: The sums of confidence that A and B have on the plain pictures.
        results: For each probe; empty where the detectors agree on the plain pictures.
    """

    frames: int
    plain: float
    sure: tuple[float, float]
    results: Sequence[ProbeResult]

    @property
    def best(self) -> ProbeResult | None:
        """The probe that makes them agree most, None where none does notably."""
        best = max(self.results, key=lambda one: max(one.changed_a, one.changed_b), default=None)
        if best is None or max(best.changed_a, best.changed_b) < self.plain + NOTABLE:
            return None
        return best


def _brightness(factor: float) -> Callable[[Picture], Picture]:
    return lambda picture: _bytes(picture.astype(np.float32) * factor)


def _contrast(factor: float) -> Callable[[Picture], Picture]:
    return lambda picture: _bytes((picture.astype(np.float32) - _GREY) * factor + _GREY)


def _bytes(values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _swapped(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[..., ::-1])


def _grey(picture: Picture) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _halved(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    half = max(1, width // 2), max(1, height // 2)
    small = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
    whole = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.uint8)


# A factor and a shift of the input are the same as other weights and biases of the first layer.
_NORMALISATION = "the normalisation of the input (mean, deviation, range) and the first layer"

PROBES: Mapping[str, Probe] = {
    "swapped": Probe("red and blue swapped", "the order of the channels (RGB or BGR)", _swapped),
    "grey": Probe("pictures without colour", "the treatment of colour", _grey),
    "darker": Probe("half the brightness", _NORMALISATION, _brightness(0.5)),
    "brighter": Probe("one and a half times the brightness", _NORMALISATION, _brightness(1.5)),
    "pale": Probe("a quarter of the contrast", _NORMALISATION, _contrast(0.25)),
    "flat": Probe("half the contrast", _NORMALISATION, _contrast(0.5)),
    "harsh": Probe("twice the contrast", _NORMALISATION, _contrast(2.0)),
    "halved": Probe(
        "half the resolution",
        "the input size, the resizing and the first layer",
        _halved,
    ),
}


def run_probes(
    a: "Engine", b: "Engine", pictures: Sequence[Picture], step: Callable[[str], None]
) -> ProbeReport:
    """Feed changed pictures to each of two engines; `step` is called before each change.

    Nothing is changed where they agree anyway.
    """
    step("plain pictures")
    plain_a, plain_b = (_detect(engine, pictures) for engine in (a, b))
    plain = likeness(plain_a, plain_b)
    results = []
    for name, probe in PROBES.items() if plain < SIMILAR_ENOUGH else ():
        step(probe.meaning)
        changed = [probe.change(picture) for picture in pictures]
        results.append(
            ProbeResult(
                name,
                likeness(_detect(a, changed), plain_b),
                likeness(plain_a, _detect(b, changed)),
            )
        )
    sure_a, sure_b = (
        sum(one.confidence for found in plain_found for one in found)
        for plain_found in (plain_a, plain_b)
    )
    return ProbeReport(len(pictures), plain, (sure_a, sure_b), results)


def likeness(a: Found, b: Found) -> float:
    """What two detectors' boxes of pictures have in common of their confidence, 0..1.

    Boxes have the lower confidence in common if they match, else nothing (a soft Dice's
    coefficient); 1 where there are none.
    """
    shared, whole = 0.0, 0.0
    for one, other in zip(a, b, strict=True):
        pairs = match_boxes(one, other).both
        shared += 2 * sum(min(x.confidence, y.confidence) for x, y in pairs)
        whole += sum(each.confidence for each in (*one, *other))
    return shared / whole if whole else 1.0


def _detect(engine: "Engine", pictures: Sequence[Picture]) -> Found:
    """Detect in unrelated pictures, one by one: they may be large."""
    found = []
    for index, picture in enumerate(pictures):
        frame = Frame(_SOURCE, index, index, Fraction(1), float(index), picture)
        (result,) = engine.explain([replace(frame, discontinuity=True)])
        found.append(result.detections)
    engine.forget(_SOURCE)
    return found
