"""The engine as the pipeline uses it."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from streamcam.errors import DeviceError, UsageError
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.engine import Engine
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import (
    Candidates,
    FeatureLevels,
    Levels,
    Network,
    Raw,
    Sizing,
    to_original,
)
from tests.vision.scenes import build, engine, engine_around, frame, frames, grey, noise, with_patch


class Small(Network):
    """A network with room for a few images, like a small GPU."""

    def __init__(self, room: int, error: Exception | None = None) -> None:
        super().__init__(
            sizing=Sizing(shortest=64, longest=96, mean=(128,) * 3, std=(64,) * 3),
            levels=FeatureLevels.of({"fine": 8, "pool": 32}),
            categories={},
        )
        self.room = room
        self.error = error or torch.OutOfMemoryError("no room")
        self.batches: list[int] = []

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        self.batches.append(len(placements))
        if len(placements) > self.room:
            raise self.error
        return {}, self.features(canvas)

    def features(self, canvas: Tensor) -> Levels:
        """Two levels of the image itself, made smaller."""
        pool = torch.nn.functional.avg_pool2d
        return {"fine": pool(canvas, 8), "pool": pool(canvas, 32)}

    def decode(self, _: Raw, placements: Sequence[Letterbox], __: float) -> list[Candidates]:
        boxes = torch.tensor([[-5.0, 8.0, 40.0, 32.0], [10.0, 10.0, 20.0, 200.0]])
        scores, class_ids = torch.tensor([0.4, 0.9]), torch.tensor([1, 2])
        return [Candidates(to_original(boxes, one), scores, class_ids) for one in placements]


def small_engine(room: int, batch: int = 8, error: Exception | None = None) -> tuple[Small, Engine]:
    network = Small(room, error)
    return network, engine_around(Detector(network, 0.3), EigenCam(network.levels), batch=batch)


class Overflowing(Small):
    """A network whose feature maps are not finite where the picture's last pixel is white."""

    def features(self, canvas: Tensor) -> Levels:
        levels = super().features(canvas)
        bright = canvas[:, 0, -1, -1] > 1.9
        return {
            name: level.masked_fill_(bright[:, None, None, None], torch.nan)
            for name, level in levels.items()
        }


def test_a_frame_whose_feature_maps_are_not_finite_has_no_map_and_the_others_have_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Overflowing(room=8)
    pictures = [with_patch(grey(64, 96, 60), 10 + i, 10, 20) for i in range(4)]
    whole = small_engine(room=8)[1].explain(frames(pictures))
    for index in (1, 3):
        pictures[index][-1, -1] = 255
    broken = engine_around(Detector(network, 0.3), EigenCam(network.levels))
    with caplog.at_level(logging.WARNING, "streamcam"):
        results = broken.explain(frames(pictures)) + broken.explain(frames(pictures))
    assert [result.explanation.has_map for result in results] == [True, False] * 4
    for result in results[1::2]:
        assert not result.explanation.map.any()
        assert result.explanation.explained_variance is None
        assert result.detections
        assert all(detection.focus.energy == 0 for detection in result.detections)
    for index in (0, 2):
        assert results[index].explanation.map == pytest.approx(
            whole[index].explanation.map, abs=0.05
        )
        assert results[index].explanation.map.max() > 0.2
    assert caplog.text.count("such frames have no map") == 1


def test_a_batch_that_does_not_fit_is_halved_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network, halving = small_engine(room=3)
    pictures = [with_patch(grey(64, 96), 10 + i, 10, 30) for i in range(10)]
    with caplog.at_level(logging.WARNING, "streamcam"):
        results = halving.explain(frames(pictures))
        halving.explain(frames(pictures))
    assert [r.frame.index for r in results] == list(range(10))
    assert network.batches == [8, 4, *[2] * 5, *[2] * 5]
    assert [record.message for record in caplog.records] == [
        "the GPU has no room for 8 frames at once; 4 from now on",
        "the GPU has no room for 4 frames at once; 2 from now on",
    ]


def test_maps_that_do_not_fit_are_made_of_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = small_engine(room=8)
    make, sizes = plain.cam, []

    def cramped(levels: dict[str, Tensor], placements: list[Letterbox], guesses: Any) -> Any:
        sizes.append(len(placements))
        if len(placements) > 2:
            raise torch.OutOfMemoryError("no room")
        return make(levels, placements, guesses)

    pictures = [with_patch(grey(64, 96), 10 + i, 10, 30) for i in range(8)]
    expected = [result.explanation.map for result in plain.explain(frames(pictures))]
    plain.forget("a")
    monkeypatch.setattr(plain, "cam", cramped)
    results = plain.explain(frames(pictures))
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert [r.frame.index for r in results] == list(range(8))
    for result, heat in zip(results, expected, strict=True):
        assert np.allclose(result.explanation.map, heat, atol=1e-3)


def test_the_limit_that_one_step_found_is_not_raised_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, plain = small_engine(room=8)
    pictures = [with_patch(grey(64, 96), 10 + i, 10, 30) for i in range(8)]
    make = plain.cam

    def cramped(levels: dict[str, Tensor], placements: list[Letterbox], guesses: Any) -> Any:
        if len(placements) == 8:
            raise torch.OutOfMemoryError("no room")
        return make(levels, placements, guesses)

    monkeypatch.setattr(plain, "cam", cramped)
    first = plain.forward(plain.preprocess(frames(pictures)))
    network.room = 2
    second = plain.forward(plain.preprocess(frames(pictures)))
    assert plain.batch == 2
    assert len(plain.postprocess(first) + plain.postprocess(second)) == 16
    assert network.batches == [8, 8, 4, *[2] * 4, *[2] * 4]


def test_a_batch_may_begin_before_the_one_before_it_is_done() -> None:
    pictures = [with_patch(grey(64, 96), 10 + i, 10, 30) for i in range(6)]
    _, plain = small_engine(room=9)
    expected = plain.explain(frames(pictures)[:3]) + plain.explain(frames(pictures)[3:])
    plain.forget("a")
    first = plain.preprocess(frames(pictures)[:3])
    second, forwarded_first = plain.preprocess(frames(pictures)[3:]), plain.forward(first)
    forwarded_second = plain.forward(second)
    results = plain.postprocess(forwarded_first) + plain.postprocess(forwarded_second)
    assert [r.frame.index for r in results] == list(range(6))
    for result, one in zip(results, expected, strict=True):
        assert result.detections == one.detections
        assert np.array_equal(result.explanation.map, one.explanation.map)
        assert result.explanation.flicker == one.explanation.flicker


def test_no_room_for_a_single_frame_is_an_error() -> None:
    _, halving = small_engine(room=0)
    with pytest.raises(DeviceError, match="single frame"):
        halving.explain(frames([grey(64, 96)] * 3))


def test_a_broken_gpu_is_an_error() -> None:
    _, broken = small_engine(room=0, error=RuntimeError("CUDA error: unspecified launch failure"))
    with pytest.raises(DeviceError, match="unspecified launch failure"):
        broken.explain(frames([grey(64, 96)]))


def test_a_defect_stays_visible() -> None:
    _, broken = small_engine(room=0, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        broken.explain(frames([grey(64, 96)]))


def test_detections_are_clipped_sorted_and_scored() -> None:
    _, plain = small_engine(room=9)
    (result,) = plain.explain(frames([with_patch(grey(64, 96), 4, 12, 16)]))
    first, second = result.detections
    assert (first.class_id, second.class_id) == (2, 1)
    assert first.confidence == pytest.approx(0.9)
    assert first.box == (10.0, 10.0, 20.0, 64.0)
    assert second.box == (0.0, 8.0, 40.0, 32.0)
    assert second.focus.energy > 0.9
    assert second.focus.lift > 3
    assert second.focus.peak_inside
    assert result.explanation.method == "eigencam"


def test_no_frames_no_results() -> None:
    _, plain = small_engine(room=9)
    assert plain.explain([]) == []


def test_frames_of_many_sources_and_sizes_come_back_in_order() -> None:
    """A frame's result is the same alone and among others, to the last bits."""
    pictures = [with_patch(grey(96, 160), 20 + 9 * i, 30, 40, seed=i) for i in range(4)]
    others = [with_patch(grey(160, 96), 20, 30 + 9 * i, 40, seed=i) for i in range(4)]
    mixed = [
        one
        for i in range(4)
        for one in (frame(pictures[i], i, "wide"), frame(others[i], i, "high"))
    ]
    sizes = {"min_size": 96, "max_size": 160}
    with engine("nano", batch=3, **sizes) as some, engine("nano", batch=1, **sizes) as single:
        together = some.explain(mixed)
        alone = [single.explain([one])[0] for one in mixed]
    assert [r.frame for r in together] == mixed
    for one, other in zip(together, alone, strict=True):
        difference = np.abs(one.explanation.map - other.explanation.map)
        assert one.explanation.map.shape == other.explanation.map.shape
        if one.frame.source == "wide":
            assert difference.mean() < 0.15, "only the padding around it differs"
        assert (one.explanation.flicker is None) == (one.frame.index == 0)


def test_a_source_that_ended_is_forgotten() -> None:
    _, plain = small_engine(room=9)
    pictures = [with_patch(grey(64, 96), 10, 10, 30)] * 2
    assert plain.explain(frames(pictures))[1].explanation.flicker == pytest.approx(0)
    plain.forget("a")
    plain.forget("never seen")
    assert plain.explain(frames(pictures))[0].explanation.flicker is None


def test_it_describes_itself() -> None:
    with build(weights="random", confidence=0.25, batch=4, precision="fp32") as built:
        told = built.description
    assert (told.model, told.weights, told.weights_sha256) == ("nano", "random", None)
    assert (told.method, told.device, told.precision) == ("eigencam", "cpu", "fp32")
    assert (told.confidence, told.grid, told.batch) == (0.25, "fine", 4)
    assert told.classes[18] == "dog"
    assert told.versions["torch"] == torch.__version__


def test_only_wanted_classes_are_kept() -> None:
    with build(weights="random", confidence=0.0, classes=["Dog", "cat"]) as built:
        (result,) = built.explain([frame(noise(96, 160))])
    assert {d.label for d in result.detections} <= {"dog", "cat"}


def test_an_unknown_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="persn") as caught:
        build(weights="random", classes=["persn"])
    assert caught.value.hint is not None
    assert "person" in caught.value.hint


@pytest.mark.parametrize(("option", "value"), [("layer", "head"), ("layout", "yolo")])
def test_an_option_that_a_model_has_no_use_for_is_refused(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"nano takes no --{option}"):
        build(**{option: value})
