import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from streamcam.errors import UsageError, WeightsError, WeightsMismatchError
from streamcam.types import Frame
from streamcam.vision.models.library import (
    Library,
    WeightsState,
    list_models,
    recognise,
    verify,
    weights_file,
)
from streamcam.vision.models.nano_network import Nano
from tests.vision.scenes import build, module
from training.nano_file import save_nano

ARCHITECTURE = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of a user's own: three classes and the background."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("own") / "own.pth"
    torch.save({"model": module(ARCHITECTURE, num_classes=4).state_dict()}, path)
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("fox\nhen\ngoose\n", encoding="utf-8")
    return path


def test_an_imported_model_is_used_by_its_name(
    tmp_path: Path, checkpoint: Path, labels: Path
) -> None:
    library = Library(tmp_path / "models")
    added = library.add(checkpoint, "farm", labels=labels)
    assert added.architecture == ARCHITECTURE
    assert added.classes == {0: "background", 1: "fox", 2: "hen", 3: "goose"}
    engine = build(name="farm", library=library.folder, confidence=0.0, device="cpu")
    try:
        picture = np.zeros((64, 64, 3), np.uint8)
        (result,) = engine.explain([Frame("own", 0, 0, Fraction(1), 0.0, picture)])
    finally:
        engine.close()
    assert engine.description.weights_sha256 == added.sha256
    assert {detection.label for detection in result.detections} <= {"fox", "hen", "goose"}


def test_the_list_and_the_check_know_it(tmp_path: Path, checkpoint: Path) -> None:
    library = Library(tmp_path / "models")
    added = library.add(checkpoint, "farm")
    card = next(card for card in list_models(library) if card.name == "farm")
    assert (card.classes, card.present, card.origin) == (4, True, f"imported {ARCHITECTURE}")
    assert weights_file("farm", library) == added.weights
    assert [finding.state for finding in verify(["farm"], library)] == [WeightsState.WHOLE]
    damaged = bytearray(added.weights.read_bytes())
    damaged[-100] ^= 1
    added.weights.write_bytes(damaged)
    assert [finding.state for finding in verify(["farm"], library)] == [WeightsState.DAMAGED]


@pytest.mark.parametrize(
    "name", ["fcos_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "keypointrcnn_resnet50_fpn"]
)
def test_architecture_is_recognised_by_the_tensors(tmp_path: Path, name: str) -> None:
    state = module(name, num_classes=3).state_dict()
    path = tmp_path / "weights.safetensors"
    # What torch trains on a pretrained backbone has frozen norms, which do not count batches.
    save_file({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path)
    assert recognise(path) == name


def test_nano_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_nano(Nano({7: "fox"}), path)
    added = Library(tmp_path / "models").add(path, "small")
    assert (added.architecture, added.classes) == ("nano", {7: "fox"})


def test_detectors_that_look_alike_must_be_told_apart(tmp_path: Path) -> None:
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    path = tmp_path / "weights.pth"
    torch.save(module(name, num_classes=2).state_dict(), path)
    with pytest.raises(WeightsMismatchError, match="320_fpn or fasterrcnn") as caught:
        recognise(path)
    assert "--architecture" in (caught.value.hint or "")
    assert Library(tmp_path / "m").add(path, "own", architecture=name).architecture == name


def test_what_is_no_detector_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    library = Library(tmp_path / "models")
    other, text, cut = (tmp_path / name for name in ("other.pth", "text.pth", "cut.pth"))
    torch.save({"layer.weight": torch.zeros(3)}, other)
    text.write_text("not weights")
    cut.write_bytes(other.read_bytes()[:200])
    for file in (other, text, cut, tmp_path / "absent.pth"):
        with pytest.raises(WeightsError, match=file.name):
            library.add(file, "own")
    assert library.models() == []


def test_labels_must_fit(tmp_path: Path, checkpoint: Path, labels: Path) -> None:
    labels.write_text("one\ntwo\nthree\nfour\nfive\n")
    with pytest.raises(WeightsError, match="5 names for 4 classes"):
        Library(tmp_path / "models").add(checkpoint, "own", labels=labels)


@pytest.mark.parametrize("name", ["nano", "Big", "../up", "", ".hidden"])
def test_names_that_cannot_be_used(tmp_path: Path, checkpoint: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Library(tmp_path / "models").add(checkpoint, name)


def test_a_name_is_taken_over_only_when_asked(tmp_path: Path, checkpoint: Path) -> None:
    library = Library(tmp_path / "models")
    library.add(checkpoint, "own")
    with pytest.raises(UsageError, match="own"):
        library.add(checkpoint, "own")
    library.add(checkpoint, "own", replace=True)
    assert [model.name for model in library.models()] == ["own"]


def test_a_damaged_card_is_told(tmp_path: Path, checkpoint: Path) -> None:
    library = Library(tmp_path / "models")
    added = library.add(checkpoint, "own")
    added.weights.with_name("model.json").write_text(json.dumps({"architecture": "x"}))
    with pytest.raises(WeightsError, match="own is damaged"):
        library.find("own")
