"""Models of transformers on the command line, and that nobody else pays for them."""

import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam, environment
from tests.media import write_video
from tests.servers.hub import hub_server
from tests.vision.models.tiny_detectors import LABELS, save_tiny
from tests.vision.scenes import grey, noise, with_patch

OTHERS = {"transformers", "huggingface_hub", "timm", "onnxruntime", "ultralytics"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, [with_patch(grey(120, 160), 8 * step, 20, 64) for step in range(6)])
    return path


def test_a_model_of_the_hub_explains_a_clip(
    streamcam: Streamcam, clip: Path, tmp_path: Path
) -> None:
    folder = save_tiny("rt_detr_v2", tmp_path / "tiny")
    command = ["run", clip, "--model", "hf:someone/tiny", "--method", "layercam"]
    options = ["--confidence", "0", "--why-top", "2", "--every", "3", "--output", tmp_path / "out"]
    cache = str(tmp_path / "cache")
    with hub_server({"someone/tiny": folder}) as url:
        done = streamcam(*command, *options, HF_ENDPOINT=url, HF_HOME=cache)
    assert done.returncode == 0, done.stderr
    assert "fetching someone/tiny/model.safetensors" in done.stderr
    records = [
        json.loads(line)
        for line in (tmp_path / "out/clip.detections.jsonl").read_text("utf-8").splitlines()
    ]
    validator = jsonschema.Draft202012Validator(schemas.schema("record"))
    for record in records:
        validator.validate(record)
        assert record["cam"]["method"] == "layercam"
        assert {one["label"] for one in record["detections"]} <= set(LABELS.values())
        assert len(record["detections"]) == 20
    assert len(records) == 2
    manifest = json.loads((tmp_path / "out/clip.manifest.json").read_text("utf-8"))
    assert manifest["engine"]["model"] == "hf:someone/tiny"
    with av.open(str(tmp_path / "out/clip.heatmap.mp4")) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert pictures[0].shape == (120, 160, 3)
    assert pictures[0].std(axis=2).max() > 40, "heat has colours, the clip has none"


def test_a_model_that_cannot_be_fetched_ends_with_the_command_for_another_machine(
    streamcam: Streamcam, clip: Path, tmp_path: Path
) -> None:
    done = streamcam(
        *("run", clip, "--model", "hf:someone/lost@v1", "--output", tmp_path / "out"),
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path / "cache"),
    )
    assert done.returncode == 69
    assert "hf download someone/lost --revision v1 --local-dir lost" in done.stderr
    assert len(done.stderr.splitlines()) <= 4


def test_a_run_with_nano_loads_no_other_family(tmp_path: Path) -> None:
    picture = tmp_path / "noise.png"
    assert cv2.imwrite(str(picture), noise(96, 128))
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m", "streamcam"),
            *("run", picture, "--output", tmp_path / "out"),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "streamcam.vision.models.nano" in loaded
    assert not loaded & OTHERS
