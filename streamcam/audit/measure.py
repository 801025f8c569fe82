"""Measures every method on a user's own frames, beside baselines."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from streamcam.audit.baselines import BASELINES
from streamcam.audit.faithfulness import Bench, Faithfulness
from streamcam.audit.gradcam_comparison import Comparison, PublishedEigenCam, compare
from streamcam.audit.method_maps import Maps, MethodInputs
from streamcam.audit.samples import Sample, TrueBox
from streamcam.audit.sanity import SIMILAR, shuffled, similarity
from streamcam.audit.scores import (
    AuditReport,
    Example,
    Scores,
    Visibility,
)
from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.errors import SourceError
from streamcam.types import Detection, Frame, FrameResult, HeatMap
from streamcam.vision.cam.focus import measure_focus
from streamcam.vision.engine import Engine
from streamcam.vision.methods.targets import MIN_OVERLAP, BoxTarget, overlap

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many steps are done, and how many there are."""

# Shuffled networks see the whole picture anew for every method: two frames show what there is.
_SANITY_FRAMES = 2

# A box is seen in a frame's map where it holds this share of the map's maximum: below it the
# colours of a heat map are those of the background.
_SEEN = 0.25

_EXAMPLES = 2


class Audit:
    """Measures methods. For one thread; run once.

    Args:
        engine: One that makes EigenCAM's maps.
        methods: Which methods; the baselines are always measured beside them.
        top: So many boxes of a frame are explained, the most confident.
        seed: Of all that is random.
        progress: Is told how far it is.
    """

    def __init__(
        self,
        engine: Engine,
        methods: Sequence[str],
        *,
        top: int = 2,
        seed: int = 0,
        progress: Progress = lambda _what, _done, _all: None,
    ) -> None:
        self._engine = engine
        self._names = [*methods, *BASELINES]
        self._gradients = [name for name in methods if METHODS[name].gradient_formula]
        self._maps = Maps(engine, top, seed)
        self._seed = seed
        self._progress = progress
        self._done = 0
        self._steps = 0
        self._faithful: dict[str, list[Faithfulness]] = defaultdict(list)
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._pointing: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        self._visible: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._similar: dict[str, list[float]] = defaultdict(list)
        self._flicker: dict[str, float] = {}
        self._examples: list[Example] = []

    def run(self, samples: Sequence[Sample], clip: Sequence[Frame]) -> AuditReport:
        """Measure everything.

        Args:
            samples: Frames apart from each other, for all measures but flicker.
            clip: Frames that follow each other, of one source, for flicker; may be empty.

        Raises:
            SourceError: Nothing was found in the samples.
            DeviceError: The GPU failed.
        """
        self._plan(len(samples), len(clip))
        looked = [self._look(sample) for sample in samples]
        pairs = [(one, s) for one, s in zip(looked, samples, strict=True) if one.targets]
        if not pairs:
            raise SourceError(
                "nothing was found in the sampled frames, so there is nothing to audit",
                hint="Sample more of them with --frames, or lower --confidence.",
            )
        known = sum(self._measure(one, sample.truth) for one, sample in pairs)
        for one, _ in pairs[:_SANITY_FRAMES]:
            self._compare_with_shuffled(one)
        comparison, published_flicker = self._published([one for one, _ in pairs], clip)
        return AuditReport(
            frames=len(pairs),
            boxes=sum(len(one.targets) for one, _ in pairs),
            known=known,
            methods={name: self._scores(name) for name in self._names},
            visibility={name: self._visibility(name) for name in self._gradients},
            comparison=comparison,
            published_flicker=published_flicker,
            examples=self._examples,
        )

    def _plan(self, samples: int, clip: int) -> None:
        sane = min(samples, _SANITY_FRAMES)
        self._steps = (samples + sane) * len(self._names) + samples + clip * (1 + len(self._names))

    def _step(self, what: str) -> None:
        self._done += 1
        self._progress(what, min(self._done, self._steps), self._steps)

    def _look(self, sample: Sample) -> MethodInputs:
        self._step("looking")
        return self._maps.look(replace(sample.frame, discontinuity=True))

    def _measure(self, looked: MethodInputs, truth: Sequence[TrueBox] | None) -> int:
        """Measure every method on one frame; return how many of its boxes are known to be right."""
        picture = looked.result.frame.picture
        bench = Bench(self._engine.detector, picture, self._seed)
        true_boxes = [_true_box(detection, truth or ()) for detection in looked.targets]
        shown: dict[str, HeatMap] = {}
        for name in self._names:
            self._step(f"measuring {name}")
            maps, seconds = self._maps.of_boxes(name, looked)
            shown[name] = maps[0]
            self._seconds[name].append(seconds)
            for detection, true, heat in zip(looked.targets, true_boxes, maps, strict=True):
                self._faithful[name].append(bench.measure(heat, BoxTarget.of(detection)))
                if true is not None:
                    self._point(name, heat, true, looked.result.frame)
        together = self._see_together(looked)
        if len(self._examples) < _EXAMPLES:
            self._examples.append(Example(looked.result.frame, looked.targets[0], shown, together))
        return sum(true is not None for true in true_boxes)

    def _point(self, name: str, heat: HeatMap, true: TrueBox, frame: Frame) -> None:
        height, width = frame.picture.shape[:2]
        (focus,) = measure_focus(heat, [true.box], width=width, height=height)
        self._pointing[name].append((float(focus.peak_inside), focus.energy, focus.lift))

    def _see_together(self, looked: MethodInputs) -> dict[str, tuple[HeatMap, HeatMap]]:
        """How many boxes are seen in one map of the frame: of all levels, and of the coarsest."""
        coarsest = self._engine.cam.activations.pool
        maps = {}
        for name in self._gradients:
            every = self._maps.of_frame(name, looked)
            one = self._maps.of_frame(name, looked, coarsest)
            maps[name] = (every, one)
            seen = tuple(_seen(heat, looked.result) for heat in (every, one))
            self._visible[name] += zip(*seen, strict=True)
        return maps

    def _compare_with_shuffled(self, looked: MethodInputs) -> None:
        own = {name: self._maps.of_boxes(name, looked)[0] for name in self._names}
        with shuffled(self._engine.detector.network, self._seed):
            for name in self._names:
                self._step(f"shuffling {name}")
                others = self._maps.of_shuffled(name, looked)
                self._similar[name] += map(similarity, own[name], others)

    def _published(
        self, looked: Sequence[MethodInputs], clip: Sequence[Frame]
    ) -> tuple[Comparison, float | None]:
        """The notebook's path on the clip, or on the samples where there is none; and its flicker.

        All the methods' flicker is measured on the way.
        """
        steps = [self._follow(frame) for frame in clip]
        self._measure_flicker(steps)
        frames = [one.result for one in (steps or looked)]
        activations = self._engine.cam.activations
        with PublishedEigenCam(self._engine.detector, activations) as published:
            theirs = [published(result) for result in frames]
        ours = float(np.median([one.eigencam_seconds for one in looked]))
        comparison = compare(self._engine.detector, activations, frames, theirs, ours)
        return comparison, _changes([one.heat for one in theirs]) if steps else None

    def _follow(self, frame: Frame) -> MethodInputs:
        self._step("following the clip")
        return self._maps.look(frame)

    def _measure_flicker(self, steps: Sequence[MethodInputs]) -> None:
        for name in self._names:
            heats = []
            for looked in steps:
                self._step(f"following {name}")
                if name == EIGENCAM:
                    heats.append(looked.result.explanation.map)
                elif looked.targets:
                    heats.append(np.max(self._maps.of_boxes(name, looked)[0], axis=0))
            change = _changes(heats)
            if change is not None:
                self._flicker[name] = change

    def _scores(self, name: str) -> Scores:
        faithful = self._faithful[name]
        pointing = np.array(self._pointing[name])
        similar = float(np.mean(self._similar[name]))
        hit, energy, lift = pointing.mean(axis=0).tolist() if len(pointing) else [None] * 3
        return Scores(
            deletion=float(np.mean([one.deletion for one in faithful])),
            insertion=float(np.mean([one.insertion for one in faithful])),
            road=float(np.mean([one.road for one in faithful])),
            pointing=hit,
            energy=energy,
            lift=lift,
            flicker=self._flicker.get(name),
            seconds=float(np.median(self._seconds[name])),
            similarity=similar,
            sane=similar < SIMILAR,
        )

    def _visibility(self, name: str) -> Visibility:
        every, one = np.mean(self._visible[name], axis=0).tolist()
        return Visibility(every, one)


def _true_box(detection: Detection, truth: Sequence[TrueBox]) -> TrueBox | None:
    """What a detection truly is; None where nothing of its class is there."""
    alike = [true for true in truth if true.label == detection.label]
    best = max(alike, key=lambda true: overlap(true.box, detection.box), default=None)
    if best is None or overlap(best.box, detection.box) < MIN_OVERLAP:
        return None
    return best


def _seen(heat: HeatMap, result: FrameResult) -> list[float]:
    """For each detection 1 if it is seen in a map of the frame, else 0."""
    height, width = result.frame.picture.shape[:2]
    rows, columns = heat.shape
    seen = []
    for detection in result.detections:
        x1, y1, x2, y2 = detection.box
        top, left = int(y1 / height * rows), int(x1 / width * columns)
        bottom = max(top + 1, int(np.ceil(y2 / height * rows)))
        right = max(left + 1, int(np.ceil(x2 / width * columns)))
        seen.append(float(heat[top:bottom, left:right].max(initial=0) >= _SEEN))
    return seen


def _changes(heats: Sequence[HeatMap]) -> float | None:
    """Mean absolute change from map to map; None for fewer than two."""
    changes = [
        float(np.abs(after - before).mean())
        for before, after in itertools.pairwise(heats)
        if before.shape == after.shape
    ]
    return float(np.mean(changes)) if changes else None
