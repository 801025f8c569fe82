"""`streamcam run` as a subprocess on real files: what it writes, says and leaves behind."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.demo.source import DemoSource
from streamcam.types import Picture
from tests.cli.conftest import TIMEOUT, Streamcam, command, environment
from tests.media import write_video

SCENE = "demo://street?seconds=2&seed=3"
VFR_PTS = [0, 40, 80, 500, 540, 1000, 1900, 2300]
SAMPLED_PTS = [0, 500, 1000, 1900, 2300]
"""What five frames a second select of the uneven clip."""

BAD = {
    "renamed.mp4": 1,
    "empty.mp4": 1,
    "headless.mp4": 1,
    "absent.mp4": 69,
}


def drawn(seconds: float, seed: int = 1) -> Picture:
    return DemoSource(f"demo://street?seed={seed}").scene.picture(seconds)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def decoded(path: Path) -> list[tuple[Fraction, Picture]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in frames]


@dataclass
class Result:
    inputs: Path
    folder: Path
    process: subprocess.CompletedProcess[str]

    @property
    def reports(self) -> dict[str, dict[str, Any]]:
        return {Path(r["source"]).name: r for r in json.loads(self.process.stdout)}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    pictures = [drawn(pts / 1000) for pts in VFR_PTS]
    clip = write_video(
        folder / "uneven.mp4", pictures, pts=VFR_PTS, time_base=Fraction(1, 1000), rate=25
    )
    (folder / "deep").mkdir()
    bgr = cv2.cvtColor(drawn(2.0, seed=5), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / "deep" / "Straße 1.png"), bgr)
    (folder / "headless.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    (folder / "renamed.mp4").write_text("a shopping list: milk, eggs\n" * 50)
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture(scope="session")
def result(inputs: Path, streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """One run over good and bad inputs together: the bad must not harm the good."""
    folder = tmp_path_factory.mktemp("results")
    sources = [SCENE, inputs, inputs / "absent.mp4"]
    return Result(inputs, folder, streamcam("run", *sources, "--output", folder, "--json"))


def test_exit_code_is_1_if_some_inputs_failed(result: Result) -> None:
    assert result.process.returncode == 1, result.process.stderr


def test_good_inputs_are_explained_beside_bad_ones(result: Result) -> None:
    done = {name for name, report in result.reports.items() if report["outcome"] == "done"}
    assert done == {Path(SCENE).name, "uneven.mp4", "Straße 1.png"}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_inputs_are_refused_with_a_reason_and_leave_nothing(result: Result, name: str) -> None:
    report = result.reports[name]
    assert report["outcome"] == "failed"
    assert report["exit_code"] == BAD[name]
    assert name in report["error"]
    assert "\n" not in report["error"]
    assert report["outputs"] == {}
    assert not list(result.folder.rglob(f"*{Path(name).stem}*"))


def test_nothing_unfinished_and_no_traceback_is_left(result: Result) -> None:
    assert not list(result.folder.rglob("*.part"))
    assert "Traceback" not in result.process.stderr


def test_records_and_manifests_follow_their_schemas(result: Result) -> None:
    record, manifest = (
        jsonschema.Draft202012Validator(schemas.schema(name)) for name in ("record", "manifest")
    )
    records = list(result.folder.rglob("*.detections.jsonl"))
    manifests = list(result.folder.rglob("*.manifest.json"))
    assert len(records) == len(manifests) == 3
    for path in records:
        for line in lines(path):
            record.validate(line)
    for path in manifests:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest.validate(content)
        assert content["seconds"] > 0


def test_video_holds_exactly_the_sampled_frames_at_their_times(result: Result) -> None:
    outputs = result.reports["uneven.mp4"]["outputs"]
    expected = [Fraction(pts, 1000) for pts in SAMPLED_PTS]
    frames = decoded(Path(outputs["video"]))
    assert [moment for moment, _ in frames] == expected
    records = lines(Path(outputs["records"]))
    assert [record["time"] for record in records] == [float(moment) for moment in expected]
    assert [record["frame"] for record in records] == [VFR_PTS.index(p) for p in SAMPLED_PTS]


def test_video_shows_the_source_and_the_heat_on_it(result: Result) -> None:
    outputs = result.reports["uneven.mp4"]["outputs"]
    source = [picture for _, picture in decoded(result.inputs / "uneven.mp4")]
    for (_, annotated), record in zip(
        decoded(Path(outputs["video"])), lines(Path(outputs["records"])), strict=True
    ):
        original = source[record["frame"]].astype(int)
        assert annotated.shape == original.shape
        change = np.abs(annotated.astype(int) - original).mean(axis=2)
        x, y = (int(edge) for edge in record["cam"]["peak"])
        around_peak = change[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
        assert around_peak.mean() > 20, "no heat at the map's peak"
        assert np.median(change) < around_peak.mean(), "the picture is drowned in heat"


def test_people_of_the_demo_scene_are_found_inside_the_frame(result: Result) -> None:
    report = result.reports[Path(SCENE).name]
    records = lines(Path(report["outputs"]["records"]))
    assert len(records) == 10
    detections = [detection for record in records for detection in record["detections"]]
    assert sum(detection["label"] == "person" for detection in detections) >= len(records)
    for detection in detections:
        x1, y1, x2, y2 = detection["box"]
        assert 0 <= x1 < x2 <= 768
        assert 0 <= y1 < y2 <= 432


def test_picture_becomes_a_picture_in_the_mirrored_folder(result: Result) -> None:
    outputs = result.reports["Straße 1.png"]["outputs"]
    assert set(outputs) == {"picture", "records", "manifest"}
    assert Path(outputs["picture"]) == result.folder / "deep" / "Straße 1.heatmap.jpg"
    original = cv2.imread(str(result.inputs / "deep" / "Straße 1.png"))
    annotated = cv2.imread(outputs["picture"])
    assert annotated.shape == original.shape
    assert np.abs(annotated.astype(int) - original).mean() > 5


def test_existing_results_are_skipped_without_overwrite(
    result: Result, streamcam: Streamcam
) -> None:
    clip = result.inputs / "uneven.mp4"
    video = Path(result.reports["uneven.mp4"]["outputs"]["video"])
    before = video.stat().st_mtime_ns
    again = streamcam("run", clip, "--output", result.folder)
    assert again.returncode == 0
    assert "skipped" in again.stdout
    assert video.stat().st_mtime_ns == before
    forced = streamcam("run", clip, "--output", result.folder, "--overwrite", "--quiet")
    assert forced.returncode == 0
    assert forced.stdout == ""
    assert video.stat().st_mtime_ns > before


def test_a_name_that_is_not_utf8_is_explained_like_any_other(
    inputs: Path, streamcam: Streamcam, tmp_path: Path
) -> None:
    clip = tmp_path / os.fsdecode(b"na\xefve.mp4")
    clip.write_bytes((inputs / "uneven.mp4").read_bytes())
    done = streamcam("run", clip, "-o", tmp_path / "out", "--json", "--end", "0.3")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert report["source"].endswith("na\ufffdve.mp4")
    assert all(Path(path).is_file() for path in report["outputs"].values())


def test_full_video_keeps_every_frame(inputs: Path, streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("run", inputs / "uneven.mp4", "--video", "full", "-o", tmp_path, "--json")
    (report,) = json.loads(done.stdout)
    times = [moment for moment, _ in decoded(Path(report["outputs"]["video"]))]
    assert times == [Fraction(pts, 1000) for pts in VFR_PTS]
    records = lines(Path(report["outputs"]["records"]))
    assert [record["time"] for record in records] == [pts / 1000 for pts in SAMPLED_PTS]


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run that would take an hour, and return once it has written records."""
    scene = "demo://street?seconds=86400&seed=2"
    process = subprocess.Popen(
        command("run", scene, "--output", folder, *more),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT
    while not any(path.stat().st_size for path in folder.rglob("*.jsonl.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_ends_cleanly_with_what_is_done(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, errors
    assert "stopping" in errors
    (records,) = tmp_path.rglob("*.jsonl")
    (video,) = tmp_path.rglob("*.mp4")
    (manifest,) = tmp_path.rglob("*.manifest.json")
    assert json.loads(manifest.read_text())["outcome"] == "stopped"
    assert len(decoded(video)) == len(lines(records)) > 0
    assert not list(tmp_path.rglob("*.part"))


def test_second_interrupt_forces_and_leaves_nothing(tmp_path: Path) -> None:
    # A slow model, so that the clean end takes a while.
    process = started(tmp_path, "--model", "ssd300_vgg16", "--weights", "random", "--batch", "16")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("stopping" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, errors
    assert "forced" in errors
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_single_missing_file_exits_69_and_is_reported_even_when_quiet(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam("run", tmp_path / "absent.mp4", "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 69
    assert done.stdout == ""
    fault, hint = done.stderr.splitlines()
    assert "absent.mp4: failed: no such file" in fault
    assert hint.startswith("  ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "fasterrcnn_resnet50"], 2, "fasterrcnn_resnet50_fpn"),
        (["--confidence", "2"], 2, "--confidence: must be 0 to 1, not 2"),
        (["--half", "--precision", "bf16"], 2, "contradict"),
        (["--labels", "absent.txt", "--weights", "absent.pth"], 69, "absent"),
        (["--no-such-flag"], 2, "--no-such-flag"),
    ],
)
def test_usage_errors_are_two_lines(
    streamcam: Streamcam,
    inputs: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    done = streamcam("run", inputs / "uneven.mp4", "-o", tmp_path / "out", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_demo_prints_where_video_records_and_a_picture_are(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam("demo", "--seconds", "1", "--seed", "4", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [Path(line.split()[-1]) for line in done.stdout.splitlines() if str(tmp_path) in line]
    endings = [".mp4", ".jpg", ".jsonl", ".json"]
    assert [path.suffix for path in paths] == endings
    assert all(path.stat().st_size for path in paths)
    assert cv2.imread(str(paths[1])).shape == (432, 768, 3)
