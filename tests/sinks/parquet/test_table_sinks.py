"""Records as Parquet hold what the JSON lines hold, for every reader."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

from streamcam.errors import DiskFullError, SinkError, UsageError
from streamcam.regions import Direction, LineCrossing, ZoneChange
from streamcam.sinks.parquet import table_file
from streamcam.sinks.parquet.record_tables import DETECTION_TABLE, FRAME_TABLE
from streamcam.sinks.parquet.table_file import require_pyarrow
from streamcam.sinks.parquet.table_sinks import (
    DetectionTableSink,
    FrameTableSink,
    read_record_tables,
)
from streamcam.sinks.records import JsonlSink
from streamcam.types import BoxMap, Focus, FrameResult
from tests.sinks.disk import file_size_limit
from tests.sinks.items import PERSON, explained, frame

MOMENT = datetime(2025, 3, 1, 12, 0, 0, 250_000, UTC)
WHY = BoxMap("layercam", np.zeros((2, 2), np.float32), Focus(0.7, 9.0, True), 0.4)
TRACKED = replace(PERSON, label="велосипед", track_id=7, zones=("door", "yard"))

RESULTS = [
    explained(frame(0), detections=[], flicker=None),
    explained(frame(1), [PERSON, replace(PERSON, why=WHY)]),
    replace(
        explained(frame(2), [TRACKED]),
        zone_changes=(ZoneChange("door", "dog", 3, seconds=4.2), ZoneChange("yard", "dog", 3)),
        line_crossings=(LineCrossing("gate", Direction.OUT, "person", 7),),
    ),
    explained(replace(frame(3, time_utc=MOMENT), unchanged=1.5)),
]


def written(folder: Path, results: Sequence[FrameResult] = RESULTS) -> list[dict[str, Any]]:
    """Write results in both forms; return the records of the JSON lines."""
    lines = JsonlSink(folder / "clip.detections.jsonl")
    tables = [
        FrameTableSink(folder / "clip.frames.parquet"),
        DetectionTableSink(folder / "clip.detections.parquet"),
    ]
    for result in results:
        for sink in (lines, *tables):
            sink.write(result)
            sink.write(replace(result.frame, sampled=False))
    for table in tables:
        table.finish()
    return [orjson.loads(line) for line in lines.finish().read_bytes().splitlines()]


def test_the_tables_hold_the_records(tmp_path: Path) -> None:
    records = written(tmp_path)
    assert list(read_record_tables(tmp_path / "clip.frames.parquet")) == records


def test_many_frames_make_several_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "ROW_GROUP", 2048)
    labels = ("person", "dog", "cat")
    results = [
        explained(frame(i), [replace(PERSON, label=labels[i * k % 3]) for k in range(i % 4)])
        for i in range(2500)
    ]
    records = written(tmp_path, results)
    assert pq.read_metadata(tmp_path / "clip.frames.parquet").num_row_groups == 2
    assert list(read_record_tables(tmp_path / "clip.frames.parquet")) == records


def test_duckdb_and_polars_read_the_same(tmp_path: Path) -> None:
    records = written(tmp_path)
    found = [one for record in records for one in record["detections"]]
    file = tmp_path / "clip.detections.parquet"
    boxes = duckdb.sql(f"SELECT label, confidence, x1, y1, x2, y2, focus_lift FROM '{file}'")
    expected = [
        (one["label"], one["confidence"], *one["box"], one["focus"]["lift"]) for one in found
    ]
    assert boxes.fetchall() == expected
    table = pl.read_parquet(tmp_path / "*.detections.parquet")
    assert table.select(boxes.columns).cast({"label": pl.String}).rows() == expected
    assert table["label"].dtype == pl.Categorical
    assert table["zones"].to_list() == [[], [], ["door", "yard"], []]
    frames = pl.read_parquet(tmp_path / "clip.frames.parquet")
    assert frames["time_utc"].to_list() == [None, None, None, MOMENT]
    assert frames["cam_flicker"].to_list() == [record["cam"]["flicker"] for record in records]
    (changes,) = duckdb.sql(
        f"SELECT unnest(zone_changes, recursive := true) FROM '{tmp_path}/clip.frames.parquet' "
        "WHERE len(zone_changes) > 0 LIMIT 1"
    ).fetchall()
    assert changes == ("door", "leave", "dog", 3, 4.2)


@pytest.mark.parametrize("table", [FRAME_TABLE, DETECTION_TABLE], ids=lambda table: table.name)
def test_every_column_is_described_in_the_file(tmp_path: Path, table: table_file.Table) -> None:
    written(tmp_path)
    schema = pq.read_schema(tmp_path / f"clip.{table.name}.parquet")
    assert schema.names == [column.name for column in table.columns]
    for column in table.columns:
        field = schema.field(column.name)
        assert field.metadata[b"description"].decode() == column.description
        assert field.nullable == column.nullable
    assert schema.metadata[b"schema_version"] == b"1"


def test_frames_without_detections_make_an_empty_table(tmp_path: Path) -> None:
    written(tmp_path, [explained(frame(0), [])])
    file = tmp_path / "clip.detections.parquet"
    assert duckdb.sql(f"FROM '{file}'").columns[:5] == [
        "source",
        "frame",
        "time",
        "time_utc",
        "label",
    ]
    assert duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall() == [(0,)]


def test_a_disk_that_is_full_at_the_end(tmp_path: Path) -> None:
    sink = FrameTableSink(tmp_path / "clip.frames.parquet")
    with file_size_limit(1500):
        sink.write(explained(frame(0)))
        with pytest.raises(DiskFullError, match=r"clip\.frames\.parquet"):
            sink.finish()
        sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "clip.detections.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(SinkError, match=r"clip\.detections\.parquet: cannot be read"):
        list(read_record_tables(tmp_path / "clip.frames.parquet"))


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "has_pyarrow", lambda: False)
    with pytest.raises(UsageError, match="--records parquet needs pyarrow") as raised:
        require_pyarrow("--records parquet")
    assert raised.value.hint == "pip install 'streamcam[parquet]'"
