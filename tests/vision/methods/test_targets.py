import numpy as np
import pytest
import torch
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget

from streamcam.vision.methods.targets import BoxTarget, overlap, scores_of
from streamcam.vision.models.network import Candidates

BOX = (10.0, 10.0, 50.0, 30.0)


def found(*boxes: tuple[tuple[float, float, float, float], int, float]) -> Candidates:
    return Candidates(
        torch.tensor([b for b, _, _ in boxes]).reshape(-1, 4),
        torch.tensor([s for _, _, s in boxes]),
        torch.tensor([c for _, c, _ in boxes], dtype=torch.int64),
    )


def test_a_target_is_matched_by_class_and_overlap() -> None:
    shifted = (12.0, 10.0, 52.0, 30.0)
    seen = found((BOX, 2, 0.9), (shifted, 1, 0.6), ((100.0, 0.0, 120.0, 20.0), 1, 0.8))
    assert float(BoxTarget(BOX, 1)(seen)) == pytest.approx(0.6)
    assert float(BoxTarget(BOX, 2)(seen)) == pytest.approx(0.9)


def test_a_box_of_another_class_does_not_hide_the_target() -> None:
    """As it does for pytorch_grad_cam's target, which takes the best overlap of any class."""
    near = (11.0, 10.0, 51.0, 30.0)
    seen = found((BOX, 2, 0.9), (near, 1, 0.6))
    outputs = {"boxes": seen.boxes, "labels": seen.class_ids, "scores": seen.scores}
    assert float(FasterRCNNBoxScoreTarget([1], np.array([BOX]))(outputs)) == 0
    assert float(BoxTarget(BOX, 1)(seen)) == pytest.approx(0.6)


def test_the_score_equals_pytorch_grad_cams_if_nothing_moved() -> None:
    seen = found((BOX, 1, 0.7))
    outputs = {"boxes": seen.boxes, "labels": seen.class_ids, "scores": seen.scores}
    theirs = float(FasterRCNNBoxScoreTarget([1], np.array([BOX]))(outputs))
    assert theirs - 1 == pytest.approx(float(BoxTarget(BOX, 1)(seen)))  # less the overlap


@pytest.mark.parametrize(
    "seen",
    [found(), found((BOX, 2, 0.9)), found(((200.0, 0.0, 220.0, 20.0), 1, 0.9))],
    ids=["nothing", "other class", "elsewhere"],
)
def test_a_vanished_box_has_score_0(seen: Candidates) -> None:
    assert float(BoxTarget(BOX, 1)(seen)) == 0
    assert float(BoxTarget(BOX, 1).logit(seen)) == 0


def test_the_logit_has_a_gradient_where_the_score_is_saturated() -> None:
    raw = torch.tensor([6.0, -1.0], requires_grad=True)
    seen = Candidates(torch.tensor([BOX, BOX]), raw.sigmoid(), torch.tensor([1, 2]))
    (gradient,) = torch.autograd.grad(BoxTarget(BOX, 1).logit(seen), raw)
    assert gradient.tolist() == pytest.approx([1, 0], abs=1e-3)


def test_scores_of_many() -> None:
    targets = [BoxTarget(BOX, 1), BoxTarget(BOX, 2)]
    scores = scores_of([found((BOX, 1, 0.5)), found((BOX, 2, 0.25))], targets)
    assert scores.tolist() == [[0.5, 0], [0, 0.25]]


def test_overlap() -> None:
    assert overlap(BOX, BOX) == 1
    assert overlap(BOX, (30.0, 10.0, 70.0, 30.0)) == pytest.approx(1 / 3)
    assert overlap(BOX, (60.0, 10.0, 70.0, 30.0)) == 0
