"""The hardest frames of several sources: their order, their number, and no repetitions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest

from streamcam.export.dataset_folder import LINES, DatasetFolder
from streamcam.export.exporter import ExportSummary, classes_of, sources_of
from streamcam.export.formats import FORMATS, Format
from streamcam.export.hardness import Criterion
from streamcam.export.selection import ALIKE, export_hardest, look_of, rank
from streamcam.types import Picture
from tests.export.explained import explain_video, keep_event
from tests.report.records import detection, record, write_segment


def scene(seed: int) -> Picture:
    """A picture of coloured fields, like that of no other seed."""
    fields = np.random.default_rng(seed).integers(0, 255, (6, 10, 3), np.uint8)
    return np.asarray(cv2.resize(fields, (160, 96), interpolation=cv2.INTER_NEAREST), np.uint8)


def choose(
    results: Path,
    to: Path,
    by: Criterion = Criterion.FOCUS,
    *,
    top: int = 50,
    gap: float = 0.0,
    distance: int = ALIKE,
    against: Path | None = None,
) -> tuple[ExportSummary, list[dict[str, Any]]]:
    sources = sources_of(results)
    others = [] if against is None else sources_of(against)
    with DatasetFolder(to, FORMATS[Format.COCO], classes_of(sources)) as dataset:
        ranking = rank(sources, by, gap=gap, others=others, progress=lambda *_: None)
        summary = export_hardest(
            ranking, by, dataset, top=top, distance=distance, progress=lambda *_: None
        )
        dataset.publish()
    return summary, [orjson.loads(line) for line in (to / LINES).read_bytes().splitlines()]


def off(number: int) -> Sequence[dict[str, Any]]:
    """A box that is the further off the map the later it comes, at a place of its own."""
    return [
        detection(confidence=0.8, lift=1 - number / 40, box=(3 * number, 0, 3 * number + 20, 20))
    ]


def scenes(count: int, first: int = 0) -> list[Picture]:
    return [scene(first + frame // 5) for frame in range(5 * count)]


def test_the_hardest_come_first_over_all_sources(tmp_path: Path) -> None:
    out = tmp_path / "out"
    explain_video(tmp_path / "in", out, name="a", count=10, boxes=off, pictures=scenes(10))
    explain_video(tmp_path / "in", out, name="b", count=12, boxes=off, pictures=scenes(12, 100))
    summary, lines = choose(out, tmp_path / "set", top=4)
    assert [one["image"] for one in lines] == [
        *("b_000055.jpg", "b_000050.jpg", "a_000045.jpg", "b_000045.jpg"),
    ]
    scores = [one["reason"]["score"] for one in lines]
    assert scores == pytest.approx([0.22, 0.2, 0.18, 0.18])
    assert (summary.frames, summary.near, summary.alike) == (4, 0, 0)
    assert len(list((tmp_path / "set" / "images").iterdir())) == 4


def test_frames_near_a_harder_one_are_left_out_and_counted(tmp_path: Path) -> None:
    explain_video(tmp_path / "in", tmp_path / "out", count=10, boxes=off, pictures=scenes(10))
    summary, lines = choose(tmp_path / "out", tmp_path / "set", gap=0.6)
    assert [one["frame"] for one in lines] == [45, 30, 15]
    assert summary.near == 6, "the first frame is not hard"
    few, _ = choose(tmp_path / "out", tmp_path / "few", gap=0.6, top=2)
    assert few.near == 2, "those that are less hard than the last one chosen are none of them"


def parked(number: int) -> Sequence[dict[str, Any]]:
    return [detection("car", lift=1 - number / 40)]


def test_the_same_hard_box_in_the_same_scene_counts_once(tmp_path: Path) -> None:
    same = [scene(1)] * 50
    explain_video(
        tmp_path / "in", tmp_path / "out", name="parked", boxes=parked, count=10, pictures=same
    )
    explain_video(
        tmp_path / "in", tmp_path / "out", name="walking", boxes=off, count=10, pictures=same
    )
    summary, lines = choose(tmp_path / "out", tmp_path / "set")
    assert [one["image"] for one in lines if one["source"] == "parked"] == ["parked_000045.jpg"]
    walking = [one["frame"] for one in lines if one["source"] == "walking"]
    assert walking == [45, 30, 15], "boxes 9 pixels apart overlap by less than a half"
    assert summary.alike == 8 + 6
    assert len(list((tmp_path / "set" / "images").iterdir())) == 4
    kept, _ = choose(tmp_path / "out", tmp_path / "all", distance=-1)
    assert (kept.frames, kept.alike) == (18, 0)


def test_repetitions_are_replaced_by_the_next_frames_in_rank(tmp_path: Path) -> None:
    pictures = [scene(1)] * 25 + scenes(5, 10)

    def boxes(number: int) -> Sequence[dict[str, Any]]:
        return [detection(lift=0.1 if number < 5 else 0.5)]

    explain_video(tmp_path / "in", tmp_path / "out", count=10, boxes=boxes, pictures=pictures)
    summary, lines = choose(tmp_path / "out", tmp_path / "set", top=3)
    assert [one["frame"] for one in lines] == [0, 25, 30]
    assert summary.alike == 4


def test_sources_that_are_gone_leave_their_places_to_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    explain_video(tmp_path / "in", out, name="a", count=10, boxes=off, pictures=scenes(10))
    gone = explain_video(tmp_path / "in", out, name="b", count=12, boxes=off, pictures=scenes(12))
    gone.unlink()
    summary, lines = choose(out, tmp_path / "set", top=3)
    assert [one["image"] for one in lines] == ["a_000045.jpg", "a_000040.jpg", "a_000035.jpg"]
    assert list(summary.failed) == ["b"]


def test_of_cameras_only_frames_with_a_still_are_ranked(tmp_path: Path) -> None:
    camera = tmp_path / "out" / "yard"
    boxes = [[detection(lift=number / 10)] for number in range(8)]
    write_segment(camera, [record(n, *each, live=True) for n, each in enumerate(boxes)])
    for number in (5, 3):
        keep_event(camera, number, scene(number))
    summary, lines = choose(tmp_path / "out", tmp_path / "set", top=1)
    assert [one["frame"] for one in lines] == [15]
    assert (summary.frames, summary.not_kept, summary.failed) == (1, 0, {})


def test_disagreement_with_another_run(tmp_path: Path) -> None:
    for run, without in (("one", 99), ("two", 2)):
        explain_video(
            tmp_path / "in",
            tmp_path / run,
            boxes=lambda number, without=without: [detection()] * (number != without),
        )
    explain_video(tmp_path / "in", tmp_path / "one", name="alone", count=4)
    summary, lines = choose(
        tmp_path / "one", tmp_path / "set", Criterion.DISAGREEMENT, against=tmp_path / "two"
    )
    assert [(one["image"], one["reason"]["text"]) for one in lines] == [
        ("clip_000010.jpg", "only here: person")
    ]
    assert "alone: the other run has no results of it" in summary.failed["alone"].message


def test_a_hash_stays_near_when_a_picture_is_compressed_or_brighter() -> None:
    picture = scene(3)
    small = np.asarray(cv2.resize(picture, (80, 48), interpolation=cv2.INTER_AREA), np.uint8)
    coded = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    brighter = np.minimum(picture, 200).astype(np.uint8) + np.uint8(20)
    look = look_of(picture)
    for other in (small, np.asarray(coded, np.uint8), brighter):
        assert (look ^ look_of(other)).bit_count() <= ALIKE
    others = [(look ^ look_of(scene(seed))).bit_count() for seed in range(10, 40)]
    assert min(others) > ALIKE
