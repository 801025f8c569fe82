"""All records as one data set: nothing lost, nothing twice, each row in its day's partition."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest

from streamcam.errors import SinkError, UsageError
from streamcam.export import record_dataset
from streamcam.export.record_dataset import DatasetSummary, find_clips, write_dataset
from streamcam.files import FolderLock
from streamcam.sinks.parquet.record_tables import records_of
from tests.report.records import detection, record, write_records, write_results

NOON = "2025-03-01/12"


def live(number: int, *detections: dict[str, Any]) -> dict[str, Any]:
    return {**record(number, *detections, live=True), "source": "yard"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two files with results, and a camera with segments, one of which goes on after midnight."""
    folder = tmp_path / "out"
    write_results(folder, [record(0), record(1, detection(), detection("dog"))], video=False)
    (folder / "day").mkdir()
    write_results(folder / "day", [record(5, detection("car"))], video=False)
    to_midnight = int(timedelta(hours=11, minutes=59, seconds=59).total_seconds() * 5)
    write_records(folder / f"yard/{NOON}/00-00.jsonl", [live(0, detection()), live(1)])
    write_records(folder / f"yard/{NOON}/00-00-2.jsonl", [live(2)])
    write_records(
        folder / "yard/2025-03-01/23/59-59.jsonl",
        [live(to_midnight + step, detection()) for step in (0, 4, 5, 6)],
    )
    return folder


def query(to: Path, text: str) -> list[Any]:
    tables = {name: f"'{to}/{name}/*/*.parquet'" for name in ("frames", "detections")}
    return duckdb.sql(text.format(**tables)).fetchall()


def test_every_record_is_there_once(results: Path, tmp_path: Path) -> None:
    to = tmp_path / "set"
    summary = write_dataset(find_clips(results), to)
    assert summary == DatasetSummary(frames=10, detections=8, sources=3, days=3)
    rows = query(to, "SELECT name, date, count(*) FROM {frames} GROUP BY ALL ORDER BY ALL")
    assert [(name, str(day), number) for name, day, number in rows] == [
        ("clip", "2025-03-03", 2),
        ("day/clip", "2025-03-03", 1),
        ("yard", "2025-03-01", 5),
        ("yard", "2025-03-02", 2),
    ]
    assert query(to, "SELECT label, count(*) FROM {detections} GROUP BY ALL ORDER BY ALL") == [
        ("car", 1),
        ("dog", 1),
        ("person", 6),
    ]
    assert not list(tmp_path.glob("*.part"))


def test_rows_are_the_records_in_their_order(results: Path, tmp_path: Path) -> None:
    to = tmp_path / "set"
    write_dataset(find_clips(results), to)
    day = "date=2025-03-01/part-00000.parquet"
    frames, detections = (
        pl.read_parquet(to / table / day, hive_partitioning=False).to_dicts()
        for table in ("frames", "detections")
    )
    found = list(records_of(frames, detections))
    assert [one["frame"] for one in found[:3]] == [0, 5, 10]
    assert found[0] == live(0, detection())
    assert found[1] == live(1)


def test_other_readers_see_the_partitions(results: Path, tmp_path: Path) -> None:
    to = tmp_path / "set"
    write_dataset(find_clips(results), to)
    frames = pl.scan_parquet(to / "frames", hive_partitioning=True)
    days = frames.group_by("date").len().sort("date").collect()
    assert [(str(day), number) for day, number in days.rows()] == [
        ("2025-03-01", 5),
        ("2025-03-02", 2),
        ("2025-03-03", 3),
    ]
    table = ds.dataset(to / "detections", partitioning="hive").to_table(
        filter=ds.field("date") == "2025-03-01"
    )
    assert set(table["name"].to_pylist()) == {"yard"}


def test_a_clock_that_was_put_back_costs_no_row(tmp_path: Path) -> None:
    """Rows of a day that is complete already come into another file of it."""
    folder, to = tmp_path / "out", tmp_path / "set"
    write_records(folder / f"yard/{NOON}/00-00.jsonl", [live(0)])
    write_records(folder / "yard/2025-03-02/00/00-00.jsonl", [live(5 * 43_200), live(7)])
    assert write_dataset(find_clips(folder), to).frames == 3
    assert sorted(path.relative_to(to).as_posix() for path in to.rglob("frames/*/*")) == [
        "frames/date=2025-03-01/part-00000.parquet",
        "frames/date=2025-03-01/part-00001.parquet",
        "frames/date=2025-03-02/part-00000.parquet",
    ]


def test_large_partitions_have_several_files(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_dataset, "_PART_ROWS", 2)
    to = tmp_path / "set"
    write_dataset(find_clips(results), to)
    assert query(to, "SELECT count(*) FROM {frames}") == [(10,)]
    assert len(list(to.glob("frames/date=2025-03-01/*.parquet"))) == 3


def test_records_that_cannot_be_read_are_counted(results: Path, tmp_path: Path) -> None:
    (results / "clip.detections.jsonl").write_text("not a record\n")
    summary = write_dataset(find_clips(results), tmp_path / "set")
    assert (summary.sources, summary.frames, summary.without_records) == (2, 8, 1)


def test_a_failure_leaves_the_earlier_data_set(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "set"
    write_dataset(find_clips(results), to)
    before = sorted(path.read_bytes() for path in to.rglob("*.parquet"))

    def fail(_: object) -> None:
        raise SinkError("the disk is gone")

    monkeypatch.setattr(record_dataset, "frame_row", fail)
    with pytest.raises(SinkError, match="the disk is gone"):
        write_dataset(find_clips(results), to, overwrite=True)
    assert sorted(path.read_bytes() for path in to.rglob("*.parquet")) == before
    assert not list(tmp_path.glob("*.part"))


def test_only_an_earlier_data_set_is_replaced(results: Path, tmp_path: Path) -> None:
    to = tmp_path / "set"
    write_dataset(find_clips(results), to)
    with pytest.raises(UsageError, match="holds an earlier data set"):
        write_dataset(find_clips(results), to)
    (results / "day/clip.manifest.json").unlink()
    assert write_dataset(find_clips(results), to, overwrite=True).sources == 2
    assert query(to, "SELECT count(DISTINCT name) FROM {frames}") == [(2,)]
    for other in (results, tmp_path):
        with pytest.raises(UsageError, match="is not empty"):
            write_dataset(find_clips(results), other, overwrite=True)
    with pytest.raises(UsageError, match="is in object storage"):
        write_dataset(find_clips(results), Path("s3://bucket/set"))
    with pytest.raises(UsageError, match="is a file"):
        write_dataset(find_clips(results), results / "clip.manifest.json")


def test_two_at_once_do_not_meet(results: Path, tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "set.part")
    lock.acquire()
    try:
        with pytest.raises(SinkError, match="another process writes there"):
            write_dataset(find_clips(results), tmp_path / "set")
    finally:
        lock.release()


def test_a_folder_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        find_clips(tmp_path / "absent")
    with pytest.raises(UsageError, match="there are no results in it"):
        find_clips(tmp_path)
