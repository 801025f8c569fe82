"""The verdict of an audit: drawn measurements whose right answer is known."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from streamcam.audit.verdict import LEAST_FRAMES, judge, sentences, spread_order

BOXES = 2  # of each frame


def measured(
    frames: int, means: Mapping[str, float], noise: float = 0.05
) -> dict[str, list[float]]:
    """Faithfulness of boxes: a mean for each method, noise of frames and of boxes."""
    draw = np.random.default_rng(1)
    of_frames = np.repeat(draw.normal(0, noise, frames), BOXES)
    return {
        name: (mean + of_frames + draw.normal(0, noise, frames * BOXES)).tolist()
        for name, mean in means.items()
    }


def frame_of(frames: int) -> Sequence[int]:
    return np.repeat(np.arange(frames), BOXES).tolist()


MEANS = {"eigencam": 0.3, "layercam": 0.6, "gradcam": 0.45, "random": 0.1, "centre": 0.2}


def test_the_best_method_is_found_and_the_answer_is_decided() -> None:
    verdict = judge(measured(12, MEANS), frame_of(12))
    assert verdict.best == "layercam"
    assert (verdict.ties, verdict.undecided, verdict.worse) == ([], [], [])
    assert verdict.decided
    assert (verdict.boxes, verdict.frames) == (24, 12)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    held = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        values = np.repeat(draw.normal(0.4, 0.1, 20), BOXES).tolist()
        found = judge({"layercam": values, "random": [0.0] * 40}, frame_of(20), seed=seed)
        held += found.scores["layercam"].low <= 0.4 <= found.scores["layercam"].high
    assert 0.88 <= held / 200 <= 0.98


def test_boxes_of_one_frame_count_as_one_measurement() -> None:
    """Twenty equal boxes in each of four frames say no more than one box in each."""
    values = [0.1, 0.5, 0.3, 0.7]
    one = judge({"layercam": values, "random": [0.0] * 4}, range(4))
    many = judge(
        {"layercam": np.repeat(values, 20).tolist(), "random": [0.0] * 80},
        np.repeat(np.arange(4), 20).tolist(),
    )
    assert many.scores["layercam"].half_width == pytest.approx(one.scores["layercam"].half_width)


def test_methods_that_cannot_be_told_apart_are_named_as_ties() -> None:
    close = MEANS | {"hirescam": 0.599}
    verdict = judge(measured(12, close), frame_of(12))
    assert {verdict.best, *verdict.ties} == {"layercam", "hirescam"}
    assert "As good, as far as can be told: " in " ".join(sentences(verdict))


def test_a_method_worse_than_chance_comes_first() -> None:
    verdict = judge(measured(12, MEANS | {"eigencam": -0.3}), frame_of(12))
    assert verdict.worse == ["eigencam"]
    score, chance = (verdict.scores[name].mean for name in ("eigencam", "random"))
    assert sentences(verdict)[0] == (
        "Do not trust EigenCAM here: it does worse than a random map "
        f"({score:.2f} against {chance:.2f})."
    )


def test_a_method_like_chance_is_neither_recommended_nor_called_worse() -> None:
    verdict = judge(measured(12, {"gradcam": 0.1, "random": 0.1}, noise=0.2), frame_of(12))
    assert verdict.best is None
    assert verdict.undecided == ["gradcam"]
    assert not verdict.decided
    text = " ".join(sentences(verdict))
    assert "No method that can be trusted does better than a random map" in text
    assert "--frames 24" in text


def test_an_insane_method_is_never_recommended() -> None:
    verdict = judge(measured(12, MEANS), frame_of(12), insane=["layercam", "centre"])
    assert verdict.best == "gradcam"
    assert verdict.insane == ["layercam"]
    assert "whatever they score: LayerCAM (sanity check)" in " ".join(sentences(verdict))


def test_few_frames_never_decide() -> None:
    frames = LEAST_FRAMES - 1
    verdict = judge(measured(frames, MEANS, noise=0.001), frame_of(frames))
    assert not verdict.decided
    assert "too few to be sure" in sentences(verdict)[-1]


def test_a_single_frame_has_an_answer_without_certainty() -> None:
    verdict = judge({"layercam": [0.5], "random": [0.1]}, [0])
    assert verdict.best == "layercam"
    assert not verdict.decided


def test_baselines_are_never_recommended() -> None:
    verdict = judge(measured(12, MEANS | {"centre": 0.9}), frame_of(12))
    assert verdict.best == "layercam"
    assert "centre" not in verdict.ties


@pytest.mark.parametrize("count", [1, 2, 5, 16, 24])
def test_the_first_few_frames_are_spread_over_all(count: int) -> None:
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    if count >= 16:
        first = sorted(order[:LEAST_FRAMES])
        assert np.diff([-1, *first, count]).max() <= 8
