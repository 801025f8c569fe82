"""`streamcam run` from object storage, and to it: as with files, and nothing half."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.storage import object_store
from tests.cli.conftest import environment
from tests.cli.stubbed import Stubbed, picture, stubbed, video
from tests.media import numbered
from tests.processes import eventually
from tests.servers.s3 import S3Server

__all__ = ["stubbed"]

_MANIFEST = jsonschema.Draft202012Validator(schemas.schema("manifest"))


def with_sound(path: Path) -> Path:
    """Write three seconds of video with a tone; its index lies at the end."""
    with av.open(str(path), "w") as container:
        shown = container.add_stream("libx264", rate=5)
        shown.width, shown.height, shown.pix_fmt = 96, 64, "yuv420p"
        heard = container.add_stream("aac", rate=48000)
        heard.layout = "mono"
        for index, one in enumerate(numbered(15, 96, 64)):
            frame = av.VideoFrame.from_ndarray(one, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 5)
            container.mux(shown.encode(frame))
        for start in range(0, 3 * 48000, 1024):
            tone = np.sin(np.arange(start, start + 1024) / 20, dtype=np.float32)[None]
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, start, Fraction(1, 48000)
            container.mux(heard.encode(sound))
        container.mux(shown.encode())
        container.mux(heard.encode())
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def stored_clip(s3: S3Server, prefix: str, tmp_path: Path, frames: int = 4) -> str:
    return s3.put(f"{prefix}/in/clip.mp4", video(tmp_path / "clip.mp4", frames))


def test_results_are_those_of_files(stubbed: Stubbed, s3: S3Server, tmp_path: Path) -> None:
    tree = tmp_path / "in"
    (tree / "day 1").mkdir(parents=True)
    sound = with_sound(tree / "day 1" / "sound.mp4").read_bytes()
    assert sound.index(b"moov") > sound.index(b"mdat")
    picture(tree / "street.jpg")
    for name, content in files_below(tree).items():
        s3.put(f"same/in/{name}", content)
    flags = ("--save-maps", "png", "--json")
    local = stubbed("run", tree, "-o", tmp_path / "out", *flags)
    remote = stubbed("run", s3.url("same/in/"), "-o", s3.url("same/out"), *flags)
    assert local.code == remote.code == 0, remote.stderr
    ours = files_below(tmp_path / "out")
    theirs = files_below(s3.download("same/out/", tmp_path / "downloaded"))
    assert ours.keys() == theirs.keys()
    for name, content in theirs.items():
        if name.endswith(".manifest.json"):
            manifest = json.loads(content)
            _MANIFEST.validate(manifest)
            assert manifest["outputs"].keys() == manifest["versions"].keys()
        else:
            # Records name their source.
            named = ours[name].replace(str(tree).encode(), s3.url("same/in").encode())
            assert content == named, name
    with av.open(str(tmp_path / "downloaded/day 1/sound.heatmap.mp4")) as container:
        assert sum(packet.size for packet in container.demux(audio=0)) > 1000
    (video_report,) = [one for one in json.loads(remote.stdout) if "sound" in one["source"]]
    assert video_report["outputs"]["video"] == s3.url("same/out/day 1/sound.heatmap.mp4")


def test_what_is_complete_is_skipped_without_reading_it(
    stubbed: Stubbed, s3: S3Server, tmp_path: Path
) -> None:
    url = stored_clip(s3, "skip", tmp_path)
    words = ("run", url, "-o", s3.url("skip/out/"), "--json")
    assert stubbed(*words).outcomes == {url: "done"}
    s3.forget()
    assert stubbed(*words).outcomes == {url: "skipped"}
    assert not s3.requests("GET", "skip/in/")
    assert not s3.requests("PUT", "skip/")
    anew = stubbed(*words, "--opacity", "0.2")
    assert anew.outcomes == {url: "done"}
    assert "made differently (render.opacity was 0.7, is 0.2)" in anew.stderr
    s3.put("skip/in/clip.mp4", video(tmp_path / "other.mp4", 6))
    changed = stubbed(*words, "--opacity", "0.2")
    assert "it has changed since it was explained" in changed.stderr
    assert len(s3.get("skip/out/clip.detections.jsonl").splitlines()) == 6
    assert stubbed(*words, "--opacity", "0.2", "--overwrite").outcomes == {url: "done"}


def test_results_of_two_runs_that_met_are_made_again(
    stubbed: Stubbed, s3: S3Server, tmp_path: Path
) -> None:
    """Another driver with other settings has replaced one of the files, and no more yet."""
    url = stored_clip(s3, "mixed", tmp_path)
    words = ("run", url, "-o", s3.url("mixed/out"), "--json", "--save-maps", "png")
    assert stubbed(*words).code == 0
    whole = s3.get("mixed/out/clip.heatmap.mp4")
    name = next(key for key in s3.keys("mixed/out/") if key.endswith("mp4"))
    for damaged in (name, next(key for key in s3.keys("mixed/out/clip.maps/"))):
        s3.put(damaged, b"of another run")
        again = stubbed(*words)
        assert again.outcomes == {url: "done"}
        assert "its results are not complete" in again.stderr
        assert s3.get(name) == whole
    assert stubbed(*words).outcomes == {url: "skipped"}


def test_results_that_are_not_made_any_more_are_removed(
    stubbed: Stubbed, s3: S3Server, tmp_path: Path
) -> None:
    url = stored_clip(s3, "fewer", tmp_path)
    words = ("run", url, "-o", s3.url("fewer/out"))
    assert stubbed(*words, "--save-maps", "png").code == 0
    assert stubbed(*words, "--video", "off").code == 0
    left = {key.removeprefix("fewer/out/") for key in s3.keys("fewer/out/")}
    assert left == {"clip.detections.jsonl", "clip.manifest.json"}


def test_a_run_killed_amid_its_upload_leaves_nothing_that_counts(
    s3: S3Server, tmp_path: Path
) -> None:
    url = stored_clip(s3, "killed", tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "tests.jobs.daemon", "run", url, "-o", s3.url("killed/out")]
    variables = environment(TMPDIR=str(scratch), PYTHONPATH=str(Path(__file__).parents[2]))
    s3.refuse("PUT", 1000, path="clip.heatmap.mp4")
    process = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
    assert eventually(lambda: s3.requests("PUT", "clip.heatmap.mp4"), 60)
    process.kill()
    process.wait()
    s3.refuse("PUT", 0)
    assert [one for one in s3.keys("killed/out/") if "manifest" in one or "mp4" in one] == []
    assert list(scratch.iterdir())
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(s3.get("killed/out/clip.manifest.json"))["outcome"] == "done"
    assert len(s3.keys("killed/out/")) == 4
    assert list(scratch.iterdir()) == []


def test_two_drivers_at_once_end_in_whole_results(
    stubbed: Stubbed, s3: S3Server, tmp_path: Path
) -> None:
    """With other settings each; who is last is open, but not whether its files are its own."""
    for number in range(3):
        s3.put(f"two/in/{number}.mp4", video(tmp_path / f"{number}.mp4", 4 + number))
    words = ("run", s3.url("two/in/"), "-o", s3.url("two/out"))
    variables = environment(STUB_FRAME="0.05", PYTHONPATH=str(Path(__file__).parents[2]))
    drivers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.daemon", *words, "--opacity", opacity],
            env=variables,
            stderr=subprocess.DEVNULL,
        )
        for opacity in ("0.2", "0.7")
    ]
    assert [driver.wait() for driver in drivers] == [0, 0]
    again = stubbed(*words, "--opacity", "0.7", "--json")
    assert set(again.outcomes.values()) <= {"done", "skipped"}
    alone = stubbed("run", s3.url("two/in/"), "-o", tmp_path / "alone", "--opacity", "0.7")
    assert alone.code == 0
    stored = files_below(s3.download("two/out/", tmp_path / "downloaded"))
    for name, content in files_below(tmp_path / "alone").items():
        if not name.endswith(".manifest.json"):
            assert stored[name] == content, name
    assert set(stubbed(*words, "--json").outcomes.values()) == {"skipped"}


def test_a_busy_storage_is_waited_for_and_a_lost_one_given_up(
    stubbed: Stubbed, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_ATTEMPTS", 2)
    url = stored_clip(s3, "busy", tmp_path)
    words = ("run", url, "-o", s3.url("busy/out"), "--json")
    s3.refuse("PUT", 1, path="busy/out/clip.detections")
    assert stubbed(*words).outcomes == {url: "done"}
    s3.refuse("PUT", 2, path="busy/out/clip.detections")
    lost = stubbed(*words, "--overwrite")
    assert lost.code == 69
    (report,) = json.loads(lost.stdout)
    assert "clip.detections.jsonl: the storage does not answer" in report["error"]
    assert report["outputs"] == {}
    assert stubbed(*words).outcomes == {url: "done"}
    s3.refuse("GET", 2, path="busy/in/clip.mp4")
    assert stubbed(*words, "--overwrite").code == 69


def test_only_run_writes_to_object_storage(stubbed: Stubbed, s3: S3Server, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4")
    watch = stubbed("watch", tmp_path, "--once", "-o", s3.url("refused"))
    assert watch.code == 2
    assert "where only `streamcam run` writes" in watch.stderr
    web = stubbed("run", clip, "-o", "https://host/out")
    assert web.code == 2
    assert "results go into folders, or to " in web.stderr
    bucket = stubbed("run", clip, "-o", "s3://no-such-bucket/out")
    assert bucket.code == 1
    assert "there is no such bucket" in bucket.stderr
    secret = stubbed("run", "s3://KEY:hidden@bucket/x.mp4", "-o", tmp_path / "out")
    assert secret.code == 2
    assert "hidden" not in secret.stderr
    assert not s3.keys("refused")


def test_sources_from_a_list(stubbed: Stubbed, s3: S3Server, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    url, clip = stored_clip(s3, "list", tmp_path), tmp_path / "clip.mp4"
    text = tmp_path / "list.txt"
    text.write_text(f"# two of the same name\n\n  {clip}\n{url}\n", encoding="utf-8")
    done = stubbed("run", "--sources-from", text, "-o", tmp_path / "out", "--json")
    assert done.outcomes == {str(clip): "done", url: "done"}
    (run_file,) = (tmp_path / "out" / "runs").glob("*/run.json")
    assert json.loads(run_file.read_text())["sources"]["done"] == 2

    table = tmp_path / "list.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "uri": [str(clip), None, url]}), table)
    stored = s3.put("list/list.parquet", table)
    words = ("run", "--sources-from", stored, "--column", "uri", "-o", s3.url("list/out"), "--json")
    assert stubbed(*words).outcomes == {str(clip): "done", url: "done"}
    (run_key,) = [key for key in s3.keys("list/out/runs/") if key.endswith("run.json")]
    jsonschema.validate(json.loads(s3.get(run_key)), schemas.schema("run"))

    wrong = stubbed("run", "--sources-from", table, "--column", "url", "-o", tmp_path / "out")
    assert wrong.code == 2
    assert "has no column 'url'" in wrong.stderr
    assert "Its columns are id, uri." in wrong.stderr
    assert stubbed("run", clip, "--sources-from", text).code == 2
    assert "no source is named" in stubbed("run").stderr
    assert stubbed("run", "--sources-from", tmp_path / "none.txt").code == 69


def test_sources_from_standard_input(tmp_path: Path) -> None:
    clips = [video(tmp_path / f"{name}.mp4") for name in "ab"]
    command = [sys.executable, "-m", "tests.jobs.daemon", "run", "--sources-from", "-"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "--json"],
        input="\n".join(map(str, clips)),
        env=environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [one["source"] for one in json.loads(done.stdout)] == [*map(str, clips)]
    assert list((tmp_path / "out" / "runs").iterdir())
