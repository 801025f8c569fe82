"""Condensing records: what is kept, however long the video is."""

from pathlib import Path

import pytest

from streamcam.service.http.video_timeline import (
    MAX_BUCKETS,
    MAX_CLASSES,
    Period,
    condensed,
    start_of,
)
from tests.service.http.test_api_files import record


def test_hours_become_a_few_hundred_buckets_and_no_moment_is_lost(tmp_path: Path) -> None:
    records = tmp_path / "long.jsonl"
    lines = [record(i * 0.5, ["cat"] * (3 if i == 7777 else 1), float(i % 3)) for i in range(20000)]
    records.write_bytes(b"".join(lines))
    line = condensed(records)
    assert MAX_BUCKETS / 4 < len(line.frames) <= MAX_BUCKETS + 1
    assert sum(line.frames) == 20000
    (cat,) = line.classes
    assert cat.total == 20002
    # A cat too many for half a second can still be seen.
    assert [i for i, count in enumerate(cat.counts) if count == 3] == [int(7777 * 0.5 / line.step)]
    assert cat.lifts[10] == pytest.approx(1, abs=0.05)
    assert line.flicker[0] == 0.5


def test_a_part_is_told_in_finer_buckets(tmp_path: Path) -> None:
    records = tmp_path / "long.jsonl"
    lines = [record(i * 0.5, ["cat"] * (3 if i == 7777 else 1), 2.0) for i in range(20000)]
    records.write_bytes(b"".join(lines))
    part = condensed(records, 10.0, Period(3800.5, 4000.5))
    assert (part.start, part.step, part.frames) == (3800, 1, [2] * 201)
    (cat,) = part.classes
    assert [i for i, count in enumerate(cat.counts) if count == 3] == [3888 - 3790]
    assert cat.total == 404
    # What it has not is left out, and its end is its own.
    assert condensed(records, 10.0, Period(0, 50)).frames == [2] * 40
    assert condensed(records, 10.0, Period(9990, 20000)).frames == [2] * 20
    assert condensed(records, 10.0, Period(0, 10010)) == condensed(records, 10.0)
    assert condensed(records, 10.0, Period(70000, 80000)).frames == [0]


def test_frames_as_far_apart_as_a_bucket_leave_none_empty(tmp_path: Path) -> None:
    records = tmp_path / "even.jsonl"
    records.write_bytes(b"".join(record(i / 5, []) for i in range(50)))
    assert set(condensed(records).frames) == {1}


def test_where_nothing_was_explained_there_is_no_count(tmp_path: Path) -> None:
    records = tmp_path / "gap.jsonl"
    times = [0.0, 0.5, 1.0, 1.5, 9.0, 9.5, 10.0]
    records.write_bytes(b"".join(record(time, ["cat"]) for time in times))
    line = condensed(records)
    counts = line.classes[0].counts
    assert counts[0] == counts[-1] == 1
    assert None in counts
    assert [count is None for count in counts] == [frames == 0 for frames in line.frames]


def test_the_most_frequent_classes_come_first_and_the_rest_is_left_out(tmp_path: Path) -> None:
    records = tmp_path / "classes.jsonl"
    records.write_bytes(record(0, [f"c{n:02}" for n in range(30) for _ in range(n)]))
    labels = [each.label for each in condensed(records).classes]
    assert labels == [f"c{n:02}" for n in range(29, 29 - MAX_CLASSES, -1)]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    records = tmp_path / "grows.jsonl"
    records.write_bytes(record(0, ["cat"]))
    assert condensed(records).classes[0].total == 1
    records.write_bytes(record(0, ["cat"]) + record(1, ["cat"]))
    assert condensed(records).classes[0].total == 2


def test_a_last_record_of_any_length_is_found(tmp_path: Path) -> None:
    records = tmp_path / "wide.jsonl"
    records.write_bytes(record(0, []) + record(100, ["person"] * 20000))
    line = condensed(records)
    assert line.step * len(line.frames) >= 100


def test_it_begins_where_the_video_does(tmp_path: Path) -> None:
    records = tmp_path / "late.jsonl"
    records.write_bytes(record(0, [], pts=90000))
    assert start_of(records, 1 / 90000) == 1
    records.write_bytes(record(0, [], pts=-90000))
    assert start_of(records, 1 / 90000) == 0
