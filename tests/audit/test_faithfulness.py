"""The measures measure: on networks and maps whose answers are known."""

import numpy as np
import pytest
import torch

from streamcam.audit.faithfulness import FaithfulnessMeter, ranks
from streamcam.audit.method_maps import (
    NearestTarget,
    centre_map,
    random_map,
    shuffled,
    similarity,
)
from streamcam.types import HeatMap
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.targets import BoxTarget
from streamcam.vision.models.network import Candidates
from tests.vision.methods.scenes import forward_with_targets, nano, street

SIZE = (14, 24)


def box_map(box: tuple[float, float, float, float], *, inside: float) -> HeatMap:
    """A map that is `inside` in a box of the street, and 1 less that elsewhere."""
    heat = np.full(SIZE, 1 - inside, np.float32)
    x1, y1, x2, y2 = (
        round(edge / side) for edge, side in zip(box, (16, 216 / 14) * 2, strict=True)
    )
    heat[y1 : y2 + 1, x1 : x2 + 1] = inside
    return heat


def test_a_map_of_the_box_beats_chance_and_its_negative_is_worse() -> None:
    with nano() as detector:
        _, (targets,) = forward_with_targets(detector, street())
        target = targets[0].box
        meter = FaithfulnessMeter(detector, street())
        (good,) = meter.measure(box_map(target.box, inside=1), [target])
        (bad,) = meter.measure(box_map(target.box, inside=0), [target])
        (chance,) = meter.measure(random_map(SIZE, np.random.default_rng(0)), [target])
        (again,) = meter.measure(box_map(target.box, inside=1), [target])
    assert good.deletion < chance.deletion < bad.deletion
    assert good.insertion > chance.insertion > bad.insertion
    assert good.road > chance.road > bad.road
    assert good.road > 0.3
    assert good == again, "the same every time"


def test_boxes_that_share_a_map_are_measured_in_the_same_passes() -> None:
    passes: list[tuple[int, int]] = []
    with nano() as detector:
        _, (targets,) = forward_with_targets(detector, street())
        boxes = [target.box for target in targets[:2]]
        meter = FaithfulnessMeter(detector, street())
        heat = centre_map(SIZE)
        together = meter.measure(heat, boxes)
        alone = [meter.measure(heat, [box], lambda *step: passes.append(step))[0] for box in boxes]
    assert together == alone
    done = [step for step, _ in passes]
    assert done == [*range(len(done) // 2), *range(len(done) // 2)]
    assert {every for _, every in passes} == {len(done) // 2}


def test_the_curves_are_of_the_scores_at_every_share() -> None:
    """Compared with pictures that are covered and uncovered one by one."""
    shares = (0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    heat = random_map(SIZE, np.random.default_rng(3))
    with nano() as detector:
        _, (targets,) = forward_with_targets(detector, street())
        target = targets[0].box
        meter = FaithfulnessMeter(detector, street())
        (measured,) = meter.measure(heat, [target])
        canvas, placement = detector.canvas(street())
        order = ranks(heat, placement, seed=0)
        scores = []
        for share in shares:
            covered = torch.where(order >= 1 - share if share else order > 1, 0.0, canvas)
            (found,) = detector.detect_on_canvas(covered, [placement], 0.01)
            scores.append(float(target(found)))
    area = np.trapezoid(scores, shares) / scores[0]
    assert measured.deletion == pytest.approx(area, abs=1e-3)


def test_ranks_are_even_and_ties_have_no_direction() -> None:
    placement = Letterbox((216, 384), (112, 192), (128, 192))
    order = ranks(np.zeros(SIZE, np.float32), placement, seed=0)
    inside = order[:112]
    assert sorted(inside.flatten().tolist()) == pytest.approx(np.linspace(0, 1, 112 * 192).tolist())
    assert torch.all(order[112:] == -1), "padding is never taken away"
    halves = inside[:56].mean(), inside[56:].mean(), inside[:, :96].mean(), inside[:, 96:].mean()
    assert all(abs(half - 0.5) < 0.05 for half in halves)


def test_ranks_follow_the_heat() -> None:
    heat = centre_map(SIZE)
    order = ranks(heat, Letterbox((216, 384), (112, 192), (112, 192)), seed=0)
    assert order[56, 96] > 0.99
    assert order[0, 0] < 0.05


def test_shuffled_weights_keep_their_values_and_are_restored() -> None:
    with nano() as detector:
        plain = detector.network.module
        before = {name: value.clone() for name, value in plain.state_dict().items()}
        with shuffled(detector.network.weights()):
            changed = [
                name
                for name, value in plain.state_dict().items()
                if not torch.equal(value, before[name])
            ]
            for name, value in plain.state_dict().items():
                assert torch.allclose(value.double().sum(), before[name].double().sum(), rtol=1e-3)
        assert {name for name, value in before.items() if value.dim() > 1} == set(changed)
        for name, value in plain.state_dict().items():
            assert torch.equal(value, before[name])


def test_the_nearest_box_replaces_one_that_is_not_detected() -> None:
    far, near = (200.0, 0.0, 220.0, 20.0), (15.0, 10.0, 55.0, 30.0)
    found = Candidates(torch.tensor([far, near]), torch.tensor([0.2, 0.1]), torch.tensor([1, 2]))
    box = (10.0, 10.0, 50.0, 30.0)
    assert BoxTarget(box, 1).match(found) is None
    assert NearestTarget(box, 1).match(found) == 0, "its class comes first"
    assert NearestTarget(box, 7).match(found) == 1
    empty = Candidates(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert NearestTarget(box, 1).match(empty) is None


def test_similarity() -> None:
    heat = random_map(SIZE, np.random.default_rng(1))
    assert similarity(heat, 0.5 * heat + 0.1) == pytest.approx(1)
    assert similarity(heat, 1 - heat) == pytest.approx(1)
    assert similarity(heat, random_map(SIZE, np.random.default_rng(2))) < 0.2
    assert similarity(heat, np.zeros_like(heat)) == 0
