import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.audit.auditor import _clip, _samples
from streamcam.audit.ground_truth import CocoTruth
from streamcam.errors import SourceError, UsageError
from streamcam.sources.inputs import expand
from streamcam.sources.limits import Limits
from tests.media import write_video

COCO = {
    "images": [{"id": 7, "file_name": "deep/one.png"}, {"id": 8, "file_name": "two.png"}],
    "categories": [{"id": 18, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 20, 30, 40]},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4]},
    ],
}


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("one", "two", "three", "four"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((32, 48, 3), 100, np.uint8))
    return folder


def test_pictures_are_identified_by_their_names(tmp_path: Path, pictures: Path) -> None:
    truth = CocoTruth(written(tmp_path / "coco.json", COCO))
    known = {
        name: _samples(expand([str(pictures / f"{name}.png")]), 4, truth, Limits())[0].truth
        for name in ("one", "two", "three")
    }
    assert [(t.label, t.box) for t in known["one"] or ()] == [
        ("dog", (10, 20, 40, 60)),
        ("dog", (1, 2, 4, 6)),
    ]
    assert known["two"] == []
    assert known["three"] is None


def test_pictures_with_truth_are_sampled_first(tmp_path: Path, pictures: Path) -> None:
    truth = CocoTruth(written(tmp_path / "coco.json", COCO))
    samples = _samples(expand([str(pictures)]), 2, truth, Limits())
    assert {Path(sample.frame.source).stem for sample in samples} == {"one", "two"}


def test_frames_of_a_video_are_identified_by_their_numbers(tmp_path: Path) -> None:
    clip = write_video(
        tmp_path / "clip.mp4", [np.full((32, 48, 3), 9 * i, np.uint8) for i in range(8)]
    )
    images = [{"id": i, "file_name": f"{i}.jpg", "frame_id": i} for i in range(8)]
    boxes = [{"id": i, "image_id": i, "category_id": 18, "bbox": [i, 0, 8, 8]} for i in range(8)]
    coco = {**COCO, "images": images, "annotations": boxes}
    truth = CocoTruth(written(tmp_path / "coco.json", coco))
    for sample in _samples(expand([str(clip)]), 2, truth, Limits()):
        assert sample.truth is not None
        assert sample.truth[0].box[0] == sample.frame.index


def test_the_demo_scene_has_truth_and_frames_are_evenly_spaced() -> None:
    samples = _samples(expand(["demo://street?seconds=8"]), 4, None, Limits())
    assert [sample.frame.time for sample in samples] == pytest.approx([1, 3, 5, 7], abs=0.04)
    assert all(sample.truth for sample in samples)


def test_a_clip_comes_from_the_middle_of_a_video(pictures: Path) -> None:
    clip = _clip(expand(["demo://street?seconds=8"]), Limits())
    assert np.diff([frame.time for frame in clip]) == pytest.approx([0.2] * 3, abs=0.001)
    assert clip[0].time == pytest.approx(3.6)
    assert _clip(expand([str(pictures)]), Limits()) == []
    assert _clip(expand([str(pictures / "one.png")]), Limits()) == []


def test_several_pictures_give_one_frame_each(pictures: Path) -> None:
    samples = _samples(expand([str(pictures)]), 2, None, Limits())
    assert len({sample.frame.source for sample in samples}) == 2


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        _samples(expand([str(tmp_path / "absent.mp4")]), 2, None, Limits())


@pytest.mark.parametrize("content", [[], {"images": []}, {**COCO, "annotations": [{"bbox": 1}]}])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(UsageError, match="not a COCO annotation file"):
        CocoTruth(written(tmp_path / "bad.json", content))


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json"):
        CocoTruth(tmp_path / "absent.json")
