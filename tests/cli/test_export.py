"""`streamcam export` as a user runs it, on results of `run`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from streamcam.demo.source import DemoSource
from tests.cli.conftest import Streamcam
from tests.report.records import detection, record, write_segment

STREET = "demo://street?seconds=3"


@pytest.fixture(scope="module")
def results(streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    options = ("--every", 15, "--save-maps", "png", "--video", "off", "--confidence", 0.4)
    done = streamcam("run", STREET, "--output", folder, "--quiet", *options)
    assert done.returncode == 0, done.stderr
    return folder


def test_coco_has_all_frames_pixel_by_pixel_with_boxes_and_maps(
    streamcam: Streamcam, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "set"
    done = streamcam("export", "coco", results, "-o", to, "--image-format", "png")
    assert done.returncode == 0, done.stderr
    read = COCO(to / "annotations" / "instances_default.json")
    capsys.readouterr()
    lines = (results / "street.detections.jsonl").read_text().splitlines()
    assert done.stdout.startswith(f"5 frames with {len(read.anns)} boxes of 1 source in {to}")
    scene = DemoSource(STREET).scene
    for one, image in zip(map(json.loads, lines), read.imgs.values(), strict=True):
        written = cv2.imread(str(to / "images" / image["file_name"]))[..., ::-1]
        np.testing.assert_array_equal(written, scene.picture(one["time"]))
        assert (to / image["streamcam"]["map"]).is_file()
        for found, wanted in zip(read.imgToAnns[image["id"]], one["detections"], strict=True):
            assert read.cats[found["category_id"]]["name"] == wanted["label"]
            x, y, width, height = found["bbox"]
            assert (x, y, x + width, y + height) == pytest.approx(wanted["box"], abs=0.5)


def test_a_second_export_needs_overwrite_and_json_counts(
    streamcam: Streamcam, results: Path, tmp_path: Path
) -> None:
    to = tmp_path / "set"
    told = json.loads(streamcam("export", "yolo", results, "-o", to, "--json").stdout)
    assert (told["frames"], told["sources"], told["folder"]) == (5, 1, str(to))
    refused = streamcam("export", "cvat", results, "-o", to)
    assert refused.returncode == 2
    assert "holds an earlier export" in refused.stderr
    assert (to / "data.yaml").is_file()


def test_recordings_of_cameras_are_refused_with_the_reason(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    write_segment(tmp_path / "out" / "yard", [record(0, detection(), live=True)])
    done = streamcam("export", "coco", tmp_path / "out", "-o", tmp_path / "set")
    assert done.returncode == 1
    assert "yard: no picture of this camera without an overlay is kept" in done.stderr
    assert "nothing is exported: no source could be read" in done.stdout
    assert not (tmp_path / "set").exists()


def test_hard_frames_come_hardest_first_in_any_format(
    streamcam: Streamcam, results: Path, tmp_path: Path
) -> None:
    to = tmp_path / "set"
    options = ("--by", "confidence", "--top", 5, "--min-gap", "1s", "--format", "label-studio")
    done = streamcam("export", "hard", results, "-o", to, *options)
    assert done.returncode == 0, done.stderr
    assert " near in time to a harder frame" in done.stdout
    lines = [json.loads(line) for line in (to / "frames.jsonl").read_text().splitlines()]
    assert len(lines) in (2, 3), "of five, 0.6 s apart"
    scores = [one["reason"]["score"] for one in lines]
    assert scores == sorted(scores, reverse=True)
    lowest = [min(box["confidence"] for box in one["record"]["detections"]) for one in lines]
    assert lowest == sorted(lowest)
    tasks = json.loads((to / "tasks.json").read_bytes())
    assert tasks[0]["data"]["title"].endswith("sure, of at least 40%")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--by", "disagreement"), "--by disagreement and --against FOLDER need each other"),
        (("--min-gap", "soon"), "--min-gap: must be a duration such as \"10s\", not 'soon'"),
        (("--min-gap", "-2s"), "--min-gap: must not be negative"),
    ],
)
def test_contradictions_are_refused_before_anything_is_written(
    streamcam: Streamcam, results: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = streamcam("export", "hard", results, "-o", tmp_path / "set", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
