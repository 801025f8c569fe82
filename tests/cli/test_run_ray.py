"""`streamcam run --ray` as a command: what it prints and leaves, and how it is stopped."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import TIMEOUT, Streamcam, command, environment
from tests.media import numbered, write_video

ON_ONE_CORE = ("--ray", "local", "--ray-workers", "1", "--cpus-per-worker", "1", "--workers", "1")

CLIPS = 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    # Ctrl-C follows the end of the first one: the others must not be over by then.
    for number in range(CLIPS):
        write_video(folder / f"{number}.mp4", numbered(400 + number if number else 2, 96, 64))
    (folder / "broken.mp4").write_text("a shopping list")
    return folder


def run_file(output: Path) -> dict[str, Any]:
    (path,) = (output / "runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_bytes())
    jsonschema.validate(content, schemas.schema("run"))
    return content


def test_ctrl_c_ends_what_is_begun_and_the_same_command_goes_on(
    clips: Path, tmp_path: Path, streamcam: Streamcam
) -> None:
    arguments = command("run", clips, "--output", tmp_path / "first", *ON_ONE_CORE)
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith(f"[1/{CLIPS + 1}]"):
                process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        printed = process.stdout.read()
        assert process.wait(TIMEOUT) == 0, "".join(told)
    assert any("the same command goes on from there" in line for line in told)
    done = len(list((tmp_path / "first").glob("*.manifest.json")))
    assert 1 <= done < CLIPS
    assert f"not begun: {CLIPS + 1 - done}; the same command goes on with them" in printed
    assert not list((tmp_path / "first").glob("*.part"))
    assert run_file(tmp_path / "first")["state"] == "stopped"

    (tmp_path / "first" / "runs").rename(tmp_path / "runs-before")
    again = streamcam("run", clips, "--output", tmp_path / "first", "--json", *ON_ONE_CORE)

    assert again.returncode == 1, again.stderr
    reports = {Path(report["source"]).stem: report for report in json.loads(again.stdout)}
    outcomes = [report["outcome"] for report in reports.values()]
    assert (outcomes.count("skipped"), outcomes.count("done")) == (done, CLIPS - done)
    assert reports["broken"]["outcome"] == "failed"
    assert all(Path(reports["0"]["outputs"][kind]).exists() for kind in ("video", "records"))
    kept = run_file(tmp_path / "first")
    assert kept["state"] == "done"
    assert kept["sources"]["failed"] == 1


def test_a_cluster_that_is_not_there_is_told_in_two_lines(
    clips: Path, tmp_path: Path, streamcam: Streamcam
) -> None:
    result = streamcam("run", clips, "--output", tmp_path, "--ray", "127.0.0.1:9")
    assert result.returncode == 69
    assert result.stderr.splitlines() == [
        "error: --ray 127.0.0.1:9: Connection refused",
        "  Is it running (`ray status`), with the same versions of Ray and Python?",
    ]
