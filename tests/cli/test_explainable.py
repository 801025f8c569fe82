"""`streamcam models explainable`: what a detector gives for one picture, and what explains it."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.cli.app import main
from tests.vision.scenes import grey, noise, with_patch


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command in this process; return what it prints."""
    with pytest.raises(SystemExit) as ended:
        main(["models", "explainable", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    return out


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), with_patch(grey(90, 160), 60, 20, 50))
    return path


def test_a_detector_is_tried_by_every_method(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, picture: Path
) -> None:
    options = ("--weights", "random", "--confidence", 0, "--imgsz", 128)
    out = run(capsys, "nano", "--image", picture, "-o", tmp_path, "--json", *options)
    tried: dict[str, Any] = json.loads(out)
    assert (tried["model"], tried["weights"]) == ("nano", "random")
    assert tried["canvas"][1] == 128
    assert len(tried["detections"]) > 0
    assert [level["stride"] for level in tried["levels"]][:2] == [[8, 8], [16, 16]]
    assert all(level["shape"][2] * level["stride"][1] == 128 for level in tried["levels"])
    assert list(tried["methods"]) == list(METHODS)
    assert all(one["seconds"] > 0 and not one["reason"] for one in tried["methods"].values())
    written = cv2.imread(tried["picture"])
    assert Path(tried["picture"]) == tmp_path / "nano.heatmap.jpg"
    assert written is not None
    assert written.shape[:2] == (90, 160)


def test_what_cannot_be_tried_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is detected in noise with confidence 1, so there is no box to explain."""
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), noise(64, 64))
    options = ("--weights", "random", "--confidence", 1, "--imgsz", 64)
    out = run(capsys, "nano", "--image", path, "-o", tmp_path, *options)
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert "0 boxes above 1" in out
    assert "ms" in lines[EIGENCAM]
    for name in METHODS.keys() - {EIGENCAM}:
        assert "nothing was detected in the picture" in lines[name]
    assert f"picture: {tmp_path / 'nano.heatmap.jpg'}" in out
