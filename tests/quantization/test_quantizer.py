"""The built-in detector in int8, calibrated on the drawn street."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import openvino
import pytest
from torchvision.ops import box_iou

from streamcam.config import Settings
from streamcam.errors import SourceError, UsageError
from streamcam.quantization import agreement, int8_model, quantizer
from streamcam.quantization.footage import sample_footage
from streamcam.quantization.quantizer import QuantizationPlan, QuantizationReport, quantize_model
from streamcam.sources.limits import DEFAULT_LIMITS
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.library import Library, WeightsState, verify
from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import NanoFamily
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.quantized import digest_of

STREET = "demo://street?seconds=2"
SIZE = 320


def settings_of(library: Path, **model: object) -> Settings:
    return Settings.model_validate({"model": {"library": str(library), "imgsz": SIZE, **model}})


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return []


@pytest.fixture(scope="module")
def report(library: Library, steps: list[str]) -> QuantizationReport:
    def progress(what: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        steps.append(what)

    plan = QuantizationPlan(footage=STREET, name="quick", force=True)
    return quantize_model(plan, settings_of(library.folder), progress=progress)


def test_weights_and_activations_are_in_int8(report: QuantizationReport, library: Library) -> None:
    imported = library.find("quick")
    assert imported is not None
    assert imported.quantized is not None
    model = openvino.Core().read_model(imported.quantized.graph)
    operations = model.get_ops()
    kinds = [operation.get_type_name() for operation in operations]
    convolutions = kinds.count("Convolution")
    small = [
        operation
        for operation in operations
        if operation.get_type_name() == "Constant" and operation.get_element_type().bitwidth == 8
    ]
    assert convolutions == 34
    assert len(small) >= 0.8 * convolutions
    assert kinds.count("FakeQuantize") >= 30
    # A quarter of the float32 weights.
    assert imported.quantized.size < 0.35 * 4 * 3_800_000
    assert report.folder == library.folder / "quick"


def test_its_lineage_tells_what_it_was_made_of(
    report: QuantizationReport, library: Library
) -> None:
    content = json.loads((library.folder / "quick" / "model.json").read_text(encoding="utf-8"))
    lineage = content["quantized"]["lineage"]
    assert lineage["source"] == {
        "model": "nano",
        "weights": NANO_FILE.name,
        "sha256": digest_of((NANO_FILE,)),
    }
    assert lineage["footage"]["fingerprint"] == report.footage.fingerprint
    assert lineage["footage"]["calibration_frames"] == len(report.footage.calibration) > 0
    assert set(lineage["versions"]) == {"nncf", "openvino", "streamcam"}
    assert lineage["agreement"] == asdict(report.measured.agreement)
    assert [check.state for check in verify(["quick"], library)] == [WeightsState.WHOLE]


def test_the_figures_are_those_of_the_frames_that_were_held_out(
    report: QuantizationReport, library: Library
) -> None:
    imported = library.find("quick")
    assert imported is not None
    assert imported.quantized is not None
    network = NanoFamily().load("nano", LoadOptions(imgsz=SIZE)).network
    model = openvino.Core().read_model(imported.quantized.graph)
    int8 = OpenVinoNetwork(network, model, precision="int8")
    found = total = 0
    for picture in sample_footage(STREET, DEFAULT_LIMITS).held_out:
        (boxes,) = Detector(network, 0.5)([picture]).detections
        (others,) = Detector(int8, 0.45)([picture]).detections
        same = boxes.class_ids[:, None] == others.class_ids[None, :]
        hits = (box_iou(boxes.boxes, others.boxes) >= 0.5) & same
        found += int(hits.any(dim=1).sum())
        total += len(boxes.scores)
    measured = report.measured.agreement
    assert measured.frames == len(report.footage.held_out)
    assert measured.float_boxes == total > 0
    assert measured.found == pytest.approx(found / total, abs=1 / total)
    assert measured.found >= 0.9
    assert measured.map_low > 0.98
    assert report.measured.milliseconds > 0
    assert report.float_ms > 0


def test_progress_names_every_step(report: QuantizationReport, steps: list[str]) -> None:
    del report
    order = list(dict.fromkeys(re.sub(r" \d+", "", step) for step in steps))
    assert order == [
        "choosing frames",
        "running the float model",
        "calibrating",
        "comparing candidate",
        "running the int8 model",
    ]


def test_nothing_is_said_by_nncf(
    report: QuantizationReport, capfd: pytest.CaptureFixture[str]
) -> None:
    del report  # made before, or now: then its output is here
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "nncf" not in captured.err.casefold()


def test_what_agrees_too_little_is_kept_by_force_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "MIN_SIMILARITY", 1.1)
    # The float model itself: how it is quantized does not matter here.
    monkeypatch.setattr(int8_model, "make_int8", lambda detector, *_: converted(detector.network))
    plan = QuantizationPlan(footage=STREET, name="poor")
    settings = settings_of(tmp_path / "models")
    refused = quantize_model(plan, settings)
    assert refused.folder is None
    assert "1.1 is wanted" in (refused.measured.agreement.shortfall or "")
    assert not (tmp_path / "models").exists()
    kept = quantize_model(replace(plan, force=True), settings)
    assert kept.folder == tmp_path / "models" / "poor"
    assert np.isclose(kept.measured.agreement.map_mean, 1.0, atol=1e-3)


def test_what_is_in_int8_already_is_refused(report: QuantizationReport, library: Library) -> None:
    del report
    with pytest.raises(UsageError, match="quick is in int8 already"):
        quantize_model(
            QuantizationPlan(footage=STREET, name="again"),
            settings_of(library.folder, name="quick"),
        )


def test_a_name_that_is_taken_needs_overwrite(report: QuantizationReport, library: Library) -> None:
    del report
    with pytest.raises(UsageError, match="named quick"):
        quantize_model(QuantizationPlan(footage=STREET, name="quick"), settings_of(library.folder))


def test_missing_packages_and_footage_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(SourceError, match="no such file"):
        quantize_model(QuantizationPlan(footage=str(tmp_path / "no.mp4")), settings)
    monkeypatch.setattr(quantizer, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="needs openvino and nncf") as raised:
        quantize_model(QuantizationPlan(footage=STREET), settings)
    assert raised.value.hint == "pip install 'streamcam[quantize]'"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("nano", "nano-int8"),
        ("hf:PekingU/rtdetr_v2_r50vd", "rtdetr_v2_r50vd-int8"),
        ("/srv/My Models/Fork Lifts.onnx", "fork-lifts-int8"),
    ],
)
def test_the_name_follows_the_model(model: str, name: str) -> None:
    assert quantizer.default_name(model) == name
