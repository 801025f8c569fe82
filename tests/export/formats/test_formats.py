"""Exports as they lie on the disk, read by pycocotools, Ultralytics and parsers of their own."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from pycocotools.coco import COCO

from tests.export.explained import CLASSES
from tests.export.formats.samples import (
    EXPECTED,
    SHOWN,
    SIZE,
    BoxesByImage,
    assert_same_boxes,
    corners,
    in_pixels,
    sample_export,
)


def test_coco_is_read_by_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sample_export(tmp_path, "coco")
    read = COCO(folder / "annotations" / "instances_default.json")
    capsys.readouterr()
    names = {one["id"]: one["name"] for one in read.loadCats(read.getCatIds())}
    assert list(names.items()) == list(enumerate([*CLASSES, SHOWN], 1))
    found: BoxesByImage = {}
    for image in read.loadImgs(read.getImgIds()):
        assert (image["width"], image["height"]) == SIZE
        boxes = read.loadAnns(read.getAnnIds(image["id"]))
        found[image["file_name"]] = [
            (names[one["category_id"]], corners(*one["bbox"])) for one in boxes
        ]
    assert_same_boxes(found)
    best = read.loadAnns(1)[0]
    assert best["score"] == 0.8125
    assert best["streamcam"] == {
        "energy": 0.2,
        "lift": 4.0,
        "peak_inside": True,
        "class_id": 1,
        "track_id": 7,
        "method": "eigencam",
        "map": "maps/clip_000000.box-0.png",
    }
    first, *_, last = read.loadImgs(read.getImgIds())
    assert first["streamcam"]["map"] == "maps/clip_000000.png"
    assert "map" not in last["streamcam"]
    assert (last["streamcam"]["frame"], last["streamcam"]["time"]) == (15, 0.6)


_READ_BY_ULTRALYTICS = """
import json, sys
from pathlib import Path
from ultralytics.data.utils import check_det_dataset, verify_image_label

data = check_det_dataset(sys.argv[1], autodownload=False)
found = {}
for image in sorted(Path(data["train"]).iterdir()):
    label = str(image).replace("/images/", "/labels/").replace(".jpg", ".txt")
    read = verify_image_label((str(image), label, "", False, data["nc"], 0, 0, False))
    _, rows, shape, _, _, missing, _, _, corrupt, message = read
    faults = [missing, corrupt, message]
    found[image.name] = {"rows": rows.tolist(), "shape": shape, "faults": faults}
print(json.dumps({"names": list(data["names"].values()), "found": found}))
"""


def test_yolo_labels_are_what_ultralytics_trains_on(tmp_path: Path) -> None:
    folder = sample_export(tmp_path, "yolo")
    # In a process of its own: it replaces functions of Pillow and OpenCV.
    command = [sys.executable, "-c", _READ_BY_ULTRALYTICS, str(folder / "data.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    names = [*CLASSES, SHOWN]
    assert read["names"] == names
    found: BoxesByImage = {}
    for image, one in read["found"].items():
        assert one["shape"] == [*SIZE[::-1]]
        assert one["faults"] == [0, 0, ""]
        found[image] = [
            (names[int(number)], in_pixels((x - w / 2, y - h / 2, w, h)))
            for number, x, y, w, h in one["rows"]
        ]
    assert_same_boxes(found)
    predicted = (folder / "predictions" / "clip_000000.txt").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in predicted] == ["0.8125", "0.6", "0.5"]


def test_label_studio_has_boxes_in_percent_and_a_configuration(tmp_path: Path) -> None:
    folder = sample_export(tmp_path, "label-studio")
    found: BoxesByImage = {}
    scores = []
    for task in json.loads((folder / "tasks.json").read_bytes()):
        url = task["data"]["image"]
        assert url.startswith("/data/local-files/?d=my%20set/images/")
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "tiny"
        scores.append(prediction["score"])
        found[unquote(url).rpartition("/")[2]] = [
            (
                *one["value"]["rectanglelabels"],
                in_pixels(one["value"][name] / 100 for name in ("x", "y", "width", "height")),
            )
            for one in prediction["result"]
        ]
    assert_same_boxes(found)
    assert scores == pytest.approx([0.6375, 0.6375, 0.0, 0.6375], abs=1e-4)
    view = ET.parse(folder / "label_config.xml").getroot()
    assert [one.get("value") for one in view.iter("Label")] == [*CLASSES, SHOWN]
    assert [one.get("name") for one in view.iter("Image")] == ["image"], "not all frames have maps"


def test_cvat_has_boxes_with_attributes_and_labels_that_declare_them(tmp_path: Path) -> None:
    folder = sample_export(tmp_path, "cvat")
    document = ET.parse(folder / "annotations.xml").getroot()
    found: BoxesByImage = {}
    for image in document.iter("image"):
        assert (image.get("width"), image.get("height")) == ("160", "96")
        found[image.attrib["name"]] = [
            (box.attrib["label"], tuple(float(box.attrib[n]) for n in ("xtl", "ytl", "xbr", "ybr")))
            for box in image.iter("box")
        ]
    assert_same_boxes(found)
    box = next(document.iter("box"))
    attributes = {one.attrib["name"]: one.text for one in box.iter("attribute")}
    assert attributes == {
        "confidence": "0.8125",
        "energy": "0.2",
        "lift": "4.0",
        "peak_inside": "true",
        "method": "eigencam",
        "track_id": "7",
    }
    labels = json.loads((folder / "labels.json").read_bytes())
    assert [one["name"] for one in labels] == [*CLASSES, SHOWN]
    assert {one["name"] for one in labels[0]["attributes"]} == attributes.keys()
    assert document.findtext("meta/task/size") == str(len(EXPECTED))


def test_fiftyone_has_samples_with_relative_paths(tmp_path: Path) -> None:
    folder = sample_export(tmp_path, "fiftyone")
    found: BoxesByImage = {}
    samples = json.loads((folder / "samples.json").read_bytes())["samples"]
    for sample in samples:
        assert (folder / sample["filepath"]).is_file()
        found[Path(sample["filepath"]).name] = [
            (one["label"], in_pixels(one["bounding_box"]))
            for one in sample["predictions"]["detections"]
        ]
    assert_same_boxes(found)
    assert [sample.get("heatmap", {}).get("map_path") for sample in samples] == [
        *("fields/heatmap/clip_000000.png", "fields/heatmap/clip_000005.png"),
        *(None, None),
    ]
    assert "version" not in json.loads((folder / "metadata.json").read_bytes())
