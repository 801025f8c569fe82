"""The engine with a method that explains boxes: on a budget, and without touching the boxes."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from streamcam.cam_methods import METHODS, find_method
from streamcam.clock import Clock
from streamcam.errors import UsageError
from streamcam.types import Frame, FrameResult
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.engine import Engine
from streamcam.vision.methods.attribution import (
    BUDGET_SHARE,
    MAX_PASS_SECONDS,
    Attribution,
    Explain,
    MapMaker,
    TimeBudget,
)
from tests.vision.methods.scenes import nano, street
from tests.vision.scenes import build, engine_around, frame, grey, levels_of


def explaining(
    method: str = "layercam",
    explain: Explain = "box",
    every: int = 1,
    top: int = 3,
    clock: Clock | None = None,
) -> Engine:
    detector = nano()
    activations = levels_of("nano")
    maker = MapMaker(detector, method, activations.grids)
    attribution = Attribution(maker, explain=explain, every=every, top=top, clock=clock)
    plain = engine_around(detector, EigenCam(activations), batch=4)
    return Engine(detector, EigenCam(activations), plain.description, attribution=attribution)


@pytest.fixture(scope="module")
def ordinary() -> Iterator[Engine]:
    with engine_around(nano(), EigenCam(levels_of("nano")), batch=4) as plain:
        yield plain


def video(count: int, source: str = "a", **changes: object) -> list[Frame]:
    return [frame(street(1 + index / 5), index, source, **changes) for index in range(count)]


def boxes(results: list[FrameResult]) -> list[list[tuple[object, ...]]]:
    return [[(d.label, d.class_id, d.confidence, d.box) for d in r.detections] for r in results]


@pytest.mark.parametrize("method", ["layercam", "ablationcam"])
def test_boxes_never_change_because_of_the_method(ordinary: Engine, method: str) -> None:
    with explaining(method, every=2) as why:
        assert boxes(why.explain(video(3))) == boxes(ordinary.explain(video(3)))
    ordinary.forget("a")


def test_eigencam_has_one_forward_and_so_have_gradients() -> None:
    forwards = []
    for engine in (explaining(), engine_around(nano(), EigenCam(levels_of("nano")))):
        seen: list[int] = []
        backbone = engine.detector.network.module.get_submodule("backbone")
        hook = backbone.register_forward_hook(
            lambda _m, inputs, _o, s=seen: s.append(len(inputs[0]))
        )
        with engine:
            engine.explain(video(3))
        hook.remove()
        forwards.append(seen)
    assert forwards == [[3], [3]]


def test_the_frames_map_is_the_maximum_of_the_boxes_maps() -> None:
    with explaining(top=2) as why:
        (result,) = why.explain(video(1))
    explained = [d for d in result.detections if d.why is not None]
    assert len(explained) == 2
    assert list(result.detections[:2]) == explained
    for detection in explained:
        assert detection.why is not None
        assert (detection.why.method, detection.why.age) == ("layercam", 0)
        assert detection.why.focus.peak_inside
        assert detection.why.focus.lift > 5
    assert result.explanation.method == "layercam"
    assert result.explanation.explained_variance is None
    both = np.max([d.why.map for d in explained if d.why], axis=0)
    assert np.array_equal(result.explanation.map, both)
    assert result.detections[0].focus.energy > 0.2


def test_one_map_for_the_frame() -> None:
    with explaining(explain="frame", top=100) as why:
        (result,) = why.explain(video(1))
    assert result.explanation.method == "layercam"
    assert all(detection.why is None for detection in result.detections)
    assert result.explanation.map.max() == pytest.approx(1)
    assert np.mean([detection.focus.lift > 1 for detection in result.detections]) > 0.7


def test_every_nth_frame_of_each_source_has_maps_of_boxes(
    ordinary: Engine,
) -> None:
    mixed = [one for pair in zip(video(5), video(5, "b"), strict=True) for one in pair]
    with explaining(every=3) as why:
        results = why.explain(mixed[:4]) + why.explain(mixed[4:])
    plain = ordinary.explain(video(5))
    ordinary.forget("a")
    for source in ("a", "b"):
        own = [r for r in results if r.frame.source == source]
        methods = [r.explanation.method for r in own]
        assert methods == ["layercam", "eigencam", "eigencam", "layercam", "eigencam"]
        assert [r.explanation.flicker is None for r in own] == [True, False, False, False, False]
        for index in (1, 2, 4):
            difference = np.abs(own[index].explanation.map - plain[index].explanation.map)
            assert difference.max() < 0.02


def test_a_box_reuses_the_map_of_an_overlapping_one_with_its_age() -> None:
    still = [frame(street(1.0), index) for index in range(3)]
    with explaining(every=10) as why:
        first, *later = why.explain(still)
        for index, result in enumerate(later, start=1):
            for before, after in zip(first.detections[:3], result.detections[:3], strict=True):
                assert before.why is not None
                assert after.why is not None
                assert after.why.map is before.why.map
                assert after.why.age == pytest.approx(index / 5)
        (cut,) = why.explain([frame(street(4.0, seed=4), 3, discontinuity=True)])
        assert all(detection.why is None for detection in cut.detections)


def test_without_detections_the_map_is_eigencams() -> None:
    with explaining() as why:
        (result,) = why.explain([frame(grey(216, 384))])
    assert not result.detections
    assert result.explanation.method == "eigencam"


def test_forget_drops_the_state_of_a_source() -> None:
    with explaining(every=10) as why:
        why.explain(video(1))
        why.forget("a")
        why.forget("never seen")
        (again,) = why.explain(video(1))
    assert again.explanation.method == "layercam"
    assert again.explanation.flicker is None


class Ticking(Clock):
    """A clock that a test moves, and that moves by itself with every look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 100.0
        self.step = step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def live(index: int = 0) -> Frame:
    one = frame(street(1 + index / 5), index, "cam")
    return Frame(
        one.source,
        one.index,
        one.pts,
        one.time_base,
        one.time,
        one.picture,
        time_utc=datetime(2025, 1, 1, tzinfo=UTC),
    )


def test_the_time_budget_limits_live_sources_only() -> None:
    clock = Ticking()
    budget = TimeBudget("layercam", clock)
    assert budget.allows(live())
    with budget.measure(1):
        clock.now += 0.1
    assert not budget.allows(live())
    assert budget.allows(frame(grey(8, 8)))
    clock.now += 0.1 * (1 / BUDGET_SHARE - 1) - 0.01
    assert not budget.allows(live())
    clock.now += 0.02
    assert budget.allows(live())


def test_a_slow_method_is_given_up_for_live_sources_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Ticking()
    budget = TimeBudget("scorecam", clock)
    with caplog.at_level(logging.WARNING, "streamcam"):
        for seconds in (9.0, 3 * MAX_PASS_SECONDS, 2 * MAX_PASS_SECONDS, 2 * MAX_PASS_SECONDS):
            with budget.measure(1):
                clock.now += seconds
    clock.now += 1000
    assert not budget.allows(live())
    assert budget.allows(frame(grey(8, 8)))
    (record,) = caplog.records
    assert "scorecam takes 0.5 s a frame here" in record.message


def test_a_live_frame_without_budget_leaves_its_turn_to_the_next() -> None:
    clock = Ticking(step=0.01)
    with explaining(every=2, clock=clock) as why:
        methods = []
        for index in range(4):
            (result,) = why.explain([live(index)])
            methods.append(result.explanation.method)
            if index == 2:
                clock.now += 10
    # Due, in between, due but no time left, due and time.
    assert methods == ["layercam", "eigencam", "eigencam", "layercam"]


def test_out_of_memory_leaves_eigencam_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    with explaining() as why, caplog.at_level(logging.WARNING, "streamcam"):
        monkeypatch.setattr(why.detector, "detect_from_levels", full)
        results = why.explain(video(3))
    assert [r.explanation.method for r in results] == ["eigencam"] * 3
    assert [record.message for record in caplog.records] == [
        "not enough GPU memory for layercam: maps stay EigenCAM"
    ]


def test_an_unknown_method_is_refused_with_the_nearest_or_the_known_ones() -> None:
    with pytest.raises(UsageError, match="gradcamm") as caught:
        find_method("gradcamm")
    assert caught.value.hint is not None
    assert "gradcam" in caught.value.hint
    with pytest.raises(UsageError, match="shapley") as caught:
        find_method("shapley")
    assert caught.value.hint is not None
    assert all(method in caught.value.hint for method in METHODS)


def test_half_precision_gives_the_same_maps_of_boxes() -> None:
    with (
        build(method="layercam", precision="bf16") as half,
        build(method="layercam", precision="fp32") as single,
    ):
        one, other = half.explain(video(1))[0], single.explain(video(1))[0]
    assert one.detections[0].why is not None
    assert other.detections[0].why is not None
    ours, theirs = one.detections[0].why.map, other.detections[0].why.map
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97
