"""Maps of boxes by several methods, and the audit's numbers of each, made in the background."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, TypeAlias

import numpy as np

from streamcam.audit.faithfulness import Faithfulness, FaithfulnessMeter
from streamcam.audit.method_maps import random_map
from streamcam.cam_methods import EIGENCAM, method_label
from streamcam.explain.box_verdict import RANDOM_MAPS, Trust, compare_with_chance, in_words
from streamcam.explain.engine_turns import EngineTurns
from streamcam.types import Focus, FrameResult, HeatMap
from streamcam.vision.cam.focus import measure_focus
from streamcam.vision.devices import device_errors
from streamcam.vision.engine import Engine
from streamcam.vision.methods.attribution import MapMaker
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.methods.targets import BoxTarget, Target

_log = logging.getLogger(__name__)


class Stage(StrEnum):
    """How far a method has come with a box."""

    WAITING = "waiting"
    MAP = "map"
    """The map is being made."""
    CHANCE = "chance"
    """The map is there; random maps of the box are being measured, for comparison."""
    NUMBERS = "numbers"
    """The audit's numbers of the map are being measured."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MethodView:
    """What one method says of one box, as far as it is known.

    Attributes:
        share: Of the stage's forward passes, how much is done, 0..1.
        seconds: Time for the map; EigenCAM's was made with the picture's own forward.
        focus: How much of the map lies in the box.
        verdict: What the numbers come to, in words.
        error: Why there is no map or are no numbers.
    """

    method: str
    stage: Stage = Stage.WAITING
    share: float = 0.0
    heat: HeatMap | None = None
    seconds: float | None = None
    focus: Focus | None = None
    faithfulness: Faithfulness | None = None
    trust: Trust | None = None
    verdict: str | None = None
    error: str | None = None


_Key: TypeAlias = tuple[int, str]
"""The number of a box, and a method."""


class _Superseded(Exception):  # noqa: N818 - no error: something else is wanted now
    """Something else is wanted than what is being made."""


@dataclass(slots=True)
class _State:
    box: int = 0
    methods: Sequence[str] = ()
    closed: bool = False
    views: dict[_Key, MethodView] = field(default_factory=dict)
    chance: dict[int, Sequence[Faithfulness]] = field(default_factory=dict)


class MethodWorker:
    """Makes maps and measures them in a thread of its own; a context manager.

    All maps that are wanted come before the first numbers, which take 40 forward passes a map. What
    is no longer wanted is given up between two passes; what is done is kept.
    """

    def __init__(
        self, engine: Engine, turns: EngineTurns, result: FrameResult, saved: SavedActivations
    ) -> None:
        self._engine = engine
        self._turns = turns
        self._result = result
        self._saved = saved
        self._meter = FaithfulnessMeter(engine.detector, result.frame.picture)
        self._changed = threading.Condition()
        self._state = _State()
        self._thread = threading.Thread(target=self._run, name="streamcam methods", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._state.closed = True
            self._changed.notify_all()
        self._thread.join()

    def want(self, box: int, methods: Sequence[str]) -> None:
        """Make maps of the box of this number by these methods next, and nothing else."""
        with self._changed:
            self._state.box, self._state.methods = box, tuple(methods)
            self._changed.notify_all()

    def view(self, box: int, method: str) -> MethodView:
        with self._changed:
            return self._state.views.get((box, method), MethodView(method))

    def chance(self, box: int) -> Sequence[Faithfulness]:
        """The numbers of random maps of a box; empty until they are measured."""
        with self._changed:
            return self._state.chance.get(box, ())

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._state.closed or self._next() is not None)
                following = self._next()
                if self._state.closed or following is None:
                    return
            key, work = following
            try:
                with device_errors(), self._turns.long():
                    work(key)
            except _Superseded:
                self._set(key, stage=Stage.WAITING, share=0.0)
            except Exception as error:  # noqa: BLE001 - one method must not end the others
                _log.debug("%s failed", key[1], exc_info=error)
                fault = f"{type(error).__name__}: {error}"
                self._set(key, stage=Stage.FAILED, error=fault.splitlines()[0])

    def _next(self) -> tuple[_Key, Callable[[_Key], None]] | None:
        """What to make next; None if everything that is wanted is there."""
        keys = [(self._state.box, method) for method in self._state.methods]
        views = {key: self.view(*key) for key in keys}
        open_keys = [key for key in keys if views[key].stage is not Stage.FAILED]
        for key in open_keys:
            if views[key].heat is None:
                return key, self._make_map
        for key in open_keys:
            if views[key].faithfulness is None:
                return key, self._measure
        return None

    def _make_map(self, key: _Key) -> None:
        number, method = key
        self._set(key, stage=Stage.MAP, share=0.0)
        frame, detection = self._result.frame, self._result.detections[number]
        heat, seconds = self._result.explanation.map, None
        if method != EIGENCAM:
            started = time.perf_counter()
            grids = self._engine.cam.levels.grids
            maker = MapMaker(
                self._engine.detector,
                method,
                grids,
                progress=lambda done, passes: self._between(key, done / passes),
            )
            rows, columns = heat.shape
            groups = [[[Target.of(detection)]]]
            heat = maker(self._saved, groups, [(rows, columns)])[0][0]
            seconds = time.perf_counter() - started
        height, width = frame.picture.shape[:2]
        (focus,) = measure_focus(heat, [detection.box], width=width, height=height)
        self._set(key, stage=Stage.WAITING, heat=heat, seconds=seconds, focus=focus)

    def _measure(self, key: _Key) -> None:
        number, method = key
        view = self.view(*key)
        assert view.heat is not None
        assert view.focus is not None
        chance = self.chance(number) or self._measure_chance(key, view.heat)
        self._set(key, stage=Stage.NUMBERS, share=0.0)
        measured = self._measured(key, view.heat)
        words = in_words(method_label(method), measured, chance, peak_inside=view.focus.peak_inside)
        self._set(
            key,
            stage=Stage.DONE,
            faithfulness=measured,
            trust=compare_with_chance(measured, chance),
            verdict=words,
        )

    def _measure_chance(self, key: _Key, heat: HeatMap) -> Sequence[Faithfulness]:
        """Measure random maps on the grid of a map."""
        rows, columns = heat.shape
        random = np.random.default_rng(0)
        self._set(key, stage=Stage.CHANCE, share=0.0)
        chance = [
            self._measured(key, random_map((rows, columns), random), place, RANDOM_MAPS)
            for place in range(RANDOM_MAPS)
        ]
        with self._changed:
            self._state.chance[key[0]] = chance
        return chance

    def _measured(self, key: _Key, heat: HeatMap, place: int = 0, maps: int = 1) -> Faithfulness:
        """Measure one of so many maps that a stage measures."""
        target = BoxTarget.of(self._result.detections[key[0]])
        (measured,) = self._meter.measure(
            heat, [target], lambda done, passes: self._between(key, (place + done / passes) / maps)
        )
        return measured

    def _between(self, key: _Key, share: float) -> None:
        """Between two passes: tell the progress, let others have the engine, stop if need be."""
        self._set(key, share=share)
        self._turns.give_way()
        with self._changed:
            state = self._state
            if state.closed or key[0] != state.box or key[1] not in state.methods:
                raise _Superseded

    def _set(self, key: _Key, **changes: object) -> None:
        with self._changed:
            before = self._state.views.get(key, MethodView(key[1]))
            self._state.views[key] = replace(before, **changes)  # type: ignore[arg-type]
