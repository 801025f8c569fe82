"""Detectors as ONNX files, from the command line: exported, inspected, run."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam
from tests.media import write_video
from tests.vision.scenes import grey, with_patch

LAZY = """
import sys
from streamcam.vision.build import build_engine
from streamcam.vision.models.registry import families, find_family
names = [name for family in families() for name in family.names()]
find_family("nano")
loaded = {"onnx", "onnxruntime"} & set(sys.modules)
sys.exit(", ".join(loaded) or None)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [with_patch(grey(120, 160), 10 + 20 * i, 30, 50) for i in range(3)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures)


def test_nano_is_exported_inspected_and_run(
    streamcam: Streamcam, tmp_path: Path, clip: Path
) -> None:
    file = tmp_path / "nano.onnx"
    exported = streamcam("models", "export", "nano", file)
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.strip() == str(file)
    shown = streamcam("models", "inspect", file)
    assert shown.returncode == 0, shown.stderr
    assert "yolo: [batch, 4 + classes, places]" in shown.stdout
    assert "level_1 [1, " in shown.stdout

    done = streamcam("run", clip, "-m", file, "--every", 1, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)[0]["outputs"]
    validator = jsonschema.Draft202012Validator(schemas.schema("record"))
    lines = Path(outputs["records"]).read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        validator.validate(json.loads(line))
    manifest = json.loads(Path(outputs["manifest"]).read_text())
    assert manifest["engine"]["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_nothing_of_it_is_loaded_for_others() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
