"""Findings: each kind is found where it was put, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest

from streamcam.report.findings import FindingKind, blinks, find
from streamcam.report.results import FrameTable, RecordedClip, ResultSource, load
from tests.report.records import detection, record, write_records

QUIET = [[detection()] for _ in range(30)]


def table(folder: Path, frames: list[list[dict[str, Any]]], **changes: float) -> FrameTable:
    """A clip of frames with these detections; `changes` are the flickers of some, as `at_3=0.4`."""
    flickers = {int(name.removeprefix("at_")): value for name, value in changes.items()}
    lines = [
        record(number, *found, flicker=flickers.get(number, 0.01 + 0.001 * (number % 3)))
        for number, found in enumerate(frames)
    ]
    path = write_records(folder / "clip.detections.jsonl", lines)
    return load(ResultSource("clip", [RecordedClip(path, None)]))


def found(made: FrameTable, kind: FindingKind, top: int = 10) -> list[tuple[int, str | None]]:
    return [(one.frame, one.label) for one in find(made, top) if one.kind is kind]


def test_nothing_is_found_where_nothing_happens(tmp_path: Path) -> None:
    assert find(table(tmp_path, QUIET), 10) == []


def test_boxes_whose_map_lies_elsewhere_are_ranked_by_confidence_and_lift(tmp_path: Path) -> None:
    frames = [list(one) for one in QUIET]
    frames[2] = [detection(confidence=0.6, lift=0.5)]
    frames[15] = [detection(confidence=0.9, lift=0.2), detection("dog", confidence=0.3, lift=1.0)]
    made = table(tmp_path, frames)
    assert found(made, FindingKind.OFF_OBJECT) == [(15, "person"), (2, "person")]
    best = find(made, 1)[0]
    assert (best.box, best.text) == ((40, 30, 80, 70), "90% sure, lift 0.2")


def test_findings_of_a_class_within_seconds_are_one(tmp_path: Path) -> None:
    frames = [[detection(lift=0.5, confidence=0.5 + number / 100)] for number in range(30)]
    # Two seconds are ten frames: the best is the last, then one a window earlier.
    made = table(tmp_path, frames)
    moments = [made.time[frame] for frame, _ in found(made, FindingKind.OFF_OBJECT)]
    assert moments == pytest.approx([5.8, 3.8, 1.8], abs=0.21)


def test_classes_in_single_frames_are_lone(tmp_path: Path) -> None:
    frames = [list(one) for one in QUIET]
    frames[7].append(detection("cat"))
    frames[20].append(detection("dog"))
    frames[21].append(detection("dog"))
    assert found(table(tmp_path, frames), FindingKind.LONE) == [(7, "cat")]


def test_pictures_have_no_lone_classes(tmp_path: Path) -> None:
    assert find(table(tmp_path, [[detection()]]), 10) == []


def test_an_object_that_is_missed_in_one_frame_blinks(tmp_path: Path) -> None:
    frames = [list(one) for one in QUIET]
    frames[10] = []
    made = table(tmp_path, frames)
    assert blinks(made) == [(10, 9)]
    assert found(made, FindingKind.BLINKING) == [(10, "person")]


def test_an_object_that_comes_back_elsewhere_does_not_blink(tmp_path: Path) -> None:
    frames = [[detection()], [], [detection(box=(200, 30, 240, 70))], *QUIET]
    assert blinks(table(tmp_path, frames)) == []


def test_a_moving_object_blinks_by_its_track(tmp_path: Path) -> None:
    frames = [
        [detection(track=3)],
        [],
        [detection(box=(200, 30, 240, 70), track=3)],
        [detection(box=(200, 30, 240, 70), track=3)],
        [],
        [detection(box=(200, 30, 240, 70), track=4)],
    ]
    assert [frame for frame, _ in blinks(table(tmp_path, frames))] == [1]


def test_the_stretch_that_blinks_most_comes_first(tmp_path: Path) -> None:
    frames = [list(one) for one in QUIET] + [list(one) for one in QUIET]
    for number in (5, 40, 42, 44):
        frames[number] = []
    made = table(tmp_path, frames)
    first, second = (one for one in find(made, 10) if one.kind is FindingKind.BLINKING)
    assert first.frame in (40, 42, 44)
    assert first.text == "missed 3 times within 4 s"
    assert (second.frame, second.text) == (5, "missed once within 4 s")


def test_a_stretch_of_low_confidence_is_found_with_its_lowest_frame(tmp_path: Path) -> None:
    frames = [[detection(confidence=0.8 + (number % 5) / 100)] for number in range(100)]
    for number in range(40, 47):
        frames[number] = [detection(confidence=0.55 + abs(number - 44) / 100)]
    made = table(tmp_path, frames)
    assert found(made, FindingKind.UNSURE) == [(44, "person")]
    assert next(one for one in find(made, 9) if one.kind is FindingKind.UNSURE).text == (
        "down to 55% over 1.2 s, usually 82%"
    )


def test_few_unsure_frames_are_no_stretch(tmp_path: Path) -> None:
    frames = [[detection(confidence=0.8 + (number % 5) / 100)] for number in range(100)]
    for number in (10, 11, 12, 13, 50, 52, 54):
        frames[number] = [detection(confidence=0.5)]
    assert found(table(tmp_path, frames), FindingKind.UNSURE) == []


def test_a_jump_of_the_map_is_sudden(tmp_path: Path) -> None:
    made = table(tmp_path, QUIET, at_12=0.3, at_20=0.03)
    assert found(made, FindingKind.SUDDEN) == [(12, None)]


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    frames = [[detection(f"class {number}", lift=0.5)] for number in range(30)]
    made = table(tmp_path, frames)
    assert len(found(made, FindingKind.OFF_OBJECT, top=3)) == 3


@pytest.mark.parametrize("gap", [False, True])
def test_frames_of_two_clips_are_not_neighbours(tmp_path: Path, gap: bool) -> None:
    """A camera's segments follow each other, but something may have happened between them."""
    lines = [record(number, detection(), live=True) for number in range(4)]
    lines[3]["detections"] = []
    later = [record(number, detection(), live=True) for number in range(4, 8)]
    if gap:
        clips = [
            RecordedClip(write_records(tmp_path / "a.jsonl", lines), None),
            RecordedClip(write_records(tmp_path / "b.jsonl", later), None),
        ]
    else:
        clips = [RecordedClip(write_records(tmp_path / "a.jsonl", [*lines, *later]), None)]
    made = load(ResultSource("yard", clips))
    assert [frame for frame, _ in blinks(made)] == ([] if gap else [3])
