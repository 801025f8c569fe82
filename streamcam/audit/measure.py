"""Measures every method, and baselines for comparison, on frames."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from streamcam.audit.faithfulness import Faithfulness, FaithfulnessMeter
from streamcam.audit.gradcam_comparison import PublishedEigenCam, compare
from streamcam.audit.ground_truth import Sample
from streamcam.audit.method_maps import SIMILAR, MethodInputs, MethodMaps, shuffled, similarity
from streamcam.audit.scores import BASELINES, AuditReport, Comparison, Example, Scores, Visibility
from streamcam.audit.verdict import LEAST_FRAMES, Verdict, judge, spread_order
from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.errors import SourceError
from streamcam.types import Detection, Frame, FrameResult, HeatMap, TrueObject
from streamcam.vision.cam.focus import measure_focus
from streamcam.vision.engine import Engine
from streamcam.vision.methods.targets import MIN_OVERLAP, BoxTarget, overlap

AuditProgress = Callable[[str, int, int], None]
"""Called with the current step's description, its number, and the number of steps."""

# Frames for the sanity check, which runs the network anew for every method.
_SANITY_FRAMES = 2

# A box is visible in a frame's map if the map reaches this share of its maximum in it: below, the
# colours of a heat map are those of the background.
_VISIBLE = 0.25

_EXAMPLES = 2

_Pair: TypeAlias = tuple[MethodInputs, Sample]


class Audit:
    """Measures methods. For one thread; run once.

    Args:
        engine: One that makes EigenCAM's maps.
        methods: Names of methods; the baselines are always measured too.
        top: Maximum number of boxes to explain in a frame, the most confident.
        until_decided: Leave out the rest of the samples once more would hardly change the verdict.
    """

    def __init__(
        self,
        engine: Engine,
        methods: Sequence[str],
        *,
        top: int = 2,
        until_decided: bool = False,
        seed: int = 0,
        progress: AuditProgress = lambda _what, _done, _all: None,
    ) -> None:
        self._engine = engine
        self._weights = engine.detector.network.weights()
        self._names = [*methods, *BASELINES]
        self._gradients = [name for name in methods if METHODS[name].gradient_formula]
        self._maps = MethodMaps(engine, top, seed)
        self._until_decided = until_decided
        self._seed = seed
        self._progress = progress
        self._done = 0
        self._steps = 0
        self._faithful: dict[str, list[Faithfulness]] = defaultdict(list)
        self._frame_of: list[int] = []  # of each box
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
            clip: Successive frames of one source, for flicker; may be empty.

        Raises:
            SourceError: Nothing was detected in the samples.
            DeviceError: The GPU failed.
        """
        self._plan(len(samples), len(clip))
        forwards = [self._forward(replace(one.frame, discontinuity=True)) for one in samples]
        pairs = [(one, s) for one, s in zip(forwards, samples, strict=True) if one.targets]
        if not pairs:
            raise SourceError(
                "nothing was detected in the sampled frames, so there is nothing to audit",
                hint="Sample more of them with --frames, or lower --confidence.",
            )
        for one, _ in pairs[: self._sanity_frames]:
            self._compare_with_shuffled(one)
        known, pairs = self._measure_samples(pairs)
        comparison, published_flicker = self._published([one for one, _ in pairs], clip)
        return AuditReport(
            verdict=self._verdict(),
            frames=len(pairs),
            boxes=sum(len(one.targets) for one, _ in pairs),
            known=known,
            methods={name: self._scores(name) for name in self._names},
            visibility={name: self._visibility(name) for name in self._gradients},
            comparison=comparison,
            published_flicker=published_flicker,
            examples=self._examples,
        )

    def _measure_samples(self, pairs: list[_Pair]) -> tuple[int, list[_Pair]]:
        """Measure every method on the frames, in an order that is spread over the source.

        Returns:
            How many boxes match a true one, and the frames that were measured.
        """
        known, measured = 0, list[_Pair]()
        for place in spread_order(len(pairs)):
            inputs, sample = pairs[place]
            self._frame_of += [len(measured)] * len(inputs.targets)
            known += self._measure(inputs, sample.truth)
            measured.append(pairs[place])
            if self._until_decided and len(measured) >= LEAST_FRAMES and self._verdict().decided:
                break
        return known, measured

    def _verdict(self) -> Verdict:
        faithful = {
            name: [one.insertion - one.deletion for one in measured]
            for name, measured in self._faithful.items()
        }
        return judge(faithful, self._frame_of, self._insane(), self._seed)

    def _insane(self) -> list[str]:
        return [name for name, found in self._similar.items() if np.mean(found) >= SIMILAR]

    @property
    def _sanity_frames(self) -> int:
        """How many frames are compared with shuffled weights: none if those cannot be changed."""
        return _SANITY_FRAMES if self._weights else 0

    def _plan(self, samples: int, clip: int) -> None:
        sane = min(samples, self._sanity_frames)
        self._steps = (samples + sane) * len(self._names) + samples + clip * (1 + len(self._names))

    def _step(self, what: str) -> None:
        self._done += 1
        self._progress(what, min(self._done, self._steps), self._steps)

    def _forward(self, frame: Frame) -> MethodInputs:
        self._step("detecting")
        return self._maps.forward(frame)

    def _measure(self, inputs: MethodInputs, truth: Sequence[TrueObject] | None) -> int:
        """Measure every method on one frame; return how many of its boxes match a true box."""
        picture = inputs.result.frame.picture
        meter = FaithfulnessMeter(self._engine.detector, picture, self._seed)
        true_boxes = [_true_box(detection, truth or ()) for detection in inputs.targets]
        examples: dict[str, HeatMap] = {}
        for name in self._names:
            self._step(f"measuring {name}")
            maps, seconds = self._maps.of_boxes(name, inputs)
            examples[name] = maps[0]
            self._seconds[name].append(seconds)
            self._faithful[name] += _faithfulness(meter, maps, inputs.targets)
            for true, heat in zip(true_boxes, maps, strict=True):
                if true is not None:
                    self._point(name, heat, true, inputs.result.frame)
        frame_maps = self._measure_visibility(inputs)
        if len(self._examples) < _EXAMPLES:
            example = Example(inputs.result.frame, inputs.targets[0], examples, frame_maps)
            self._examples.append(example)
        return sum(true is not None for true in true_boxes)

    def _point(self, name: str, heat: HeatMap, true: TrueObject, frame: Frame) -> None:
        height, width = frame.picture.shape[:2]
        (focus,) = measure_focus(heat, [true.box], width=width, height=height)
        self._pointing[name].append((float(focus.peak_inside), focus.energy, focus.lift))

    def _measure_visibility(self, inputs: MethodInputs) -> dict[str, tuple[HeatMap, HeatMap]]:
        """Which boxes one map of the frame shows; of all levels, and of the coarsest."""
        coarsest = self._engine.cam.levels.pool
        maps = {}
        for name in self._gradients:
            every = self._maps.of_frame(name, inputs)
            one = self._maps.of_frame(name, inputs, coarsest)
            maps[name] = (every, one)
            visible = tuple(_visible(heat, inputs.result) for heat in (every, one))
            self._visible[name] += zip(*visible, strict=True)
        return maps

    def _compare_with_shuffled(self, inputs: MethodInputs) -> None:
        own = {name: self._maps.of_boxes(name, inputs)[0] for name in self._names}
        with shuffled(self._weights, self._seed):
            for name in self._names:
                self._step(f"shuffling {name}")
                others = self._maps.of_shuffled(name, inputs)
                self._similar[name] += map(similarity, own[name], others)

    def _published(
        self, inputs: Sequence[MethodInputs], clip: Sequence[Frame]
    ) -> tuple[Comparison, float | None]:
        """Compare with the published recipe, on the clip or else on the samples; its flicker.

        Measures the methods' flicker on the clip too.
        """
        steps = [self._forward(frame) for frame in clip]
        self._measure_flicker(steps)
        frames = [one.result for one in (steps or inputs)]
        levels = self._engine.cam.levels
        with PublishedEigenCam(self._engine.detector, levels) as published:
            theirs = [published(result) for result in frames]
        ours = float(np.median([one.eigencam_seconds for one in inputs]))
        comparison = compare(self._engine.detector, levels, frames, theirs, ours)
        return comparison, _changes([one.heat for one in theirs]) if steps else None

    def _measure_flicker(self, steps: Sequence[MethodInputs]) -> None:
        for name in self._names:
            heats = []
            for inputs in steps:
                self._step(f"flicker of {name}")
                if name == EIGENCAM:
                    heats.append(inputs.result.explanation.map)
                elif inputs.targets:
                    heats.append(np.max(self._maps.of_boxes(name, inputs)[0], axis=0))
            change = _changes(heats)
            if change is not None:
                self._flicker[name] = change

    def _scores(self, name: str) -> Scores:
        faithful = self._faithful[name]
        pointing = np.array(self._pointing[name])
        similar = float(np.mean(self._similar[name])) if self._similar[name] else None
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
            sane=None if similar is None else similar < SIMILAR,
        )

    def _visibility(self, name: str) -> Visibility:
        every, one = np.mean(self._visible[name], axis=0).tolist()
        return Visibility(every, one)


def _faithfulness(
    meter: FaithfulnessMeter, maps: Sequence[HeatMap], targets: Sequence[Detection]
) -> list[Faithfulness]:
    """Measure each target's map; targets that share one, in the same forward passes."""
    boxes = [BoxTarget.of(detection) for detection in targets]
    if all(heat is maps[0] for heat in maps):
        return meter.measure(maps[0], boxes)
    return [meter.measure(heat, [box])[0] for heat, box in zip(maps, boxes, strict=True)]


def _true_box(detection: Detection, truth: Sequence[TrueObject]) -> TrueObject | None:
    """The true object that a detection matches; None if there is none of its class."""
    alike = [true for true in truth if true.label == detection.label]
    best = max(alike, key=lambda true: overlap(true.box, detection.box), default=None)
    if best is None or overlap(best.box, detection.box) < MIN_OVERLAP:
        return None
    return best


def _visible(heat: HeatMap, result: FrameResult) -> list[float]:
    """For each detection 1 if it is visible in a map of the frame, else 0."""
    height, width = result.frame.picture.shape[:2]
    rows, columns = heat.shape
    visible = []
    for detection in result.detections:
        x1, y1, x2, y2 = detection.box
        top, left = int(y1 / height * rows), int(x1 / width * columns)
        bottom = max(top + 1, int(np.ceil(y2 / height * rows)))
        right = max(left + 1, int(np.ceil(x2 / width * columns)))
        visible.append(float(heat[top:bottom, left:right].max(initial=0) >= _VISIBLE))
    return visible


def _changes(heats: Sequence[HeatMap]) -> float | None:
    """Mean absolute change between successive maps; None for fewer than two."""
    changes = [
        float(np.abs(after - before).mean())
        for before, after in itertools.pairwise(heats)
        if before.shape == after.shape
    ]
    return float(np.mean(changes)) if changes else None
