"""Hard frames by each criterion, with scores that are known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streamcam.export.disagreement import counterpart, disagreements
from streamcam.export.hardness import Criterion, HardFrame, hard_frames
from streamcam.report.results import FrameTable, find_sources, load
from tests.export.explained import explain_video, write_result
from tests.report.records import detection, record, write_results

FAR = (100.0, 10.0, 140.0, 50.0)


def table(folder: Path, frames: Sequence[dict[str, Any]]) -> FrameTable:
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, frames, video=False)
    (source,) = find_sources(folder)
    return load(source)


def rows_and_scores(found: Sequence[HardFrame]) -> list[tuple[int, float]]:
    return [(one.row, pytest.approx(one.score, abs=1e-6)) for one in found]


def test_focus_takes_confident_boxes_off_the_map(tmp_path: Path) -> None:
    frames = [record(n, detection(), detection("car", lift=3)) for n in range(5)]
    frames[1] = record(1, detection(confidence=0.9, lift=0.5), detection("car", lift=0.9))
    frames[3] = record(3, detection(confidence=0.6, lift=0.0))
    found = hard_frames(table(tmp_path, frames), Criterion.FOCUS)
    assert rows_and_scores(found) == [(3, 0.6), (1, 0.45)]
    assert [label for label, _ in found[1].boxes] == ["person"]
    assert found[0].text == "person 60% sure, lift 0.0"


def test_confidence_counts_from_the_minimum_that_the_detector_ran_with(tmp_path: Path) -> None:
    frames = [record(0, detection(confidence=0.9)), record(1), record(2, detection(confidence=0.6))]
    frames.append(record(3, detection(confidence=0.95), detection("dog", confidence=0.5)))
    made = table(tmp_path, frames)
    found = hard_frames(made, Criterion.CONFIDENCE, 0.5)
    assert rows_and_scores(found) == [(3, 1.0), (2, 0.8), (0, 0.2)]
    assert found[0].text == "dog 50% sure, of at least 50%"
    lower = hard_frames(made, Criterion.CONFIDENCE, 0.4)
    assert lower[0].score == pytest.approx(5 / 6)
    assert hard_frames(table(tmp_path, [record(0)]), Criterion.CONFIDENCE) == []


def test_flicker_takes_missed_objects_first_then_changes_of_the_map(tmp_path: Path) -> None:
    frames = [record(n, detection(), flicker=0.02) for n in range(8)]
    frames[4] = record(4, flicker=0.1)
    frames[6] = record(6, detection(), flicker=0.3)
    found = hard_frames(table(tmp_path, frames), Criterion.FLICKER)
    assert rows_and_scores(found[:3]) == [(4, 1.1), (6, 0.3), (1, 0.02)]
    assert len(found) == 7, "the first frame has no map before it"
    assert found[0].text == "missed for this frame: person, the map changed by 0.10"
    assert [label for label, _ in found[0].boxes] == ["person"]
    assert [label for label, _ in found[1].boxes] == ["person"]


def test_disagreement_is_the_confidence_of_boxes_without_a_partner(tmp_path: Path) -> None:
    mine = [record(n, detection(confidence=0.8)) for n in range(4)]
    theirs = [record(n, detection(confidence=0.7)) for n in range(4)]
    theirs[1] = record(1)
    mine[2] = record(2, detection(confidence=0.8), detection("dog", confidence=0.6, box=FAR))
    theirs[2] = record(2, detection("cat", confidence=0.7), detection("dog", box=FAR))
    found = disagreements(table(tmp_path / "a", mine), table(tmp_path / "b", theirs))
    assert rows_and_scores(found) == [(2, 1.5), (1, 0.8)]
    assert found[0].text == "only here: person; only there: cat"


def test_a_box_has_one_partner_and_the_pairs_overlap_most(tmp_path: Path) -> None:
    left, right = (0.0, 0.0, 20.0, 20.0), (4.0, 0.0, 24.0, 20.0)
    mine = [record(0, detection(box=left), detection(box=right))]
    theirs = [record(0, detection(box=right), detection(box=left))]
    assert disagreements(table(tmp_path / "a", mine), table(tmp_path / "b", theirs)) == []
    theirs = [record(0, detection(box=right))]
    (one,) = disagreements(table(tmp_path / "a", mine), table(tmp_path / "b", theirs))
    assert [box for _, box in one.boxes] == [left]


def test_frames_that_one_run_did_not_explain_are_no_disagreement(tmp_path: Path) -> None:
    mine = table(tmp_path / "a", [record(n, detection()) for n in range(4)])
    theirs = table(tmp_path / "b", [record(n) for n in (0, 2)])
    assert [one.row for one in disagreements(mine, theirs)] == [0, 2]


def test_the_other_results_are_those_of_the_same_content(tmp_path: Path) -> None:
    first = explain_video(tmp_path / "in", tmp_path / "a")
    explain_video(tmp_path / "in", tmp_path / "b", name="another", count=3)
    (source,) = find_sources(tmp_path / "a")
    assert counterpart(source, find_sources(tmp_path / "b")) is None
    moved = tmp_path / "elsewhere" / "moved.mp4"
    moved.parent.mkdir()
    moved.write_bytes(first.read_bytes())
    write_result(tmp_path / "b", "moved", moved, [record(0, detection())])
    found = counterpart(source, find_sources(tmp_path / "b"))
    assert found is not None
    assert found.name == "moved"
