"""Watchers skip, replace and name results as `run` does."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.store import JobStore
from tests.cli.stubbed import Ended, Stubbed, found, picture, stems, stubbed, times, video
from tests.service.running import Service

__all__ = ["stubbed"]


class FolderWatch:
    """A watched folder, its results and its job store."""

    def __init__(self, folder: Path, stubbed: Stubbed) -> None:
        self.incoming, self.out = folder / "in", folder / "out"
        self.state = folder / "out.state"
        self._stubbed = stubbed

    def run(self, *words: object) -> Ended:
        return self._stubbed("run", *words, "-o", self.out, "--json")

    def watch(self, *words: object) -> dict[str, str]:
        """Watch until all is explained; return the outcomes that were reported, by file."""
        options = ("-o", self.out, "--once", "--settle", 0.05, "--json")
        ended = self._stubbed("watch", self.incoming, *options, *words)
        self.stderr = ended.stderr
        reports = [json.loads(line) for line in ended.stdout.splitlines()]
        return {Path(report["source"]).name: report["outcome"] for report in reports}

    def job(self, name: str) -> JobRecord:
        with closing(JobStore(self.state / FILE_NAME)) as store:
            (job,) = [job for job in store.jobs() if job.path.name == name]
        return job


@pytest.fixture
def watched(tmp_path: Path, stubbed: Stubbed) -> FolderWatch:
    return FolderWatch(tmp_path, stubbed)


def test_what_run_and_watch_explained_is_skipped_by_the_other(watched: FolderWatch) -> None:
    first, second = video(watched.incoming / "a.mp4"), watched.incoming / "b.mp4"
    assert watched.run(first).outcomes == {str(first): "done"}
    before = times(watched.out)
    assert watched.watch() == {"a.mp4": "skipped"}
    assert times(watched.out) == before
    job = watched.job("a.mp4")
    assert job.state is JobState.DONE
    assert {str(path) for path in job.outputs.values()} == set(before)
    video(second, frames=3)
    assert watched.watch() == {"b.mp4": "done"}
    outcomes = watched.run(watched.incoming).outcomes
    assert outcomes == {str(first): "skipped", str(second): "skipped"}


def test_a_file_keeps_off_the_results_that_run_made_of_another(
    watched: FolderWatch, tmp_path: Path
) -> None:
    """Also when it is replaced in its place later."""
    watched.run(picture(tmp_path / "elsewhere" / "a.jpg"))
    kept = times(watched.out)
    video(watched.incoming / "a.mp4", frames=4)
    assert watched.watch() == {"a.mp4": "done"}
    assert stems(watched.out) == {"a", "a.mp4"}
    assert found(watched.out, "a.mp4").shown == ("a.mp4", 4, (96, 64))
    assert watched.job("a.mp4").stem == "a.mp4"
    assert watched.job("a.mp4").outputs["video"] == watched.out / "a.mp4.heatmap.mp4"
    video(watched.incoming / "a.mp4", frames=6)
    assert watched.watch() == {"a.mp4": "done"}
    assert found(watched.out, "a.mp4").shown == ("a.mp4", 6, (96, 64))
    assert kept.items() <= times(watched.out).items()
    video(tmp_path / "elsewhere" / "a.mp4", frames=2)
    watched.run(tmp_path / "elsewhere" / "a.mp4")
    assert found(watched.out, "elsewhere/a.mp4").shown == ("a.mp4", 2, (96, 64))
    assert watched.watch() == {}


def test_other_settings_explain_the_folder_anew(watched: FolderWatch) -> None:
    for name in ("a.mp4", "gone.mp4", "sub/c.mp4"):
        video(watched.incoming / name)
    assert set(watched.watch().values()) == {"done"}
    (watched.incoming / "gone.mp4").unlink()
    before = times(watched.out)
    assert watched.watch() == {}
    assert watched.watch("--every", 2, "--skip-existing") == {}
    assert times(watched.out) == before
    assert watched.watch("--every", 2) == {"a.mp4": "done", "c.mp4": "done"}
    assert "2 files were explained with another model, method or setting" in watched.stderr
    assert found(watched.out, "a").shown == ("a.mp4", 2, (96, 64))
    assert found(watched.out, "sub/c").shown == ("c.mp4", 2, (96, 64))
    assert found(watched.out, "gone").shown == ("gone.mp4", 4, (96, 64))
    assert watched.job("gone.mp4").state is JobState.DONE
    assert watched.watch("--every", 2) == {}
    # What `run` has made with these settings meanwhile is taken.
    watched.run(watched.incoming / "a.mp4")
    before = times(watched.out)
    assert watched.watch()["a.mp4"] == "skipped"
    assert {path: times(watched.out)[path] for path in before if "/a." in path} == {
        path: time for path, time in before.items() if "/a." in path
    }


def test_files_that_were_moved_away_are_left_alone(watched: FolderWatch, tmp_path: Path) -> None:
    video(watched.incoming / "a.mp4")
    after = ("--after", f"move:{tmp_path / 'archive'}")
    assert watched.watch(*after) == {"a.mp4": "done"}
    assert (tmp_path / "archive" / "a.mp4").exists()
    assert watched.watch("--every", 2, *after) == {}
    for outcome in ("done", "skipped"):
        shutil.copy(tmp_path / "archive" / "a.mp4", watched.incoming)
        assert watched.watch("--every", 2, *after) == {"a.mp4": outcome}
        assert not (watched.incoming / "a.mp4").exists(), "it came again, and was moved again"
    assert found(watched.out, "a").shown == ("a.mp4", 2, (96, 64))


def test_a_job_store_of_an_earlier_version_is_explained_anew_once(watched: FolderWatch) -> None:
    video(watched.incoming / "a.mp4")
    watched.watch()
    with closing(sqlite3.connect(watched.state / FILE_NAME)) as store:
        store.execute("UPDATE jobs SET engine_key = NULL")  # as the migration leaves it
        store.commit()
    manifest = watched.out / "a.manifest.json"
    content = json.loads(manifest.read_bytes())
    del content["source"]["fingerprint"], content["engine"]["key"], content["engine"]["parts"]
    manifest.write_text(json.dumps(content))
    assert watched.watch("--skip-existing") == {}
    assert watched.watch() == {"a.mp4": "done"}
    assert "1 file was explained with another model" in watched.stderr
    assert "by an earlier streamcam" in watched.stderr
    assert found(watched.out, "a").shown == ("a.mp4", 4, (96, 64))
    assert watched.watch() == {}


def test_serve_does_the_same(watched: FolderWatch, tmp_path: Path) -> None:
    watched.run(picture(tmp_path / "elsewhere" / "a.jpg"))
    watched.run(video(watched.incoming / "b.mp4"))
    before = times(watched.out)
    video(watched.incoming / "a.mp4")
    config = (
        f'[watch]\nsettle = "100ms"\nmin_free = "0B"\n[[folder]]\npath = "{watched.incoming}"\n'
    )
    with Service(tmp_path, config, module="tests.jobs.daemon") as service:
        service.until_said("a.mp4: done")
        service.until_said("b.mp4: skipped")
        assert found(watched.out, "a.mp4").shown == ("a.mp4", 4, (96, 64))
        assert before.items() <= times(watched.out).items()
        service.reload(config + "[sampling]\nevery = 2\n")
        service.until_said("2 files were explained with another model, method or setting")
        service.until_said("a.mp4: done", times=2)
        service.until_said("b.mp4: done")
        assert service.end() == 0
    assert found(watched.out, "a.mp4").shown == ("a.mp4", 2, (96, 64))
    assert found(watched.out, "b").shown == ("b.mp4", 2, (96, 64))
    assert found(watched.out, "a").shown == ("a.jpg", 1, (64, 48))
