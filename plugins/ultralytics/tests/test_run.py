"""A checkpoint of Ultralytics through the command line, from video to records."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
from random_models import random_model, saved

from streamcam import schemas
from streamcam.cam_methods import METHODS
from tests.cli.conftest import Streamcam

SCENE = "demo://street?seconds=1&fps=4&seed=3&width=320&height=180"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    return saved(random_model("yolo11n.yaml"), folder / "yolo11n.pt")


@pytest.mark.parametrize("method", ["eigencam", "gradcam"])
def test_a_video_is_explained(
    streamcam: Streamcam, checkpoint: Path, tmp_path: Path, method: str
) -> None:
    done = streamcam(
        *("run", SCENE, "--model", checkpoint, "--trust", "--method", method, "--why-top", 1),
        *("--confidence", 0.5, "-o", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    (records,) = tmp_path.rglob("*.detections.jsonl")
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 4
    for line in lines:
        jsonschema.validate(line, schemas.schema("record"))
        assert line["cam"]["method"] == method
        assert len(line["detections"]) > 0
        assert all(0 <= one["class_id"] < 80 for one in line["detections"])
    (manifest,) = (json.loads(path.read_text()) for path in tmp_path.rglob("*.manifest.json"))
    jsonschema.validate(manifest, schemas.schema("manifest"))
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert digest in json.dumps(manifest)
    assert next(tmp_path.rglob("*.heatmap.mp4")).stat().st_size > 1000


def test_a_file_that_is_not_trusted_is_refused(
    streamcam: Streamcam, checkpoint: Path, tmp_path: Path
) -> None:
    done = streamcam("run", SCENE, "--model", checkpoint, "-o", tmp_path)
    assert done.returncode == 2
    assert "is a pickle, which can run any code" in " ".join(done.stderr.split())
    assert "--trust" in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_method_explains_it(streamcam: Streamcam, checkpoint: Path, tmp_path: Path) -> None:
    done = streamcam(
        *("models", "explainable", checkpoint, "--trust", "--confidence", 0.5),
        *("--imgsz", 64, "--json", "-o", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    assert [level["name"] for level in tried["levels"]] == ["p3", "p4", "p5"]
    assert list(tried["methods"]) == list(METHODS)
    assert [name for name, one in tried["methods"].items() if one["reason"]] == []
    assert Path(tried["picture"]).is_file()
