"""Exports of everything: files, names, maps, lines, failures, and folders that stay whole."""

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from streamcam.errors import UsageError
from streamcam.export.dataset_folder import LINES, DatasetFolder
from streamcam.export.exporter import ExportSummary, classes_of, export_all, sources_of
from streamcam.export.formats import FORMATS, Format
from streamcam.schemas import schema
from tests.export.explained import (
    explain_picture,
    explain_video,
    frame_at,
    keep_event,
    save_maps,
)
from tests.media import flat
from tests.report.records import detection, record, write_segment


def export(results: Path, to: Path, form: str = "coco", **options: Any) -> ExportSummary:
    sources = sources_of(results)
    with DatasetFolder(to, FORMATS[Format(form)], classes_of(sources), **options) as dataset:
        summary = export_all(sources, dataset, lambda *_: None)
        dataset.publish()
    return summary


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / LINES).read_text().splitlines()]
    for one in found:
        jsonschema.validate(one, schema("exported_frame"))
        jsonschema.validate(one["record"], schema("record"))
    return found


def test_png_frames_are_the_source_pixel_by_pixel(tmp_path: Path) -> None:
    video = explain_video(tmp_path / "in", tmp_path / "out")
    summary = export(tmp_path / "out", tmp_path / "set", ending=".png")
    assert (summary.frames, summary.boxes, summary.sources) == (6, 6, {"clip"})
    for one in lines(tmp_path / "set"):
        written = cv2.imread(str(tmp_path / "set" / "images" / one["image"]))
        np.testing.assert_array_equal(written[..., ::-1], frame_at(video, one["frame"]))


def test_jpeg_frames_are_near_the_source(tmp_path: Path) -> None:
    video = explain_video(tmp_path / "in", tmp_path / "out")
    export(tmp_path / "out", tmp_path / "set")
    written = cv2.imread(str(tmp_path / "set" / "images" / "clip_000010.jpg"))
    difference = written[..., ::-1].astype(int) - frame_at(video, 10)
    assert abs(difference).max() <= 2


def test_a_picture_is_copied_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "photo.JPG"
    cv2.imwrite(str(path), flat(64, 48, (10, 200, 30)))
    explain_picture(path, tmp_path / "out", detection(box=(1, 2, 30, 40)))
    export(tmp_path / "out", tmp_path / "set")
    assert (tmp_path / "set" / "images" / "photo.jpg").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("archive", [False, True], ids=["png", "npz"])
def test_saved_maps_come_along_as_png(tmp_path: Path, *, archive: bool) -> None:
    explain_video(tmp_path / "in", tmp_path / "out", count=3)
    save_maps(tmp_path / "out", "clip", [0, 5], archive=archive)
    export(tmp_path / "out", tmp_path / "set")
    _, second, third = lines(tmp_path / "set")
    levels = cv2.imread(str(tmp_path / "set" / second["map"]), cv2.IMREAD_UNCHANGED)
    assert levels.dtype == np.uint16
    assert np.all(levels == round(0.05 * 65535))
    assert (tmp_path / "set" / "maps" / "clip_000005.box-0.png").is_file()
    assert "map" not in third


def test_a_source_that_is_gone_costs_its_own_frames_only(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out", name="a").unlink()
    explain_video(tmp_path / "in", tmp_path / "out", name="b")
    write_segment(tmp_path / "out" / "yard", [record(0, detection(), live=True)])
    summary = export(tmp_path / "out", tmp_path / "set")
    assert summary.sources == {"b"}
    assert sorted(summary.failed) == ["a", "yard"]
    assert len(lines(tmp_path / "set")) == 6


def test_of_cameras_the_stills_of_events_are_exported(tmp_path: Path) -> None:
    camera = tmp_path / "out" / "yard"
    write_segment(camera, [record(number, detection(), live=True) for number in range(6)])
    still = keep_event(camera, 4, flat(160, 96, (10, 90, 200)))
    keep_event(camera, 9, flat(160, 96, (0, 0, 0)))  # its frame was not recorded
    summary = export(tmp_path / "out", tmp_path / "set")
    assert (summary.frames, summary.not_kept, summary.lost) == (1, 5, 0)
    assert not summary.failed
    (line,) = lines(tmp_path / "set")
    assert (line["image"], line["frame"]) == ("yard_20250301T120000.800.jpg", 20)
    copied = tmp_path / "set" / "images" / line["image"]
    assert copied.read_bytes() == still.read_bytes()


def test_frames_that_the_source_does_not_have_are_counted(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out")
    records = tmp_path / "out" / "clip.detections.jsonl"
    content = records.read_text()
    records.write_text(content.replace('"frame":25', '"frame":999'))
    assert export(tmp_path / "out", tmp_path / "set").lost == 1


def test_names_stay_apart_and_are_safe(tmp_path: Path) -> None:
    for name in ("a b", "a-b", "A-B"):
        explain_video(tmp_path / "in" / name, tmp_path / "out", name=name, count=1)
    export(tmp_path / "out", tmp_path / "set")
    names = {path.name for path in (tmp_path / "set" / "images").iterdir()}
    assert names == {"A-B_000000.jpg", "a-b_000000-2.jpg", "a-b_000000-3.jpg"}


def test_boxes_are_cut_to_the_frame(tmp_path: Path) -> None:
    def beyond(_: int) -> list[dict[str, Any]]:
        return [detection(box=(100, 50, 170.5, 200)), detection(box=(160.2, 0, 170, 50))]

    explain_video(tmp_path / "in", tmp_path / "out", count=1, boxes=beyond)
    assert export(tmp_path / "out", tmp_path / "set").boxes == 1
    document = json.loads((tmp_path / "set" / "annotations/instances_default.json").read_text())
    assert [one["bbox"] for one in document["annotations"]] == [[100, 50, 60, 46]]


def test_only_an_earlier_export_is_replaced_and_only_when_asked(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out", count=2)
    to = tmp_path / "set"
    export(tmp_path / "out", to)
    with pytest.raises(UsageError, match="holds an earlier export"):
        export(tmp_path / "out", to)
    assert export(tmp_path / "out", to, "yolo", overwrite=True).frames == 2
    assert (to / "data.yaml").is_file()
    assert not (to / "annotations").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds no earlier export"):
        export(tmp_path / "out", tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "letter.txt").is_file()


def test_what_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out", count=2)
    sources = sources_of(tmp_path / "out")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        DatasetFolder(tmp_path / "set", FORMATS[Format.COCO], classes_of(sources)) as dataset,
    ):
        export_all(sources, dataset, stop)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no results"):
        sources_of(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        sources_of(tmp_path / "nowhere")
