"""`streamcam audit` as a user runs it: the numbers, the page, and clear refusals."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam

SCENE = "demo://street?seconds=2&seed=1&width=384&height=216"
SMALL = ["--frames", "1", "--top", "1", "--methods", "gradcam,eigencam,layercam"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def done(streamcam: Streamcam, folder: Path) -> subprocess.CompletedProcess[str]:
    return streamcam("audit", SCENE, *SMALL, "--json", "--output", folder)


def test_json_names_each_method_and_baseline_by_its_flag(
    done: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schemas.schema("audit")).validate(values)
    assert list(values["methods"]) == ["eigencam", "gradcam", "layercam", "random", "centre"]
    assert set(values["methods"]["layercam"]) == {
        *("deletion", "insertion", "road", "pointing", "energy", "lift"),
        *("flicker", "seconds", "similarity", "sane"),
    }
    assert (values["frames"], values["boxes"]) == (1, 1)
    assert "centre" in values["insane"]
    # Where the shuffled weights were not the ones that look, it would be 1.
    assert values["methods"]["eigencam"]["similarity"] < 0.95
    assert values["notebook"]["relative_error"] < 1e-4
    assert values["notebook"]["flicker"] >= 0
    assert set(values["visible"]) == {"gradcam", "layercam"}
    assert json.loads((folder / "street.audit.json").read_text()) == values


def test_progress_is_on_stderr(done: subprocess.CompletedProcess[str]) -> None:
    shares = [int(share) for share in re.findall(r"^(\d+) %: ", done.stderr, re.MULTILINE)]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert len(shares) <= 11


def test_the_page_is_self_contained(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    del done
    page = (folder / "street.audit.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 1 + 5 + 4
    assert "href" not in page
    assert page.count("src=") == page.count('src="data:')
    assert "http" not in page.replace("data:image", "")
    assert "prefers-color-scheme" in page
    assert "name=viewport" in page
    for word in ("LayerCAM", "random map", "centre prior", "deletion", "fails"):
        assert word in page


def test_the_table_is_printed(streamcam: Streamcam, tmp_path: Path) -> None:
    shown = streamcam("audit", SCENE, *SMALL[:4], "--methods", "layercam", "-o", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^layercam +0\.\d{3}", shown.stdout, re.MULTILINE)
    assert re.search(r"^centre .* fails *$", shown.stdout, re.MULTILINE)
    assert re.search(r"^notebook's EigenCAM( +-){6} +0\.\d{3} +\d", shown.stdout, re.MULTILINE)
    assert "street.audit.html" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([SCENE, "--methods", "layercam,gradcamm"], 2, "gradcam++"),
        (["absent.mp4"], 69, "absent.mp4"),
        (["rtsp://user:secret@host/cam"], 1, "streams cannot be read"),
        ([SCENE, "--truth", "absent.json"], 2, "absent.json"),
    ],
)
def test_errors_have_two_lines(
    streamcam: Streamcam, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = streamcam("audit", *arguments, "--output", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
