"""Records as Parquet, from the command to the tables that the documentation queries."""

import json
import re
from pathlib import Path

import duckdb
import jsonschema
import pytest

from streamcam import schemas
from streamcam.report.results import RecordedClip, find_sources, load, read_records
from streamcam.sinks.parquet.record_tables import DETECTION_TABLE, FRAME_TABLE
from streamcam.sinks.parquet.table_file import Table
from tests.cli.conftest import Streamcam

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
SCENES = [f"demo://street?seconds=1&width=320&height=180&seed={seed}" for seed in (1, 2)]


@pytest.fixture(scope="module")
def folder(streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sources' results in both forms below `out`."""
    folder = tmp_path_factory.mktemp("parquet")
    options = ("--records", "both", "--video", "off", "--track", "--confidence", "0.3")
    done = streamcam("run", *SCENES, "-o", "out", *options, "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def manifests(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("*.manifest.json"))


def test_the_manifest_lists_both_forms(folder: Path) -> None:
    assert len(manifests(folder)) == len(SCENES)
    for path in manifests(folder):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(manifest)
        assert {"records", "frames", "detections"} <= manifest["outputs"].keys()
        assert manifest["engine"]["parts"]["output.records"] == "both"


def test_the_tables_equal_the_lines(folder: Path) -> None:
    for path in manifests(folder):
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        lines, tables = (
            list(read_records(RecordedClip(path.parent / outputs[kind], None)))
            for kind in ("records", "frames")
        )
        assert len(lines) == 5
        assert tables == lines
        assert any("track_id" in one for record in lines for one in record["detections"])


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_documented_queries_run(
    folder: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(query.strip().splitlines()) <= 5
    monkeypatch.chdir(folder)
    assert duckdb.sql(query).fetchall()


def test_the_queries_answer_as_counted_by_hand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    classes, first, _, jumps, people = (duckdb.sql(query).fetchall() for query in QUERIES)
    records = [list(read_records(source.clips[0])) for source in find_sources(folder / "out")]
    every = [one["label"] for clip in records for record in clip for one in record["detections"]]
    assert {row[0]: row[1] for row in classes} == {label: every.count(label) for label in every}
    persons = {
        clip[0]["source"]: sum(
            one["label"] == "person" for record in clip for one in record["detections"]
        )
        for clip in records
    }
    assert {row[0]: row[2] for row in people} == {
        source: count / 5 for source, count in persons.items()
    }
    assert all(row[1] >= 0 and 1 <= row[2] <= 5 for row in first)
    flickers = [record["cam"]["flicker"] for clip in records for record in clip]
    assert jumps[0][2] == max(flicker for flicker in flickers if flicker is not None)


@pytest.mark.parametrize("table", [FRAME_TABLE, DETECTION_TABLE], ids=lambda table: table.name)
def test_the_page_describes_every_column(table: Table) -> None:
    (described,) = re.findall(rf"\n\| `{table.name}` \| type \| \|\n((?:\|.*\n)+)", PAGE)
    rows = [re.split(r" \| ", row.strip("| ")) for row in described.splitlines()[1:]]
    assert [(row[0].strip("`"), row[2]) for row in rows] == [
        (column.name, column.description) for column in table.columns
    ]


def test_the_report_reads_tables_where_there_are_no_lines(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam(
        "run", SCENES[0], "-o", tmp_path, "--records", "parquet", "--video", "off", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("*.jsonl"))
    (source,) = find_sources(tmp_path)
    table = load(source)
    assert table.frames == 5
    told = streamcam("report", tmp_path, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["sources"][0]["frames"] == 5


def test_the_export_holds_the_same_in_one_data_set(
    folder: Path, streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam("export", "parquet", folder / "out", "--output", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert "10 frames and" in done.stdout
    assert "of 2 sources on 1 day:" in done.stdout
    columns = ", ".join(column.name for column in DETECTION_TABLE.columns)
    both = [
        duckdb.sql(f"SELECT {columns} FROM '{files}' ORDER BY ALL").fetchall()
        for files in (
            f"{folder}/out/*.detections.parquet",
            f"{tmp_path}/set/detections/*/*.parquet",
        )
    ]
    assert both[0] == both[1]
    again = streamcam("export", "parquet", folder / "out", "--output", tmp_path / "set")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_other_forms_are_refused(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("run", SCENES[0], "-o", tmp_path, "--records", "csv")
    assert done.returncode == 2
    assert "--records" in done.stderr
    assert "jsonl, parquet or both" in done.stderr
