import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import __version__, schemas
from streamcam.errors import SinkError
from streamcam.sinks.base import Provenance
from streamcam.sinks.manifest import read_manifest, write_manifest
from streamcam.types import Counts, JobReport, Outcome, SourceInfo

MANIFEST = jsonschema.Draft202012Validator(
    schemas.schema("manifest"), format_checker=jsonschema.FormatChecker()
)
ENGINE = Provenance(
    model="nano",
    classes=("person", "car"),
    method="eigencam",
    device="cpu",
    weights_sha256="0f" * 32,
    settings={"sampling": {"max_fps": 5.0, "every": None}},
)
INFO = SourceInfo("dir/clip.mp4", 768, 432, Fraction(1, 12_800), Fraction(30_000, 1001))
COUNTS = Counts(100, 20, 1, {"queue full": 2}, {"person": 31})


def report(folder: Path) -> JobReport:
    outputs = {
        "video": folder / "clip.heatmap.mp4",
        "records": folder / "clip.detections.jsonl",
    }
    return JobReport("dir/clip.mp4", Outcome.DONE, COUNTS, outputs, 3.14159, 20.0)


def write(path: Path, done: JobReport, engine: Provenance = ENGINE) -> Any:
    started = datetime(2025, 3, 1, 12, tzinfo=UTC)
    ended = datetime(2025, 3, 1, 12, 0, 3, tzinfo=UTC)
    assert write_manifest(path, INFO, done, engine, started=started, ended=ended) == path
    content = json.loads(path.read_text(encoding="utf-8"))
    MANIFEST.validate(content)
    return content


def test_a_manifest_tells_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clip.manifest.json"
    assert write(path, report(path.parent)) == {
        "schema_version": 1,
        "streamcam_version": __version__,
        "source": {
            "id": "dir/clip.mp4",
            "width": 768,
            "height": 432,
            "time_base": "1/12800",
            "frame_rate": "30000/1001",
            "live": False,
            "still": False,
        },
        "engine": {
            "model": "nano",
            "weights_sha256": "0f" * 32,
            "classes": ["person", "car"],
            "method": "eigencam",
            "device": "cpu",
        },
        "settings": {"sampling": {"max_fps": 5.0, "every": None}},
        "started": "2025-03-01T12:00:00.000Z",
        "ended": "2025-03-01T12:00:03.000Z",
        "seconds": 3.142,
        "media_seconds": 20.0,
        "counts": {
            "decoded": 100,
            "explained": 20,
            "corrupt": 1,
            "dropped": {"queue full": 2},
            "detections": {"person": 31},
        },
        "outcome": "done",
        "error": None,
        "outputs": {"video": "clip.heatmap.mp4", "records": "clip.detections.jsonl"},
    }
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_is_told_with_its_remedy(tmp_path: Path) -> None:
    failed = replace(
        report(tmp_path), outcome=Outcome.FAILED, error="it broke", hint="mend it", outputs={}
    )
    content = write(tmp_path / "x.manifest.json", failed, replace(ENGINE, weights_sha256=None))
    assert content["error"] == {"message": "it broke", "hint": "mend it"}
    assert content["engine"]["weights_sha256"] is None
    without_hint = write(tmp_path / "x.manifest.json", replace(failed, hint=None))
    assert without_hint["error"] == {"message": "it broke", "hint": None}


def test_results_are_complete_while_all_their_files_are_there(tmp_path: Path) -> None:
    path = tmp_path / "clip.manifest.json"
    done = report(tmp_path)
    for output in done.outputs.values():
        output.write_bytes(b"result")
    write(path, done)
    found = read_manifest(path)
    assert found is not None
    assert found.outputs == done.outputs
    assert found.outcome is Outcome.DONE
    assert found.content["counts"]["explained"] == 20
    assert found.complete
    done.outputs["video"].unlink()
    assert not found.complete


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.FAILED])
def test_results_of_unfinished_work_are_not_complete(tmp_path: Path, outcome: Outcome) -> None:
    write(tmp_path / "x.manifest.json", replace(report(tmp_path), outcome=outcome, outputs={}))
    found = read_manifest(tmp_path / "x.manifest.json")
    assert found is not None
    assert not found.complete


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"{}",
        b'{"schema_version": 2, "outcome": "done", "outputs": {}}',
        b'{"schema_version": 1, "outcome": "eaten", "outputs": {}}',
        b'{"schema_version": 1, "outcome": "done", "outputs": []}',
        b'{"schema_version": 1, "outcome": "done", "outputs": {"video": 3}}',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_manifest_of_ours_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_bytes(content)
    assert read_manifest(path) is None


def test_a_missing_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "x.manifest.json") is None
    assert read_manifest(tmp_path) is None


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SinkError, match="taken"):
        write(tmp_path / "taken" / "x.manifest.json", report(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
