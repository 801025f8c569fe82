"""The published recipe and the detector alone give the same results as streamcam."""

import cv2
import numpy as np
import pytest
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from torchvision.ops import box_iou

from streamcam.audit.gradcam_comparison import projection_as_published
from streamcam.bench.gradcam_baseline import Floats, build_gradcam_baseline
from streamcam.bench.stage_times import ENGINE_STAGES, DetectorOnly, StageClock
from streamcam.demo.source import DemoSource
from streamcam.pipeline.engine_provider import model_options
from streamcam.types import Frame, Picture
from streamcam.vision.engine import Engine
from tests.vision.scenes import MOBILENET, frame, settings_of
from tests.vision.scenes import build as build_engine

SCENE = DemoSource("demo://street?width=320&height=180")


def scene(seconds: float, index: int = 0) -> Frame:
    return frame(SCENE.scene.picture(seconds), index)


def build(model: str, **settings: object) -> Engine:
    weights = None if model == "nano" else "random"
    return build_engine(name=model, weights=weights, device="cpu", **settings)


def drawn_as_published(projection: Floats, picture: Picture) -> Floats:
    """What grad-cam makes of a component: cut below zero, scaled, enlarged, scaled again."""
    height, width = picture.shape[:2]
    enlarged = scale_cam_image(np.maximum(projection, 0)[None], (width, height))
    return scale_cam_image(enlarged)[0]


@pytest.mark.parametrize("model", ["nano", MOBILENET])
def test_the_recipes_map_equals_ours_with_its_settings(model: str) -> None:
    picture = scene(1.0).picture
    height, width = picture.shape[:2]
    weights = None if model == "nano" else "random"
    with (
        build(model, precision="fp32") as engine,
        build_gradcam_baseline(
            engine, model_options(settings_of(name=model, weights=weights))
        ) as baseline,
    ):
        theirs = baseline.explain(picture)
        ours, _ = projection_as_published(engine.detector, engine.cam.levels, picture)
    assert theirs.heat.shape == (height, width)
    errors = [np.abs(drawn_as_published(s * ours, picture) - theirs.heat).max() for s in (1, -1)]
    assert min(errors) < 2e-3, "of a range of 0 to 1, up to the sign"
    assert np.ptp(theirs.heat) > 0.5


def test_the_recipe_finds_and_draws_the_same_boxes() -> None:
    nano = model_options(settings_of())
    with (
        build("nano", precision="fp32") as engine,
        build_gradcam_baseline(engine, nano) as baseline,
    ):
        (ours,) = engine.explain([scene(1.0)])
        theirs = baseline.explain(ours.frame.picture)
    order = np.argsort([-d.confidence for d in ours.detections])
    boxes = np.array([ours.detections[i].box for i in order])
    assert len(boxes) == len(theirs.boxes) > 3
    assert np.abs(np.clip(theirs.boxes, 0, [320, 180] * 2) - boxes).max() < 0.1
    assert theirs.picture.shape == ours.frame.picture.shape
    changed = cv2.absdiff(theirs.picture, ours.frame.picture).max(axis=2)
    assert (changed > 0).mean() > 0.5


def test_the_recipe_around_a_detector_without_a_published_module_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nano = model_options(settings_of())
    picture = scene(1.0).picture
    with build("nano", precision="fp32") as engine:
        with build_gradcam_baseline(engine, nano) as baseline:
            published = baseline.explain(picture)
        monkeypatch.setattr("streamcam.bench.gradcam_baseline.load_module", lambda _model: None)
        with build_gradcam_baseline(engine, nano) as baseline:
            made = baseline.explain(picture)
    assert np.abs(made.boxes - published.boxes).max() < 0.1
    assert np.array_equal(made.labels, published.labels)
    assert np.abs(made.heat - published.heat).max() < 0.01


def test_the_detector_alone_finds_the_same_boxes() -> None:
    frames = [scene(seconds, index) for index, seconds in enumerate((0.5, 1.0, 1.5))]
    with build("nano", precision="fp32", batch=2) as engine:
        results = engine.explain(frames)
        alone = DetectorOnly(engine.detector, [one.picture for one in frames])
        alone.choose_batch()
        assert alone.batch in (1, 2)
        assert alone.run(0.2) == sum(len(result.detections) for result in results) > 5


def test_timing_the_stages_changes_no_result() -> None:
    frames = [scene(seconds, index) for index, seconds in enumerate((0.5, 1.0))]
    with build("nano") as engine:
        plain = engine.explain(frames)
        engine.forget(frames[0].source)
        timed, seconds = StageClock(engine).explain(frames)
    assert list(seconds) == list(ENGINE_STAGES)
    assert all(value > 0 for value in seconds.values())
    for one, other in zip(plain, timed, strict=True):
        assert [d.box for d in one.detections] == [d.box for d in other.detections]
        assert np.array_equal(one.explanation.map, other.explanation.map)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_all_runs_agree_on_a_gpu() -> None:
    frames = [scene(seconds, index) for index, seconds in enumerate((0.5, 1.0, 1.5))]
    with (
        build_engine(device="cuda", precision="fp16", batch=4) as engine,
        build_gradcam_baseline(engine, model_options(settings_of())) as baseline,
    ):
        results, seconds = StageClock(engine).explain(frames)
        alone = DetectorOnly(engine.detector, [one.picture for one in frames])
        alone.choose_batch()
        found = alone.run(engine.description.confidence)
        theirs = sum(len(baseline.explain(one.picture).boxes) for one in frames)
    assert found == sum(len(result.detections) for result in results) > 5
    assert abs(theirs - found) <= 2, "half precision moves a box across the threshold at most"
    assert set(seconds) == set(ENGINE_STAGES)


def test_half_precision_gives_the_same_detections_and_maps() -> None:
    frames = [scene(seconds, index) for index, seconds in enumerate((0.5, 1.5, 2.5))]
    with build("nano", precision="fp32") as exact, build("nano", precision="bf16") as quick:
        pairs = list(zip(exact.explain(frames), quick.explain(frames), strict=True))
    compared = 0
    for full, half in pairs:
        assert np.abs(full.explanation.map - half.explanation.map).mean() < 0.02
        for wanted in full.detections:
            # Half precision may move a score by a few hundredths: over the threshold and back.
            if wanted.confidence < 0.3:
                continue
            same = [d for d in half.detections if d.class_id == wanted.class_id]
            overlap = box_iou(torch.tensor([wanted.box]), torch.tensor([d.box for d in same]))
            assert overlap.max() > 0.9
            nearest = same[int(overlap.argmax())]
            assert nearest.confidence == pytest.approx(wanted.confidence, abs=0.05)
            compared += 1
    assert compared > 5
