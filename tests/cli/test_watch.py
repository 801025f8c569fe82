"""`streamcam watch` and `streamcam jobs` with the real detector, as a user would run them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam
from tests.media import numbered, write_video


@dataclass
class Shift:
    """A watcher that explained what was there, and its job store."""

    incoming: Path
    output: Path
    jobs: Callable[..., Any]


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory, streamcam: Streamcam) -> Shift:
    folder = tmp_path_factory.mktemp("watch")
    incoming, output = folder / "in", folder / "out"
    (incoming / "gate").mkdir(parents=True)
    write_video(incoming / "gate" / "day.mp4", numbered(20, 160, 120))
    (incoming / "notes.mp4").write_text("a shopping list: milk, eggs\n" * 50)

    def jobs(*words: object) -> Any:
        return streamcam("jobs", *words, "--output", output)

    options = ("--output", output, "--once", "--settle", 0.2, "--json")
    done = streamcam("watch", incoming, *options, STREAMCAM_WATCH_MIN_FREE="0")
    assert done.returncode == 1, done.stderr
    reports = {Path(r["source"]).name: r for r in map(json.loads, done.stdout.splitlines())}
    assert reports["day.mp4"]["outcome"] == "done", reports
    assert reports["notes.mp4"]["outcome"] == "failed"
    return Shift(incoming, output, jobs)


def listed(shift: Shift, *options: object) -> dict[str, dict[str, Any]]:
    jobs = json.loads(shift.jobs("list", "--json", *options).stdout)
    return {Path(job["file"]).name: job for job in jobs}


def test_results_follow_their_schemas_and_mirror_the_tree(shift: Shift) -> None:
    record, manifest = (
        jsonschema.Draft202012Validator(schemas.schema(name)) for name in ("record", "manifest")
    )
    lines = (shift.output / "gate" / "day.detections.jsonl").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        record.validate(json.loads(line))
    manifest.validate(json.loads((shift.output / "gate" / "day.manifest.json").read_text()))


def test_jobs_are_listed_and_shown_to_people_and_programs(shift: Shift) -> None:
    jobs = listed(shift)
    assert jobs["day.mp4"]["state"] == "done"
    assert jobs["notes.mp4"]["state"] == "failed"
    assert "not a video" in jobs["notes.mp4"]["error"]
    assert list(listed(shift, "--status", "failed")) == ["notes.mp4"]
    assert len(listed(shift, "--limit", 1)) == 1
    table = shift.jobs("list").stdout
    assert "day.mp4" in table
    assert "2 jobs: 1 done, 1 failed" in table
    number = jobs["day.mp4"]["job"]
    assert "day.heatmap.mp4" in shift.jobs("show", number).stdout
    shown = json.loads(shift.jobs("show", shift.incoming / "gate" / "day.mp4", "--json").stdout)
    assert shown == jobs["day.mp4"]


def test_jobs_are_retried_and_forgotten(shift: Shift) -> None:
    notes = shift.incoming / "notes.mp4"
    assert shift.jobs("retry", "--status", "failed").stdout == "1 job queued again\n"
    assert listed(shift)["notes.mp4"]["state"] == "ready"
    assert shift.jobs("forget", notes).stdout == "1 job forgotten\n"
    assert list(listed(shift)) == ["day.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "99"], "no job '99'"),
        (["list", "--status", "lost"], "--status: must be found, ready"),
        (["retry"], "name either jobs or a --status"),
        (["forget", "1", "--status", "done"], "name either jobs or a --status"),
    ],
)
def test_usage_errors_of_jobs(shift: Shift, words: list[str], message: str) -> None:
    done = shift.jobs(*words)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["jobs", "list"], 2, "no job store in"),
        (["watch", "file.mp4"], 2, "is not a folder"),
        (["watch", "in", "in/deep"], 2, "lies inside"),
        (["watch", "in", "--after", "burn"], 2, "--after: must be keep"),
        (["watch", "in", "--once", "--settle", "0.1", "--weights", "no.pth"], 69, "no.pth"),
    ],
)
def test_usage_errors(
    streamcam: Streamcam, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "file.mp4").touch()
    write_video(tmp_path / "in" / "a.mp4", numbered(3))
    done = streamcam(*words, "--output", "out", cwd=tmp_path, STREAMCAM_WATCH_MIN_FREE="0")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
