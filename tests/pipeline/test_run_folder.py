"""What a run leaves beside the results of its sources."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest

from streamcam import schemas
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.pipeline import run_folder
from streamcam.pipeline.run_folder import RunFolder
from streamcam.types import Counts, JobReport, Outcome

RUN = jsonschema.Draft202012Validator(
    schemas.schema("run"), format_checker=jsonschema.FormatChecker()
)
KEY = "ab" * 32


class SteppedClock(Clock):
    """Stands still until a test moves it."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return datetime.fromtimestamp(1_740_830_400 + self.seconds, UTC)


def summary(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))
    RUN.validate(found)
    return found


def files(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def done(source: str = "clip.mp4", outcome: Outcome = Outcome.DONE) -> JobReport:
    counts = Counts(250, 50, 1, detections={"dog": 3, "person": 40})
    return JobReport(source, outcome, counts, media_seconds=10.0, engine_key=KEY)


def failed(source: str, error: str = "not a video", *, retryable: bool = False) -> JobReport:
    return JobReport(source, Outcome.FAILED, error=error, hint="Check.", retryable=retryable)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def test_counts_settings_and_versions(tmp_path: Path, clock: SteppedClock) -> None:
    settings = Settings.model_validate({"sampling": {"max_fps": 2.0}})
    with RunFolder(tmp_path, settings, shard=(3, 64), total=4, clock=clock) as folder:
        assert folder.path == tmp_path / "runs" / "20250301T120140Z-shard-3-of-64"
        assert summary(folder)["state"] == "running"
        clock.seconds += 7.5
        for report in (done(), done(), JobReport("old.mp4", Outcome.SKIPPED)):
            folder.file_ended(report)
    found = summary(folder)
    assert found["state"] == "done"
    assert found["shard"] == "3/64"
    assert found["sources"] == {"total": 4, "done": 2, "skipped": 1, "stopped": 0, "failed": 0}
    assert found["frames"] == {"decoded": 500, "explained": 100, "corrupt": 2}
    assert list(found["detections"].items()) == [("person", 80), ("dog", 6)]
    assert (found["seconds"], found["media_seconds"]) == (7.5, 20.0)
    assert (found["started"], found["ended"]) == (
        "2025-03-01T12:01:40.000Z",
        "2025-03-01T12:01:47.500Z",
    )
    assert found["engine_keys"] == [KEY]
    assert found["settings"]["sampling"]["max_fps"] == 2.0
    assert {"python", "torch", "av"} <= found["versions"].keys()
    assert found["failures"] is None
    assert files(folder) == ["run.json"]


def test_failures_grow_as_lines_and_end_as_a_table(tmp_path: Path) -> None:
    with RunFolder(tmp_path, Settings()) as folder:
        folder.record(failed("a.mp4"), tries=3)
        folder.record(failed("rtsp://me:secret@host/x", "https://u:pw@h/x: gone", retryable=True))
        lines = (folder.path / "failures.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["tries"] for line in lines] == [3, 1]
    assert summary(folder)["failures"] == "failures.parquet"
    assert summary(folder)["sources"]["failed"] == 2
    assert files(folder) == ["failures.parquet", "run.json"]
    table = duckdb.sql(f"FROM '{folder.path}/failures.parquet'")
    assert table.columns == ["source", "error", "hint", "tries", "retryable"]
    assert table.fetchall() == [
        ("a.mp4", "not a video", "Check.", 3, False),
        ("rtsp://host/x", "https://h/x: gone", "Check.", 1, True),
    ]


def test_without_pyarrow_the_failures_stay_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "has_pyarrow", lambda: False)
    with RunFolder(tmp_path, Settings()) as folder:
        folder.record(failed("a.mp4"))
    assert summary(folder)["failures"] == "failures.jsonl"
    assert files(folder) == ["failures.jsonl", "run.json"]


def test_it_is_written_at_most_once_a_minute_until_the_end(
    tmp_path: Path, clock: SteppedClock
) -> None:
    with RunFolder(tmp_path, Settings(), clock=clock) as folder:
        folder.record(done())
        assert summary(folder)["sources"]["done"] == 0
        clock.seconds += 60
        folder.record(done())
        assert summary(folder)["sources"]["done"] == 2
        assert summary(folder)["ended"] is None


def test_how_a_run_ended(tmp_path: Path) -> None:
    with RunFolder(tmp_path, Settings()) as stopped:
        stopped.record(done(outcome=Outcome.STOPPED))
    with RunFolder(tmp_path, Settings()) as never_begun:
        never_begun.end(stopped=True)
    with pytest.raises(ValueError, match="the model"), RunFolder(tmp_path, Settings()) as broken:
        raise ValueError("the model cannot be loaded")
    assert summary(stopped)["state"] == summary(never_begun)["state"] == "stopped"
    assert summary(broken)["state"] == "failed"
    assert summary(broken)["error"] == "the model cannot be loaded"


def test_two_runs_that_begin_together_have_folders_of_their_own(
    tmp_path: Path, clock: SteppedClock
) -> None:
    folders = [RunFolder(tmp_path, Settings(), clock=clock) for _ in range(3)]
    assert [folder.path.name for folder in folders] == [
        "20250301T120140Z",
        "20250301T120140Z-2",
        "20250301T120140Z-3",
    ]


def test_a_folder_that_goes_away_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunFolder(tmp_path, Settings()) as folder:
        (folder.path / "run.json").unlink()
        folder.path.rmdir()
        folder.path.write_text("in the way")
        folder.record(failed("a.mp4"))
    assert "summary is not complete" in caplog.text
