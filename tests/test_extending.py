"""docs/extending.md: each example works as it stands there and touches as few files as it says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamcam.demo.source import DemoSource
from tests.cli.conftest import environment
from tests.distributions import install

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SCENE = "demo://street?seconds=2&fps=5&seed=3&width=320&height=180"


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)


def installed(title: str, folder: Path, group: str) -> Path:
    """Install the distribution that a section describes."""
    (code,) = blocks(title, "python")
    name = re.match(r"# (\w+)\.py\n", code)
    assert name is not None
    points = next(block for block in blocks(title, "toml") if "entry-points" in block)
    entries = "".join(line.replace('"', "") + "\n" for line in points.splitlines()[2:])
    folder.mkdir()
    install(folder, name[1], code, f"[{group}]\n{entries}")
    return folder


def changed(title: str, folder: Path) -> list[str]:
    """Apply the changes of a section to a copy of the package; return the files that they touch."""
    shutil.copytree(
        ROOT / "streamcam", folder / "streamcam", ignore=shutil.ignore_patterns("__pycache__")
    )
    touched = []
    for block in blocks(title, "diff"):
        for change in re.split(r"(?=^--- )", block, flags=re.MULTILINE)[1:]:
            lines = change.splitlines()
            file = lines[1].removeprefix("+++ b/")
            apply("\n".join(lines[2:]), folder / file)
            touched.append(file)
    return touched


def apply(change: str, file: Path) -> None:
    """Replace what each part of a change shows as it was by what it shows as it is to be."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for hunk in re.split(r"^@@.*@@\n?", change, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines()
        before = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
        after = "".join(line[1:] + "\n" for line in lines if not line.startswith("-"))
        assert text.count(before) == 1 or not text, f"{file.name} has not once:\n{before}"
        text = text.replace(before, after) if text else after
    file.write_text(text, encoding="utf-8")


def streamcam(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command with a folder in front of the module path."""
    done = subprocess.run(
        [sys.executable, "-m", "streamcam", *map(str, arguments)],
        cwd=path,
        env=environment(PYTHONPATH=str(path)),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def records(folder: Path) -> list[dict[str, object]]:
    (file,) = folder.rglob("*.detections.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("method", ["eigencam", "layercam"])
def test_a_detector_family(tmp_path: Path, method: str) -> None:
    path = installed("A detector family", tmp_path / "site", "streamcam.detectors")
    (path / "config.toml").write_text('[model]\nname = "bright"\n', encoding="utf-8")
    streamcam(path, "config", "check", "config.toml")
    cards = json.loads(streamcam(path, "models", "list", "--json").stdout)
    assert "bright" in {card["name"] for card in cards}
    out = tmp_path / "out"
    streamcam(path, "run", SCENE, "--config", "config.toml", "--method", method, "-o", out)
    explained = records(out)
    assert len(explained) == 10
    for record in explained:
        (found,) = record["detections"]
        assert found["label"] == "bright spot"
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 180
        assert record["cam"]["method"] == method


def test_a_method_that_a_detector_has_not_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    path = installed("A detector family", tmp_path / "site", "streamcam.detectors")
    module = path / "bright_detector.py"
    code = module.read_text(encoding="utf-8").replace("differentiable=True", "differentiable=False")
    module.write_text(code, encoding="utf-8")
    with pytest.raises(AssertionError) as caught:
        streamcam(path, "run", SCENE, "--model", "bright", "--method", "layercam", "-o", "out")
    message = str(caught.value)
    assert "bright has no method 'layercam'" in message
    assert "It has eigencam, ablationcam, scorecam." in message


def test_a_model_that_a_family_has_not_is_refused(tmp_path: Path) -> None:
    path = installed("A detector family", tmp_path / "site", "streamcam.detectors")
    with pytest.raises(AssertionError, match="there is no detector named 'bright:huge'") as caught:
        streamcam(path, "run", SCENE, "--model", "bright:huge", "-o", "out")
    assert "Did you mean bright?" in str(caught.value)
    assert "needs no weights file" in streamcam(path, "models", "path", "bright").stdout
    module = path / "bright_detector.py"
    code = module.read_text(encoding="utf-8")
    module.write_text(code.replace('{"bright": STRIDE}', '{"bright": 32}'), encoding="utf-8")
    with pytest.raises(AssertionError, match="declares a stride of 32"):
        streamcam(path, "run", SCENE, "--model", "bright", "-o", "out")


def test_a_cam_method(tmp_path: Path) -> None:
    assert changed("A CAM method", tmp_path) == ["streamcam/cam_methods.py"]
    streamcam(tmp_path, "run", SCENE, "--method", "absgradcam", "-o", "out")
    assert {record["cam"]["method"] for record in records(tmp_path / "out")} == {"absgradcam"}
    assert "absgradcam" in streamcam(tmp_path, "run", "--help").stdout


def test_a_sink(tmp_path: Path) -> None:
    path = installed("A sink", tmp_path / "site", "streamcam.sinks")
    config = blocks("A sink", "toml")[1]
    (path / "config.toml").write_text(config, encoding="utf-8")
    streamcam(path, "run", SCENE, "--config", "config.toml", "-o", tmp_path / "out")
    (times,) = (tmp_path / "out").rglob("*.times.txt")
    assert times.read_text(encoding="utf-8").split() == [f"{index / 5:.1f}" for index in range(10)]


def test_a_source(tmp_path: Path) -> None:
    touched = changed("A source", tmp_path)
    assert touched == ["streamcam/sources/npy_source.py", "streamcam/sources/registry.py"]
    scene = DemoSource(SCENE).scene
    np.save(tmp_path / "frames.npy", np.stack([scene.picture(index / 25) for index in range(26)]))
    streamcam(tmp_path, "run", "frames.npy", "-o", "out")
    assert [record["time"] for record in records(tmp_path / "out")] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    )


def test_a_setting(tmp_path: Path) -> None:
    touched = changed("A setting", tmp_path)
    assert touched == ["streamcam/config/schema.py", "streamcam/pipeline/stream.py"]
    assert "at most N frames" in streamcam(tmp_path, "run", "--help").stdout
    streamcam(tmp_path, "run", SCENE, "--limit", "3", "-o", "out")
    assert len(records(tmp_path / "out")) == 3
    (tmp_path / "config.toml").write_text("[sampling]\nlimit = 4\n", encoding="utf-8")
    streamcam(tmp_path, "run", SCENE, "--config", "config.toml", "-o", "other")
    assert len(records(tmp_path / "other")) == 4


def test_the_page_names_what_there_is() -> None:
    """Every path in backticks exists."""
    paths = set(re.findall(r"`((?:streamcam|vision|sources|sinks)/[\w/]+(?:\.py|/))`", PAGE))
    assert paths
    for path in paths:
        assert any((base / path).exists() for base in (ROOT, ROOT / "streamcam")), path
