"""How consistently tracks number the objects of the drawn street, and what that costs.

    python -m benchmarks.tracking
    python -m benchmarks.tracking --detector nano --seeds 11 12 --rates 1 5

The boxes are the true ones with noise and misses, or a detector's. For each rate of frames, even
and uneven (each frame up to 40 % of an interval early or late, a tenth of them dropped):

IDF1      the share of boxes that have the right number, when each number stands for the object that
          suits it best over the whole clip (Ristani et al. 2016, https://arxiv.org/abs/1609.01775)
possible  IDF1 with perfect numbers: what misses and false boxes leave
switches  how often an object got another number than before
ms        processor time of the tracker for a frame
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from streamcam import Explainer
from streamcam.demo import DemoScene
from streamcam.tracking.tracker import Tracker
from streamcam.types import Box, Detection, Explanation, Focus, Frame, FrameResult, TrueObject

SIZE = (768, 432)
RATE = 30
"""Frames a second of the street; other rates are divisors of it and of each other."""
OVERLAP = 0.5
"""Intersection over union from which a box is of an object."""

PICTURE = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
FOCUS = Focus(0.5, 2.0, peak_inside=True)
EXPLANATION = Explanation("eigencam", np.zeros((4, 6), np.float32), 0.9, 0.1, (1.0, 1.0))

Truth = Sequence[TrueObject]
Found = Sequence[Detection]


@dataclass(slots=True)
class Clip:
    """Frames with what is in them and what was found: times in seconds."""

    times: list[float]
    truth: list[Truth]
    found: list[Found]


def main() -> None:
    options = _options()
    detect = _detector(options) if options.detector else _noisy(options)
    clips = {seed: list(_frames(seed, options, detect)) for seed in options.seeds}
    print(f"{'frames a second':18} {'IDF1':>6} {'possible':>9} {'switches':>9} {'ms':>6}")
    for rate in options.rates:
        for uneven in (False, True):
            chosen = [
                _chosen(
                    frames,
                    max(options.rates) // rate,
                    np.random.default_rng(seed) if uneven else None,
                )
                for seed, frames in clips.items()
            ]
            print(f"{rate:2} {'uneven' if uneven else '':15}", *_measured(chosen, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[11, 12, 13, 14, 15, 16])
    parser.add_argument("--rates", type=int, nargs="*", default=[1, 5, 15])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--noise", type=float, default=0.04, help="of edges, in sides (deviation)")
    parser.add_argument("--misses", type=float, default=0.1, help="share of boxes left out")
    parser.add_argument("--lost-after", type=float, default=3.0)
    parser.add_argument("--detector", help="boxes of this model instead")
    return parser.parse_args()


def _frames(
    seed: int, options: argparse.Namespace, detect: Callable[[DemoScene, float, Truth], Found]
) -> Iterator[tuple[float, Truth, Found]]:
    street = DemoScene(seed, *SIZE)
    for index in range(0, options.seconds * RATE, RATE // max(options.rates)):
        truth = street.truth(index / RATE)
        yield index / RATE, truth, detect(street, index / RATE, truth)


def _noisy(options: argparse.Namespace) -> Callable[[DemoScene, float, Truth], Found]:
    random = np.random.default_rng(0)

    def disturbed(true: TrueObject) -> Detection:
        x1, y1, x2, y2 = true.box
        sides = np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
        left, top, right, bottom = np.array(true.box) + random.normal(0, options.noise, 4) * sides
        return Detection(true.label, true.class_id, 0.8, (left, top, right, bottom), FOCUS)

    return lambda _street, _time, truth: [
        disturbed(true) for true in truth if random.random() >= options.misses
    ]


def _detector(options: argparse.Namespace) -> Callable[[DemoScene, float, Truth], Found]:
    explainer = Explainer(options.detector)
    return lambda street, time, _: explainer(street.picture(time)).detections


def _chosen(
    frames: Sequence[tuple[float, Truth, Found]], step: int, random: np.random.Generator | None
) -> Clip:
    """Return every frame after a step, or one near it; random ones are left out then."""
    places = np.arange(0, len(frames), step)
    if random is not None:
        moved = places + np.round(random.uniform(-0.4, 0.4, len(places)) * step).astype(int)
        kept = moved.clip(0, len(frames) - 1)[random.random(len(places)) > 0.1]
        places = np.unique(kept)
    times, truth, found = zip(*(frames[int(place)] for place in places), strict=True)
    return Clip(list(times), list(truth), list(found))


def _measured(clips: Sequence[Clip], options: argparse.Namespace) -> tuple[str, ...]:
    scores, ceilings, switches, spent, frames = [], [], 0, 0.0, 0
    for clip in clips:
        tracker = Tracker(options.lost_after)
        results = [_result(*each) for each in zip(clip.times, clip.found, strict=True)]
        begun = time.process_time()
        tracked = [tracker.apply(result) for result in results]
        spent += time.process_time() - begun
        frames += len(results)
        numbers = [[d.track_id for d in result.detections] for result in tracked]
        owners = [_owners(*each) for each in zip(clip.truth, clip.found, strict=True)]
        scores.append(_idf1(clip, owners, numbers))
        ceilings.append(_idf1(clip, owners, owners))
        switches += _switches(owners, numbers)
    means = f"{np.mean(scores):6.3f}", f"{np.mean(ceilings):9.3f}"
    return *means, f"{switches:9}", f"{1000 * spent / frames:6.2f}"


def _result(time: float, found: Found) -> FrameResult:
    index = round(time * RATE)
    frame = Frame("street", index, index, Fraction(1, RATE), time, PICTURE)
    return FrameResult(frame, tuple(found), EXPLANATION)


def _owners(truth: Truth, found: Found) -> list[str | None]:
    """Return the object that each box is of, None for a false one."""
    owners: list[str | None] = [None] * len(found)
    if truth and found:
        fits = np.array([[_fit(true, each) for each in found] for true in truth])
        for row, column in zip(*linear_sum_assignment(-fits), strict=True):
            if fits[row, column] >= OVERLAP:
                owners[column] = truth[row].identity
    return owners


def _fit(true: TrueObject, found: Detection) -> float:
    return _overlap(true.box, found.box) if true.label == found.label else 0.0


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _idf1(
    clip: Clip, owners: Sequence[Sequence[str | None]], numbers: Sequence[Sequence[object]]
) -> float:
    together: Counter[tuple[str, object]] = Counter()
    for own, given in zip(owners, numbers, strict=True):
        together.update((o, n) for o, n in zip(own, given, strict=True) if o is not None)
    objects = sorted({name for name, _ in together})
    tracks = sorted({number for _, number in together}, key=str)
    counts: npt.NDArray[np.int64] = np.array(
        [[together[name, number] for number in tracks] for name in objects]
    )
    right = counts[linear_sum_assignment(-counts)].sum()
    return float(2 * right / (sum(map(len, clip.truth)) + sum(map(len, clip.found))))


def _switches(owners: Sequence[Sequence[str | None]], numbers: Sequence[Sequence[object]]) -> int:
    last: dict[str, object] = {}
    switches = 0
    for own, given in zip(owners, numbers, strict=True):
        for owner, number in zip(own, given, strict=True):
            if owner is not None:
                switches += last.get(owner, number) != number
                last[owner] = number
    return switches


if __name__ == "__main__":
    main()
