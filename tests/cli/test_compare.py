"""`streamcam compare` as a user runs it: sentences, table, JSON, page and video."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import av
import cv2
import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.compare.box_matching import FoundBy
from streamcam.compare.pair_pictures import COLOURS
from tests.cli.conftest import Streamcam

SCENE = "demo://street?seconds=3&seed=1&width=384&height=216"
SAMPLED = ("--max-fps", "2", "--device", "cpu")


def values_of(folder: Path) -> dict[str, Any]:
    """Read and validate the numbers."""
    values: dict[str, Any] = json.loads((folder / "compare.json").read_text())
    jsonschema.Draft202012Validator(schemas.schema("compare")).validate(values)
    return values


def page_of(folder: Path) -> str:
    """Read the page, and check that it needs nothing else."""
    page = (folder / "compare.html").read_text(encoding="utf-8")
    assert page.count("src=") == page.count('src="data:')
    assert "http" not in page
    assert "<script" not in page
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def confidences(streamcam: Streamcam, folder: Path) -> subprocess.CompletedProcess[str]:
    """Nano against itself at another confidence."""
    twice = ("--confidence", "0.35", "--confidence", "0.6")
    return streamcam("compare", SCENE, *twice, *SAMPLED, "--probes", "1", "--output", folder)


@pytest.fixture(scope="module")
def recorded(streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The confidences of all boxes that `run` finds from 0.35 on."""
    out = tmp_path_factory.mktemp("run")
    done = streamcam(
        *("run", SCENE, "--confidence", "0.35", *SAMPLED, "--video", "off", "--output", out)
    )
    assert done.returncode == 0, done.stderr
    lines = (out / "street.detections.jsonl").read_text().splitlines()
    return [one["confidence"] for line in lines for one in json.loads(line)["detections"]]


def test_the_difference_is_exactly_the_boxes_between_the_confidences(
    confidences: subprocess.CompletedProcess[str], folder: Path, recorded: list[float]
) -> None:
    assert confidences.returncode == 0, confidences.stderr
    values = values_of(folder)
    high = sum(one >= 0.6 for one in recorded)
    assert values["boxes"]["a"] == len(recorded)
    assert values["boxes"]["b"] == values["boxes"]["both"] == high
    assert values["boxes"]["only_a"] == len(recorded) - high > 0
    assert values["boxes"]["only_b"] == 0
    assert values["renamed"] == []
    assert values["agreement"]["mean"] == pytest.approx(2 * high / (len(recorded) + high), abs=1e-4)
    assert values["maps"]["correlation"]["mean"] == pytest.approx(1)
    assert (values["a"]["confidence"], values["b"]["confidence"]) == (0.35, 0.6)
    assert values["truth"]["a"]["recall"] > values["truth"]["b"]["recall"]
    assert len(values["frames"]) == 6


def test_the_terminal_says_who_is_better_and_shows_the_classes(
    confidences: subprocess.CompletedProcess[str],
) -> None:
    lines = confidences.stdout.splitlines()
    assert lines[:2] == ["A: confidence 0.35", "B: confidence 0.6"]
    assert lines[2].startswith("Against the true boxes A is better")
    assert lines[3].startswith("The maps of both lie on the objects equally well")
    row = re.compile(r"^person +\d+ +\d+ +\d+ +\d+ +0 +0 +\d+% +\d+%", re.MULTILINE)
    assert row.search(confidences.stdout)
    assert "A finds" in confidences.stdout
    assert "too few to be sure" in confidences.stdout
    assert confidences.stdout.endswith("compare.html\n")


def test_the_page_is_self_contained_and_links_into_the_video(
    confidences: subprocess.CompletedProcess[str], folder: Path
) -> None:
    del confidences
    page = page_of(folder)
    shown = page.count("data:image/jpeg;base64,")
    assert 1 <= shown <= 3  # one of each second
    assert set(re.findall(r'href="([^"#]+)', page)) == {"street.compare.mp4"}
    for word in ("Against the true boxes", "What makes them agree", "Where they differ most"):
        assert word in page
    assert "name=viewport" in page
    assert "prefers-color-scheme" in page


def test_the_video_marks_what_only_a_found(
    confidences: subprocess.CompletedProcess[str], folder: Path
) -> None:
    del confidences
    with av.open(str(folder / "street.compare.mp4")) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(pictures) == 6
    height, width = (side // 2 for side in pictures[0].shape[:2])
    marked = [
        [near(picture[:height, part], COLOURS[FoundBy.ONLY_A]) for picture in pictures]
        for part in (np.s_[:width], np.s_[width:])
    ]
    # Each title has the colour of its side, the sky is a little like A's.
    assert sum(marked[0]) > sum(marked[1]) + 1000


def near(picture: "np.ndarray[Any, Any]", colour: tuple[int, int, int]) -> int:
    """Pixels of about that colour: chroma is halved in the video."""
    distance = np.abs(picture.astype(int) - colour).max(axis=-1)
    return int((distance < 25).sum())


def test_an_exported_model_agrees(streamcam: Streamcam, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    exported = tmp_path / "nano.onnx"
    done = streamcam("models", "export", "nano", exported)
    assert done.returncode == 0, done.stderr
    done = streamcam(
        *("compare", SCENE, "--model", "nano", "--model", exported, "--precision", "fp32"),
        *(*SAMPLED, "--no-video", "--json", "--output", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert values == values_of(tmp_path / "out")
    assert values["agreement"]["mean"] > 0.97
    assert values["maps"]["correlation"]["mean"] > 0.99
    assert values["probes"]["changed"] == {}
    assert (values["a"]["name"], values["b"]["name"]) == ("nano", "nano.onnx")
    assert not (tmp_path / "out" / "street.compare.mp4").exists()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of the scene, one of them with a name that is HTML, and a broken one."""
    from streamcam.pipeline.stream import Sampler
    from streamcam.sources.inputs import open_source

    folder = tmp_path / "pictures"
    folder.mkdir()
    for frame in open_source(SCENE).frames(Sampler(max_fps=1)):
        if frame.index < 26:
            name = f"<b>{frame.index}.png"
            cv2.imwrite(str(folder / name), frame.picture[..., ::-1])
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


def test_folders_of_pictures_with_truth_are_compared(
    streamcam: Streamcam, pictures: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in pictures.glob("*.png"))
    truth = tmp_path / "truth.json"
    labels = ["person", "<i>kite</i>"]
    truth.write_text(
        json.dumps(
            {
                "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
                "categories": [{"id": n, "name": label} for n, label in enumerate(labels)],
                "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 9, 9]}],
            }
        )
    )
    out = tmp_path / "out"
    done = streamcam(
        *("compare", pictures, "--imgsz", "320", "--imgsz", "256", "--truth", truth),
        *("--probes", "0", "--device", "cpu", "--output", out),
    )
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    values = values_of(out)
    assert [one["frames"] for one in values["sources"]] == [0, 1, 1] or [
        one["frames"] for one in values["sources"]
    ] == [1, 1, 0]
    assert values["truth"]["frames"] == 2
    assert values["truth"]["classes"]["<i>kite</i>"]["a"]["recall"] == 0
    assert values["probes"] is None
    page = page_of(out)
    assert "&lt;i&gt;kite&lt;/i&gt;" in page
    assert "<i>kite" not in page
    assert "<b>0.png" not in page
    written = sorted(path.name for path in out.glob("*.compare.jpg"))
    assert written == [name.replace(".png", ".compare.jpg") for name in names]
    assert cv2.imread(str(out / written[0])) is not None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([SCENE], 2, "nothing differs between A and B"),
        ([SCENE, *["--precision", "fp32"] * 3], 2, "--precision: given 3 times"),
        ([SCENE, "--confidence", "0.3", "--confidence", "2"], 2, "--confidence"),
        ([SCENE, "--model", "nano", "--model", "nanoo"], 2, "nano"),
        ([SCENE, "--model", "nano", "--model", ""], 2, "must not be empty"),
        (["absent.mp4", "--imgsz", "320", "--imgsz", "256"], 69, "absent.mp4"),
        (["rtsp://u:secret@host/c", "--imgsz", "320", "--imgsz", "256"], 1, "cannot be read"),
        ([SCENE, "--imgsz", "320", "--imgsz", "256", "--truth", "no.json"], 2, "no.json"),
    ],
)
def test_errors_have_two_lines(
    streamcam: Streamcam, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = streamcam("compare", *arguments, "--output", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
