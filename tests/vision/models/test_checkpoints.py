"""Users' own weights: what fits, and what is said about what does not."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from streamcam.errors import UsageError, WeightsError, WeightsMismatchError
from streamcam.vision.models.checkpoints import read_labels, read_state
from streamcam.vision.models.family import LoadedModule, LoadOptions, WeightsChoice
from streamcam.vision.models.library import Library
from streamcam.vision.models.torchvision import count_classes
from tests.vision.scenes import MOBILENET, SSDLITE, family_of, module

State = dict[str, Tensor]


def load(name: str, weights: WeightsChoice, labels: Path | None = None) -> LoadedModule:
    return family_of(name).load_module(name, LoadOptions(weights=weights, labels=labels))


def trained(name: str, **sizes: int) -> State:
    return module(name, **sizes).state_dict()


@pytest.fixture(scope="module")
def ssdlite() -> State:
    """Four classes and the background."""
    return trained(SSDLITE, num_classes=5)


def save(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("wrapping", ["bare", "model", "state_dict", "parallel", "safetensors"])
def test_checkpoints_of_all_kinds_are_read(tmp_path: Path, ssdlite: State, wrapping: str) -> None:
    path = tmp_path / "own.pth"
    if wrapping == "safetensors":
        path = tmp_path / "own.safetensors"
        save_file(ssdlite, path)
    elif wrapping == "parallel":
        save({"model": {f"module.{key}": value for key, value in ssdlite.items()}}, path)
    else:
        save(ssdlite if wrapping == "bare" else {wrapping: ssdlite, "epoch": 3}, path)
    loaded = load(SSDLITE, path)
    own = loaded.module.state_dict()
    assert all(torch.equal(own[key], value) for key, value in ssdlite.items())
    assert loaded.categories == {i: f"class {i}" for i in range(5)}
    assert loaded.weights == str(path)
    assert loaded.sha256 is not None


HEADS = [
    (MOBILENET, 7),
    (SSDLITE, 5),
    ("ssd300_vgg16", 4),
    ("retinanet_resnet50_fpn", 3),
    ("retinanet_resnet50_fpn_v2", 6),
    ("fcos_resnet50_fpn", 9),
]


@pytest.mark.parametrize(("name", "classes"), HEADS)
def test_the_class_count_is_read_from_the_head(name: str, classes: int) -> None:
    with torch.device("meta"):
        state = module(name, num_classes=classes).state_dict()
    assert count_classes(state) == classes


def test_a_key_point_detector_keeps_its_points(tmp_path: Path) -> None:
    name = "keypointrcnn_resnet50_fpn"
    path = save(trained(name, num_classes=2, num_keypoints=5), tmp_path / "points.pth")
    network = load(name, path).module
    predictor = network.get_submodule("roi_heads.keypoint_predictor.kps_score_lowres")
    assert predictor.out_channels == 5


def test_published_batch_norms_without_epsilon(tmp_path: Path) -> None:
    """Only for the published weights: a user's own were trained with one."""
    name = "fasterrcnn_resnet50_fpn"
    path = save(trained(name, num_classes=2), tmp_path / "own.pth")
    network = load(name, path).module
    assert network.get_submodule("backbone.body.bn1").eps == 1e-5


def test_weights_of_another_network_are_named(tmp_path: Path, ssdlite: State) -> None:
    path = save(ssdlite, tmp_path / "own.pth")
    with pytest.raises(WeightsMismatchError) as caught:
        load(MOBILENET, path)
    assert MOBILENET in caught.value.message
    assert "lacks" in caught.value.message
    assert len(caught.value.message) < 500


def test_other_sizes_are_named(tmp_path: Path, ssdlite: State) -> None:
    key = "backbone.features.0.0.0.weight"
    state = {**ssdlite, key: torch.zeros(8, 3, 3, 3)}
    with pytest.raises(WeightsMismatchError) as caught:
        load(SSDLITE, save(state, tmp_path / "own.pth"))
    assert f"{key} is 8x3x3x3 in the file, 16x3x3x3 in the model" in caught.value.message


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_not_finite_are_refused_by_the_tensors_name(
    tmp_path: Path, ssdlite: State, value: float
) -> None:
    key = "backbone.features.0.0.1.weight"
    broken = ssdlite[key].clone()
    broken[2] = value
    path = save({**ssdlite, key: broken}, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match=rf"{key} has values that are not finite"):
        load(SSDLITE, path)
    with pytest.raises(WeightsError, match=key):
        Library(tmp_path / "models").add(path, "own")
    assert not list(tmp_path.glob("models/*"))


def test_a_surplus_is_named(tmp_path: Path, ssdlite: State) -> None:
    state = {**ssdlite, **{f"extra.{i}": torch.zeros(1) for i in range(9)}}
    with pytest.raises(WeightsMismatchError, match=r"extra\.0, extra\.1, extra\.2 and 6 more"):
        load(SSDLITE, save(state, tmp_path / "own.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"this is no checkpoint", b"PK\x03\x04" + b"\0" * 64])
def test_what_holds_no_weights_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"own{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"own\.") as caught:
        read_state(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, ssdlite: State, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    (save_file if suffix == ".safetensors" else save)(ssdlite, path)  # type: ignore[operator]
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="whole"):
        read_state(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file"):
        read_state(tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="own"):
        load(SSDLITE, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="own"):
        load("nano", tmp_path / "own.safetensors")


@pytest.mark.parametrize("model", [SSDLITE, "nano"])
def test_a_folder_is_no_file_with_weights(tmp_path: Path, model: str) -> None:
    with pytest.raises(UsageError, match="is a folder, not a file with weights") as caught:
        load(model, tmp_path)
    assert f"--model {tmp_path}" in (caught.value.hint or "")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harm-was-done"),)  # type: ignore[return-value]


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        (tmp_path / "own.pth").write_bytes(pickle.dumps(Harmful(), protocol))
        with pytest.raises(WeightsError):
            read_state(tmp_path / "own.pth")
    torch.save({"model": Harmful()}, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="more than weights"):
        read_state(tmp_path / "own.pth")
    assert not (tmp_path / "harm-was-done").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3)])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match="holds"):
        read_state(save(content, tmp_path / "own.pth"))


def labels_file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "fox\nhen\n\ngoose\n", {0: "background", 1: "fox", 2: "hen", 3: "goose"}),
        ("a.txt", "nothing\nfox\nhen\ngoose", {0: "nothing", 1: "fox", 2: "hen", 3: "goose"}),
        ("a.json", '["fox", "hen", "goose"]', {0: "background", 1: "fox", 2: "hen", 3: "goose"}),
        ("a.json", '{"1": "fox", "3": "goose"}', {1: "fox", 3: "goose", 2: "class 2"}),
    ],
)
def test_labels_are_read(tmp_path: Path, name: str, text: str, expected: dict[int, str]) -> None:
    labels = read_labels(labels_file(tmp_path, name, text), range(4))
    assert labels.items() >= expected.items()
    assert set(labels) == set(range(4))


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.txt", "fox\nhen\n", "2 names for 4 classes"),
        ("a.json", json.dumps({"9": "fox"}), "class 9"),
        ("a.json", "{", "cannot be read"),
        ("a.json", '{"one": "fox"}', "cannot be read"),
        ("a.json", "3", "cannot be read"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, text: str, match: str
) -> None:
    with pytest.raises(WeightsError, match=match):
        read_labels(labels_file(tmp_path, name, text), range(4))


def test_missing_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_labels(tmp_path / "none.txt", range(4))


def test_labels_name_the_classes_of_a_checkpoint(tmp_path: Path, ssdlite: State) -> None:
    path = save(ssdlite, tmp_path / "own.pth")
    labels = labels_file(tmp_path, "own.txt", "fox\nhen\ngoose\nowl")
    classes = load(SSDLITE, path, labels).categories
    assert classes == {0: "background", 1: "fox", 2: "hen", 3: "goose", 4: "owl"}


def test_random_weights_are_the_same_every_time_and_have_no_labels(tmp_path: Path) -> None:
    name = "nano"
    first, second = (load(name, "random").module.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    with pytest.raises(UsageError):
        load(name, "random", tmp_path / "labels.txt")
