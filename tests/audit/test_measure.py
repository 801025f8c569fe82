"""An audit of a few methods on a drawn street, and the notebook's path beside it."""

from collections.abc import Iterator
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.audit.gradcam_comparison import PublishedEigenCam, stretch_error
from streamcam.audit.ground_truth import Sample
from streamcam.audit.measure import Audit
from streamcam.audit.scores import AuditReport, as_values, remarks
from streamcam.demo.source import DemoSource
from streamcam.errors import SourceError
from streamcam.types import Frame
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.engine import Engine
from streamcam.vision.models.detector import Detector
from tests.vision.methods.scenes import nano, street
from tests.vision.scenes import (
    TokenNetwork,
    engine,
    engine_around,
    frame,
    frames,
    grey,
    levels_of,
    noise,
    with_patch,
)

NAMES = {1: "person", 2: "bicycle", 3: "car", 6: "bus", 8: "truck", 17: "cat", 18: "dog"}


@pytest.fixture(scope="module")
def audited() -> Iterator[Engine]:
    plain = engine_around(nano(), EigenCam(levels_of("nano")))
    with plain:
        yield plain


def sample(time: float) -> Sample:
    """A frame of the street; the test's engine names classes by their numbers."""
    scene = DemoSource("demo://street?seed=1&width=384&height=216").scene
    truth = [replace(true, label=f"class {true.class_id}") for true in scene.truth(time)]
    return Sample(frame(street(time)), truth)


def clip() -> list[Frame]:
    return [frame(street(2 + index / 5), index, "clip") for index in range(3)]


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def report(audited: Engine, told: list[tuple[str, int, int]]) -> AuditReport:
    audit = Audit(
        audited,
        ["eigencam", "layercam", "gradcam"],
        top=2,
        progress=lambda *step: told.append(step),
    )
    return audit.run([sample(1.0), Sample(frame(grey(216, 384)))], clip())


def test_every_method_and_baseline_is_measured(report: AuditReport) -> None:
    assert list(report.methods) == ["eigencam", "layercam", "gradcam", "random", "centre"]
    assert (report.frames, report.boxes) == (1, 2), "an empty frame has nothing to explain"
    assert report.known == 2
    for scores in report.methods.values():
        assert 0 <= scores.deletion <= 1.2
        assert 0 <= scores.insertion <= 1.2
        assert -1 <= scores.road <= 1
        assert scores.flicker is not None
        assert scores.pointing in (0, 0.5, 1)


def test_layercam_beats_the_random_map(report: AuditReport) -> None:
    layercam, chance = report.methods["layercam"], report.methods["random"]
    assert layercam.deletion < chance.deletion
    assert layercam.insertion > chance.insertion
    assert layercam.road > chance.road
    assert layercam.pointing == 1
    assert (layercam.lift or 0) > 10 > 2 > (chance.lift or 9)


def test_the_centre_prior_fails_the_sanity_check_and_never_flickers(report: AuditReport) -> None:
    centre = report.methods["centre"]
    assert centre.similarity == pytest.approx(1)
    assert not centre.sane
    assert centre.flicker == 0
    assert report.methods["random"].sane
    assert report.methods["eigencam"].sane


def test_the_coarsest_level_alone_misses_boxes_that_all_levels_show(report: AuditReport) -> None:
    seen = report.visibility["layercam"]
    assert set(report.visibility) == {"layercam", "gradcam"}
    assert seen.every > 0.7 > 0.4 > seen.one


def test_the_published_recipe_equals_ours_with_its_settings(report: AuditReport) -> None:
    found = report.comparison
    assert found.error < 1e-4
    assert found.cells == ((7, 13), (14, 25))
    assert found.shift == pytest.approx(384 * (1 - 398 / 416))
    assert 0 <= found.inverted <= found.frames == 3
    assert report.published_flicker is not None


def test_examples_show_the_box_and_all_its_maps(report: AuditReport) -> None:
    (example,) = report.examples
    assert set(example.maps) == set(report.methods)
    assert set(example.frame_maps) == {"layercam", "gradcam"}


def test_progress_is_monotonic_and_ends(
    report: AuditReport, told: list[tuple[str, int, int]]
) -> None:
    del report
    done = [step for _, step, _ in told]
    assert done == sorted(done)
    assert told[-1][1] <= told[-1][2]
    assert {"detecting", "measuring layercam", "shuffling centre", "flicker of random"} <= {
        what for what, _, _ in told
    }


def test_a_detector_whose_weights_cannot_be_shuffled_is_audited_without_the_sanity_check() -> None:
    network = TokenNetwork()
    picture = with_patch(grey(70, 140), 28, 14, 42)
    with engine_around(Detector(network, 0.5), EigenCam(network.levels)) as plain:
        report = Audit(plain, ["eigencam", "gradcam"]).run([Sample(frame(picture))], [])
    assert {one.sane for one in report.methods.values()} == {None}
    assert {one.similarity for one in report.methods.values()} == {None}
    assert report.methods["gradcam"].deletion < 1
    assert "sanity check was left out" in " ".join(remarks(report))
    assert report.comparison.error < 1e-3
    assert report.comparison.cells == ((5, 10), (5, 10))
    values = as_values("patch.png", report, plain.description)
    jsonschema.Draft202012Validator(schemas.schema("audit")).validate(values)
    assert values["insane"] == []


def test_no_detections_are_an_error(audited: Engine) -> None:
    with pytest.raises(SourceError, match="nothing was detected"):
        Audit(audited, ["layercam"]).run([Sample(frame(grey(216, 384)))], [])


def test_the_published_recipe_leaves_no_hooks() -> None:
    with engine("nano", min_size=96, max_size=160) as plain:
        parts = list(plain.detector.network.module.modules())
        before = sum(len(part._forward_hooks) for part in parts)
        (result,) = plain.explain(frames([with_patch(noise(96, 160), 40, 20, 40)]))
        with PublishedEigenCam(plain.detector, plain.cam.levels) as published:
            made = published(result)
        assert sum(len(part._forward_hooks) for part in parts) == before
    assert made.heat.shape == (96, 160)
    assert made.projection.shape == (3, 5)
    assert np.isfinite(made.heat).all()


def test_stretching_over_the_padding_shifts_the_far_corner() -> None:
    assert stretch_error(Letterbox((1080, 1920), (750, 1333), (768, 1344))) == pytest.approx(
        25.3, abs=0.1
    )
    assert stretch_error(Letterbox((300, 300), (300, 300), (300, 300))) == 0
