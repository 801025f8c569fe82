"""What the README shows in Python works as it stands there."""

import re
from pathlib import Path

import cv2
import pytest

from streamcam.demo.source import DemoSource

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.strip().splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    picture = DemoSource("demo://street?seed=1").scene.picture(1.0)
    cv2.imwrite("street.jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    exec(compile(example, "README.md", "exec"), {})
    *found, last = capsys.readouterr().out.splitlines()
    assert any(line.startswith("person 0.") for line in found)
    assert last.startswith("(")
    annotated = cv2.imread("street.heatmap.jpg")
    assert annotated.shape == (432, 768, 3)
