"""Exports read by the labelling tools' own libraries.

They want other versions of libraries than streamcam, so they cannot sit in one environment with
it: each test runs where its library is installed, e.g. in an environment of `pip install fiftyone
pytest` that sees streamcam's as well. What they read is checked without them in test_formats.py.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.export.formats.samples import (
    BoxesByImage,
    assert_same_boxes,
    in_pixels,
    sample_export,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


@pytest.mark.parametrize("form", ["coco", "cvat"])
def test_datumaro_which_cvat_is_built_on_reads_the_folder(tmp_path: Path, form: str) -> None:
    components = pytest.importorskip("datumaro.components.dataset")
    folder = sample_export(tmp_path, form)
    names = {"coco": "coco_instances", "cvat": "cvat"}
    read = components.Dataset.import_from(str(folder), names[form])
    labels = read.categories()[next(iter(read.categories()))]
    found: BoxesByImage = {
        Path(item.media.path).name: [
            (labels[box.label].name, tuple(box.points)) for box in item.annotations
        ]
        for item in read
    }
    assert_same_boxes(found)


def test_label_studio_accepts_tasks_for_the_configuration(tmp_path: Path) -> None:
    library = pytest.importorskip("label_studio_sdk.label_interface")
    folder = sample_export(tmp_path, "label-studio")
    interface = library.LabelInterface((folder / "label_config.xml").read_text())
    interface.validate()
    found: BoxesByImage = {}
    for task in json.loads((folder / "tasks.json").read_bytes()):
        assert interface.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
        found[unquote(task["data"]["image"]).rpartition("/")[2]] = [
            (
                *one["value"]["rectanglelabels"],
                in_pixels(one["value"][name] / 100 for name in ("x", "y", "width", "height")),
            )
            for one in prediction["result"]
        ]
    assert_same_boxes(found)


def _fiftyone_boxes(detections: Any) -> list[tuple[str, tuple[float, ...]]]:
    return [(one.label, in_pixels(one.bounding_box)) for one in detections.detections]


def test_fiftyone_reads_its_own_format(tmp_path: Path) -> None:
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    folder = sample_export(tmp_path, "fiftyone")
    importer = importers.FiftyOneDatasetImporter(str(folder))
    with importers._handle_legacy_formats(importer) as samples:
        read = list(samples)
    assert_same_boxes({Path(one.filepath).name: _fiftyone_boxes(one.predictions) for one in read})
    first, *_, last = read
    assert first.heatmap.get_map().shape == (3, 5)
    assert first.predictions.detections[0].lift == 4.0
    assert first.predictions.detections[0].index == 7
    assert (last.source, last.frame, last.time) == ("clip", 15, 0.6)


def test_fiftyone_reads_coco_and_yolo(tmp_path: Path) -> None:
    coco = pytest.importorskip("fiftyone.utils.coco")
    yolo = pytest.importorskip("fiftyone.utils.yolo")
    first, second = (sample_export(tmp_path / form, form) for form in ("coco", "yolo"))
    annotations = str(first / "annotations" / "instances_default.json")
    with coco.COCODetectionDatasetImporter(str(first), "images", annotations) as samples:
        found = {Path(path).name: label["detections"] for path, _, label in samples if label}
    expected_names = {f"clip_{number:06}.jpg" for number in (0, 5, 15)}
    assert found.keys() == expected_names
    with yolo.YOLOv5DatasetImporter(str(second), "data.yaml", split="train") as samples:
        read: BoxesByImage = {Path(path).name: _fiftyone_boxes(label) for path, _, label in samples}
    assert_same_boxes(read)
