"""`streamcam report` as a user runs it."""

import json
import re
from pathlib import Path

from tests.cli.conftest import Streamcam
from tests.report.records import write_examples


def test_the_command_prints_a_summary_and_writes_the_page(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    results = write_examples(tmp_path)
    done = streamcam("report", results)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^person +50 +80% +4\.0 +2\.0% +98% +0 *$", done.stdout, re.MULTILINE)
    assert "off object: clip 2.4 s: person 90% sure, lift 0.1" in done.stdout
    assert (results / "report.html").is_file()
    again = json.loads(streamcam("report", results, "--json").stdout)
    assert again["page"] == str(results / "report.html")
    assert [one["name"] for one in again["sources"]] == ["clip", "yard"]


def test_the_command_refuses_a_folder_without_results(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("report", tmp_path)
    assert done.returncode == 2
    assert "there are no results" in done.stderr
    assert not (tmp_path / "report.html").exists()
