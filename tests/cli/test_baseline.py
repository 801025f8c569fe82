"""`streamcam baseline`, and what `streamcam report` makes of it, as users run them."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam
from tests.drift.simulated import frames, write_files
from tests.report.records import write_segment

LEARN = ("--name", "summer", "--window", "2s")


@pytest.fixture
def results(streamcam: Streamcam, tmp_path: Path) -> Path:
    """A folder of results with a baseline."""
    folder = write_files(tmp_path / "june", [1, 2])
    done = streamcam("baseline", folder, *LEARN)
    assert done.returncode == 0, done.stderr
    assert "false alarms" in done.stdout
    return folder


def report(streamcam: Streamcam, folder: Path, *options: object) -> Any:
    done = streamcam("report", folder, "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_file_is_as_its_schema_says(results: Path) -> None:
    content = orjson.loads((results / "baselines" / "summer.json").read_bytes())
    jsonschema.Draft202012Validator(schemas.schema("baseline")).validate(content)
    assert content["sources"]["."]["labels"] == ["person"]
    assert content["sources"]["."]["windows"] == 60


def test_results_that_are_alike_do_not_differ(
    streamcam: Streamcam, results: Path, tmp_path: Path
) -> None:
    alike = write_files(tmp_path / "july", [3, 4])
    found = report(streamcam, alike, "--baseline", results / "baselines" / "summer.json")
    assert found["drift"]["sources"]["."]["alarms"] == []
    assert found["drift"]["sources"]["."]["score"] < 1


def test_results_that_differ_are_told(streamcam: Streamcam, results: Path, tmp_path: Path) -> None:
    turned = write_files(tmp_path / "july", [3, 4], turned=True)
    done = streamcam("report", turned, "--baseline", results / "baselines" / "summer.json")
    assert "drift: 1 of 1 sources differs from the baseline summer" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "drift: the files: heat" in line)
    said = r"heat has moved from person \(40%, now [56]%\) to outside all boxes \(60%, now 9[45]%\)"
    assert re.search(said, line)
    assert "from the left to the right of the picture, since clip3 0:00" in line
    page = (turned / "report.html").read_text()
    assert "<div class='banner drifted'>" in page
    assert "<polyline" in page


def test_the_newest_baseline_of_the_folder_is_taken(streamcam: Streamcam, results: Path) -> None:
    assert report(streamcam, results)["drift"]["baseline"] == "summer"
    assert "drift" not in report(streamcam, write_files(results / "other", [5]))


def test_cameras_are_learned_by_hour(streamcam: Streamcam, tmp_path: Path) -> None:
    write_segment(tmp_path / "yard", frames(300, 1, live=True))
    done = streamcam("baseline", tmp_path, *LEARN, "--json")
    source = json.loads(done.stdout)["sources"]["yard"]
    assert (source["hours"], source["windows"], source["frames"]) == (1, 30, 300)
    content = orjson.loads((tmp_path / "baselines" / "summer.json").read_bytes())
    assert list(content["sources"]["yard"]["hours"]) == ["12"]
    before = streamcam("baseline", tmp_path, "--name", "early", "--until", "2025-03-01T12:00:10")
    assert before.returncode == 2
    assert "too few results to learn from" in before.stderr


def test_baselines_are_listed(streamcam: Streamcam, results: Path, tmp_path: Path) -> None:
    listed = streamcam("baseline", results)
    assert "summer: of " in listed.stdout
    assert "person" in listed.stdout
    assert json.loads(streamcam("baseline", results, "--json").stdout)[0]["name"] == "summer"
    assert "no baselines" in streamcam("baseline", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "../summer"], "--name: must be letters"),
        (["--name", "summer"], "has a baseline summer already"),
        (["--name", "other", "--window", "3h"], "--window: must be more than 0 and at most 2h"),
        (["--name", "other", "--since", "June"], "--since: must be a time"),
    ],
)
def test_what_is_refused(
    streamcam: Streamcam, results: Path, arguments: list[str], message: str
) -> None:
    done = streamcam("baseline", results, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_baselines_that_are_not_there(streamcam: Streamcam, results: Path) -> None:
    done = streamcam("report", results, "--baseline", "winter")
    assert (done.returncode, "There are: summer." in done.stderr) == (2, True)
    (results / "broken.json").write_text("{}")
    done = streamcam("report", results, "--baseline", results / "broken.json")
    assert (done.returncode, "this is no baseline" in done.stderr) == (2, True)
