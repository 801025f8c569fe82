"""`streamcam models` as a subprocess; nothing leaves this machine."""

import json
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from tests.cli.conftest import Streamcam
from tests.media import flat, write_video

NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
"""Every request goes to a closed port of this machine."""


def test_import_use_verify_and_path(streamcam: Streamcam, tmp_path: Path) -> None:
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    (tmp_path / "labels.txt").write_text("fox\nhen\n")
    own = {"XDG_DATA_HOME": str(tmp_path)}
    labels = ("--labels", tmp_path / "labels.txt")
    added = streamcam("models", "import", tmp_path / "own.pth", "--name", "farm", *labels, **own)
    assert added.returncode == 0, added.stderr
    assert "farm: ssdlite320_mobilenet_v3_large, 3 classes" in added.stdout

    clip = write_video(tmp_path / "clip.mp4", [flat(64, 48, (90, 120, 60))] * 3)
    done = streamcam("run", clip, "-m", "farm", "-o", tmp_path / "out", "--json", **own)
    assert done.returncode == 0, done.stderr
    manifest = json.loads(Path(json.loads(done.stdout)[0]["outputs"]["manifest"]).read_text())
    assert manifest["engine"]["model"] == "farm"
    assert manifest["engine"]["classes"] == ["background", "fox", "hen"]

    weights = Path(streamcam("models", "path", "farm", **own).stdout.strip())
    assert weights.is_file()
    assert streamcam("models", "verify", "farm", **own).returncode == 0
    weights.write_bytes(weights.read_bytes()[:-10])
    damaged = streamcam("models", "verify", "farm", "--json", **own)
    assert damaged.returncode == 1
    assert json.loads(damaged.stdout)[0]["state"] == "damaged"


@pytest.mark.parametrize("command", ["pull", "run"])
def test_without_a_network_the_hint_has_url_and_folder(
    streamcam: Streamcam, tmp_path: Path, command: str
) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    clip = write_video(tmp_path / "clip.mp4", [flat(64, 48, (90, 120, 60))] * 3)
    arguments = {"pull": [name], "run": [clip, "-m", name, "-o", tmp_path / "out"]}[command]
    words = ["models", "pull"] if command == "pull" else ["run"]
    done = streamcam(*words, *arguments, TORCH_HOME=str(tmp_path / "torch"), **NO_NETWORK)
    assert done.returncode == 69
    assert f"the weights of {name} are not here and cannot be fetched" in done.stderr
    assert "Errno" not in done.stderr
    assert f"{name}" in done.stderr.splitlines()[-1]
    assert str(tmp_path / "torch") in done.stderr
    assert "nano" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_names_suggest_near_ones(streamcam: Streamcam) -> None:
    done = streamcam("models", "pull", "retinanet_resnet50")
    assert done.returncode == 2
    assert "retinanet_resnet50_fpn" in done.stderr


def test_models_lists_every_detector(streamcam: Streamcam) -> None:
    cards = {
        card["name"]: card for card in json.loads(streamcam("models", "list", "--json").stdout)
    }
    assert {"nano", "fasterrcnn_resnet50_fpn_v2", "ssdlite320_mobilenet_v3_large"} <= set(cards)
    assert len(cards) == 13
    table = streamcam("models", "list").stdout
    assert all(name in table for name in cards)


def test_the_list_shows_every_family_and_how_it_is_installed(streamcam: Streamcam) -> None:
    done = streamcam("models", "list", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    assert "installed" in lines["torchvision"]
    for family, example, install in (
        ("transformers", "hf:", "pip install 'streamcam[transformers]'"),
        ("ONNX", "detector.onnx", "pip install 'streamcam[onnx]'"),
        ("Ultralytics", "yolo11n.pt", "pip install streamcam-ultralytics"),
    ):
        assert example in lines[family]
        assert "installed" in lines[family] or install in lines[family]
