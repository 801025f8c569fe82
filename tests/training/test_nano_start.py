"""What training starts from: converted weights, labelled frames, a teacher; what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import NANO_CATEGORIES, load_nano, read_nano
from streamcam.vision.models.nano_network import Nano
from tests.media import write_video
from training import convert_nanodet, interpolate, label_frames
from training.evaluate_teacher import evaluate_teacher
from training.nano_file import save_nano
from training.nano_loss import nano_losses
from training.scenes import street_photo


@pytest.fixture(autouse=True)
def _seeded_and_alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def graph_of(model: Nano, folder: Path) -> Path:
    """The network as a TensorFlow.js graph in half precision, blue first, nodes in any order."""
    nodes: list[dict[str, Any]] = []
    weights: list[dict[str, Any]] = []
    content = b""
    own = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    for number, part in enumerate(own):
        convolution = "convolution" + (f"_{number}" if number else "")
        weight = part.weight.flip(1) if number == 0 else part.weight
        arrays = {f"w{number}": weight.permute(2, 3, 1, 0), f"b{number}": part.bias}
        for name, tensor in arrays.items():
            assert tensor is not None
            array = tensor.detach().half().numpy()
            kind = {"dtype": "float16", "original_dtype": "float32"}
            weights.append({"name": name, "shape": array.shape, "quantization": kind})
            content += array.tobytes()
        nodes.insert(0, {"op": "Conv2D", "name": convolution, "input": ["x", f"w{number}"]})
        nodes.append({"op": "Add", "name": f"a{number}", "input": [convolution, f"b{number}"]})
    text = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": weights}]}
    (folder / "net.json").write_text(json.dumps(text))
    (folder / "net.bin").write_bytes(content)
    return folder / "net.json"


def test_a_graph_becomes_our_network_with_red_first(tmp_path: Path) -> None:
    original = load_nano(NANO_FILE)
    graph = graph_of(original, tmp_path)
    convert_nanodet.main([str(graph), str(tmp_path / "start.safetensors")])
    converted = load_nano(tmp_path / "start.safetensors")
    for name, value in original.state_dict().items():
        torch.testing.assert_close(converted.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    metadata = read_nano(tmp_path / "start.safetensors")[1]
    assert "RangiLyu" in json.loads(metadata["origin"])["network"]


def test_another_graph_and_a_cut_one_are_refused(tmp_path: Path) -> None:
    graph = graph_of(load_nano(NANO_FILE), tmp_path)
    binary = tmp_path / "net.bin"
    binary.write_bytes(binary.read_bytes() + b"more")
    with pytest.raises(ValueError, match="the file has"):
        convert_nanodet.convert(graph)
    other = graph_of(Nano({1: "person"}), tmp_path)
    with pytest.raises(ValueError, match="another network"):
        convert_nanodet.convert(other)


def test_mixed_weights_lie_between_both(tmp_path: Path) -> None:
    start, trained, mixed = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c"))
    save_nano(Nano(NANO_CATEGORIES), start)
    save_nano(load_nano(NANO_FILE), trained, {"weights": "there"}, {"samples": "8"})
    interpolate.main([str(start), str(trained), str(mixed), "--share", "0.25"])
    name = "head.levels.0.2.bias"
    a, b, c = (read_nano(path)[0][name].float() for path in (start, trained, mixed))
    torch.testing.assert_close(c, a + 0.25 * (b - a), atol=2e-2, rtol=1e-2)
    metadata = read_nano(mixed)[1]
    assert json.loads(metadata["training"]) == {"samples": "8", "share": "0.25"}
    assert json.loads(metadata["origin"]) == {"weights": "there"}


def test_frames_are_labelled_with_the_classes_of_the_data(tmp_path: Path) -> None:
    street = street_photo(1, 2.0).pixels
    write_video(tmp_path / "clip.mp4", [street] * 3)
    (tmp_path / "data").mkdir()
    classes = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "data" / "train.json").write_text(json.dumps(classes))
    label_frames.main(
        [
            str(tmp_path / "clip.mp4"),
            *("--weights", str(NANO_FILE), "--data", str(tmp_path / "data")),
            *("--output", str(tmp_path / "frames")),
        ]
    )
    found = json.loads((tmp_path / "frames" / "train.json").read_text())
    assert len(found["images"]) == 3
    assert {each["category_id"] for each in found["annotations"]} == {1}
    assert all((tmp_path / "frames" / each["file_name"]).is_file() for each in found["images"])


def test_a_network_forgets_nothing_of_itself(tmp_path: Path) -> None:
    pictures = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}
    (tmp_path / "val.json").write_text(json.dumps(pictures))
    cv2.imwrite(str(tmp_path / "a.png"), street_photo(1, 2.0).pixels[..., ::-1])
    same, other = load_nano(NANO_FILE), Nano(NANO_CATEGORIES)
    assert evaluate_teacher(same, load_nano(NANO_FILE), tmp_path).mean.ap50 == pytest.approx(1.0)
    assert evaluate_teacher(same, other, tmp_path).mean.ap50 < 0.1


def test_unlabelled_classes_are_learnt_from_the_teacher() -> None:
    """A network that is its own teacher has nothing to learn of them; another one has."""
    teacher, student = load_nano(NANO_FILE), Nano(NANO_CATEGORIES)
    pixels = torch.from_numpy(np.ascontiguousarray(street_photo(1, 2.0).pixels[:320, :320]))
    batch = (pixels.permute(2, 0, 1)[None] / 255 - 0.45) / 0.22
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    labelled = torch.zeros(len(NANO_CATEGORIES), dtype=torch.bool)
    with torch.no_grad():
        taught = teacher.predict(batch)
        own = nano_losses(teacher, batch, [target], taught, labelled)
    assert float(own["teacher"]) == pytest.approx(0, abs=1e-5)
    losses = nano_losses(student, batch, [target], taught, labelled)
    assert losses["teacher"].item() > 0.1
    assert losses["classification"].item() > 10 * float(own["classification"])
    losses["teacher"].backward()
    assert student.head.levels[0][2].weight.grad.abs().sum() > 0  # type: ignore[index,union-attr]
