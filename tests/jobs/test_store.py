"""What intake, runners and people ask of the job store."""

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from streamcam.errors import UsageError
from streamcam.fingerprint import FileStat, identity_of
from streamcam.jobs.job_record import EnqueueResult, FileStatus, JobRecord, JobState, RecoveredJob
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.owner import this_process
from streamcam.jobs.store import JobStore
from streamcam.types import JobReport, Outcome
from tests.jobs.conftest import arrive

CLAIM_ALL = """
import json, sys
from pathlib import Path
from streamcam.jobs.job_record import JobState
from streamcam.jobs.owner import this_process
from streamcam.jobs.store import JobStore
from streamcam.types import JobReport, Outcome
path, root = map(Path, sys.argv[1:])
store, owner, taken = JobStore(path), this_process(), []
while (job := store.claim(owner, [root], alone=True)) is not None:
    taken.append(job.id)
    store.finish(job.id, owner, JobState.DONE, JobReport("a", Outcome.DONE))
print(json.dumps(taken))
"""

CLAIM_ONE = """
import sys
from pathlib import Path
from streamcam.jobs.owner import this_process
from streamcam.jobs.store import JobStore
path, root = map(Path, sys.argv[1:])
print(JobStore(path).claim(this_process(), [root], alone=True).id, flush=True)
input()
"""


DONE = JobReport("a", Outcome.DONE)
FAILED = JobReport("a", Outcome.FAILED, error="odd")


class Folder:
    """A folder whose files are added to the job store by hand."""

    def __init__(self, root: Path, store: JobStore) -> None:
        self.root = root
        self.store = store
        root.mkdir(exist_ok=True)

    def put(self, name: str, content: str) -> EnqueueResult:
        (self.root / name).write_text(content)
        return self.enqueue(name)

    def check(self, name: str) -> FileStatus:
        path = self.root / name
        return self.store.check_file(self.root, path, FileStat.of(path.stat()))

    def enqueue(self, name: str) -> EnqueueResult:
        path = self.root / name
        self.check(name)
        stems = [Path(name).stem, name, f"{name}~1"]
        return self.store.enqueue(path, identity_of(path), stems)

    def claim(self, owner: str = "me", *, alone: bool = True) -> int | None:
        job = self.store.claim(owner, [self.root], alone=alone)
        return None if job is None else job.id

    def finish(self, name: str) -> None:
        job = self.store.claim("me", [self.root], alone=True)
        assert job is not None
        assert job.path.name == name
        self.store.finish(job.id, "me", JobState.DONE, DONE)

    def job(self, name: str) -> JobRecord:
        return self.store.find(str(self.root / name))

    def recover(self, crash: str | None = None, attempts: int = 3) -> list[RecoveredJob]:
        return self.store.recover(lambda _: crash, attempts)


@pytest.fixture
def folder(tmp_path: Path, store: JobStore) -> Folder:
    return Folder(tmp_path / "in", store)


@pytest.fixture
def clearing(tmp_path: Path) -> Iterator[Folder]:
    """A folder whose files are moved or deleted when their job is done."""
    with closing(JobStore(tmp_path / "clearing", clears_sources=True)) as store:
        yield Folder(tmp_path / "in", store)


def test_only_an_existing_store_is_opened_for_people(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no job store in"):
        JobStore.open_existing(tmp_path)
    JobStore(tmp_path / FILE_NAME).close()
    JobStore.open_existing(tmp_path).close()


# Intake


def test_a_file_is_new_then_pending_then_known(folder: Folder) -> None:
    (folder.root / "a.mp4").write_text("one")
    assert folder.check("a.mp4") is FileStatus.NEW
    assert folder.check("a.mp4") is FileStatus.PENDING
    assert folder.enqueue("a.mp4") is EnqueueResult.READY
    assert folder.check("a.mp4") is FileStatus.KNOWN


def test_the_same_content_is_not_explained_twice(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    folder.finish("a.mp4")
    os.utime(folder.root / "a.mp4", (1, 1))
    assert folder.check("a.mp4") is FileStatus.CHANGED
    assert folder.enqueue("a.mp4") is EnqueueResult.UNCHANGED
    assert folder.check("a.mp4") is FileStatus.KNOWN
    assert folder.job("a.mp4").state is JobState.DONE


def test_changed_content_is_explained_again_in_place_of_the_old(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    folder.finish("a.mp4")
    assert folder.put("a.mp4", "two") is EnqueueResult.READY
    job = folder.job("a.mp4")
    assert (job.state, job.stem, job.redo) == (JobState.READY, "a", True)


def test_a_renamed_file_keeps_its_job_and_its_results(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    folder.finish("a.mp4")
    (folder.root / "a.mp4").rename(folder.root / "b.mp4")
    assert folder.enqueue("b.mp4") is EnqueueResult.RENAMED
    job = folder.job("b.mp4")
    assert (job.id, job.state, job.stem) == (1, JobState.DONE, "a")
    assert len(folder.store.jobs()) == 1
    assert folder.put("a.mp4", "another") is EnqueueResult.READY
    assert folder.job("a.mp4").stem == "a.mp4", "the results of the renamed file are safe"


def test_a_file_renamed_before_its_turn_is_explained_under_its_new_name(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    (folder.root / "a.mp4").rename(folder.root / "b.mp4")
    assert folder.enqueue("b.mp4") is EnqueueResult.RENAMED
    assert (folder.job("b.mp4").state, folder.job("b.mp4").stem) == (JobState.READY, "b")


def test_a_file_renamed_while_it_runs_stays_the_owner_s(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    number = folder.claim()
    assert number is not None
    (folder.root / "a.mp4").rename(folder.root / "b.mp4")
    assert folder.enqueue("b.mp4") is EnqueueResult.RENAMED
    owned = folder.store.owned(number, "me")
    assert owned is not None
    assert owned.path.name == "b.mp4"
    assert owned.identity == identity_of(folder.root / "b.mp4")


def test_a_copy_is_a_job_of_its_own(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    assert folder.put("b.mp4", "one") is EnqueueResult.READY
    os.link(folder.root / "a.mp4", folder.root / "c.mp4")
    assert folder.enqueue("c.mp4") is EnqueueResult.READY


def test_a_running_job_is_not_disturbed(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    number = folder.claim()
    assert number is not None
    assert folder.put("a.mp4", "two") is EnqueueResult.RUNNING
    folder.store.release(number, "me", changed=True)
    assert folder.enqueue("a.mp4") is EnqueueResult.READY


def test_files_of_the_same_stem_get_results_of_different_names(folder: Folder) -> None:
    for name in ("a.mp4", "a.mov", "a.mp4.avi"):
        folder.put(name, name)
    assert [job.stem for job in folder.store.jobs()] == ["a", "a.mov", "a.mp4"]
    folder.put("a.mp4.mkv", "more")
    assert folder.job("a.mp4.mkv").stem == "a.mp4.mkv"


def test_a_file_that_goes_away_before_it_is_complete_leaves_no_job(folder: Folder) -> None:
    (folder.root / "a.mp4").write_text("one")
    folder.check("a.mp4")
    folder.store.discard_file(folder.root / "a.mp4")
    assert folder.store.jobs() == []


@pytest.mark.parametrize("content", ["one", "two"])
def test_a_source_that_was_moved_away_may_come_again(clearing: Folder, content: str) -> None:
    clearing.put("a.mp4", "one")
    clearing.finish("a.mp4")
    (clearing.root / "a.mp4").unlink()
    clearing.store.post_action_over(1)
    assert clearing.put("a.mp4", content) is EnqueueResult.READY, "its results may be another's now"
    clearing.finish("a.mp4")
    assert clearing.store.due_post_actions([clearing.root])
    clearing.store.post_action_over(1)
    (clearing.root / "a.mp4").unlink()
    other = clearing.put("b.mp4", "one")
    assert other is EnqueueResult.READY, "we moved the first one ourselves: this is no rename"


def test_names_that_are_not_utf8_are_stored_unchanged(folder: Folder) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.mp4")
    folder.put(name, "one")
    (job,) = folder.store.jobs()
    assert job.path == folder.root / name
    assert job.name.endswith("caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}.mp4")


# Runners


def test_jobs_are_claimed_in_order_of_arrival(folder: Folder) -> None:
    arrive(folder.store, folder.root, "c", "a", "b")
    taken = [folder.store.claim("me", [folder.root], alone=True) for _ in range(4)]
    assert [job and job.path.name for job in taken] == ["c", "a", "b", None]
    assert all(job.attempts == 1 for job in taken if job)


def test_jobs_of_other_folders_are_left_alone(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    assert folder.store.claim("me", [folder.root.parent], alone=True) is None
    assert folder.store.count_ready([folder.root.parent]) == 0
    assert folder.store.count_ready([folder.root]) == 1


def test_processes_that_race_never_take_the_same_job(folder: Folder, tmp_path: Path) -> None:
    with folder.store.transaction():
        arrive(folder.store, folder.root, *(f"{number}" for number in range(300)))
    file = str(tmp_path / "state" / FILE_NAME)
    command = [sys.executable, "-c", CLAIM_ALL, file, str(folder.root)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    taken = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sorted(job for part in taken for job in part) == list(range(1, 301))
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_ended_job_has_no_owner(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    assert folder.claim() == 1
    folder.store.finish(1, "somebody else", JobState.FAILED, FAILED)
    assert folder.job("a").state is JobState.RUNNING
    outputs = {"video": Path("/o\udc80ut.mp4")}
    folder.store.finish(1, "me", JobState.DONE, replace(DONE, outputs=outputs))
    folder.store.release(1, "me")
    done = folder.job("a")
    assert (done.state, done.owner, done.outputs) == (JobState.DONE, None, outputs)


def test_the_attempt_of_a_released_job_does_not_count(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    folder.claim()
    folder.store.release(1, "me")
    assert (folder.job("a").state, folder.job("a").attempts) == (JobState.READY, 0)
    folder.claim()
    folder.store.release(1, "me", changed=True)
    job = folder.job("a")
    assert (job.state, job.attempts, job.redo) == (JobState.FOUND, 0, True)


def test_a_failed_attempt_waits(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    folder.claim()
    folder.store.retry_later(1, "me", "disk", None, 0.3)
    assert folder.claim() is None
    assert folder.store.count_ready([folder.root]) == 1
    assert folder.job("a").error == "disk"
    time.sleep(0.35)
    assert folder.claim() == 1
    assert folder.job("a").attempts == 2


def test_a_job_costs_the_store_milliseconds(folder: Folder) -> None:
    with folder.store.transaction():
        arrive(folder.store, folder.root, *(f"{number}" for number in range(200)))
    seconds = []
    for _ in range(200):
        begun = time.perf_counter()
        number = folder.claim()
        assert number is not None
        folder.store.owned(number, "me")
        folder.store.finish(number, "me", JobState.DONE, DONE)
        seconds.append(time.perf_counter() - begun)
    assert statistics.median(seconds) < 0.02


# Recovery


def kill_a_worker(tmp_path: Path, root: Path) -> None:
    """Let a process claim a job and kill it."""
    file = str(tmp_path / "state" / FILE_NAME)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM_ONE, file, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == "1"
        worker.send_signal(signal.SIGKILL)


def test_the_jobs_of_killed_processes_are_recovered_and_those_of_living_ones_are_not(
    folder: Folder, tmp_path: Path
) -> None:
    arrive(folder.store, folder.root, "a", "b")
    kill_a_worker(tmp_path, folder.root)
    assert folder.claim(this_process()) == 2
    assert [job.id for job, _ in folder.recover()] == [1]
    job = folder.job("a")
    assert (job.state, job.attempts, job.kills) == (JobState.READY, 0, 1)
    assert folder.job("b").state is JobState.RUNNING


def test_a_job_that_crashes_the_process_fails_after_all_its_attempts(
    folder: Folder, tmp_path: Path
) -> None:
    arrive(folder.store, folder.root, "a", "b")
    for attempt in (1, 2, 3):
        kill_a_worker(tmp_path, folder.root)
        ((_, reason),) = folder.recover("Segmentation fault")
        assert (reason is not None) is (attempt == 3)
        if attempt == 1:
            assert folder.claim(alone=False) == 2, "the others' turn comes first"
            assert folder.claim(alone=False) is None, "a suspect runs alone"
    assert "Segmentation fault" in (folder.job("a").error or "")


def test_kills_count_for_less_than_crashes(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    gone = f"{this_process().rpartition(' ')[0]} 1"
    for _ in range(20):
        assert folder.job("a").state is JobState.READY
        folder.claim(gone)
        folder.recover(attempts=1)
    assert folder.job("a").state is JobState.FAILED
    assert "killed 20 times" in (folder.job("a").error or "")


def test_a_silent_owner_elsewhere_loses_its_jobs(folder: Folder) -> None:
    arrive(folder.store, folder.root, "a")
    far = "elsewhere/boot/pid:[1] 7 7"
    folder.claim(far)
    assert folder.recover() == []
    execute = folder.store._database.execute
    execute("UPDATE jobs SET heartbeat = heartbeat - 61")
    folder.store.heartbeat(far)
    assert folder.recover() == []
    execute("UPDATE jobs SET heartbeat = heartbeat + 3600")
    assert len(folder.recover()) == 1, "a heartbeat from the future is a clock that jumped"


# People


@pytest.mark.parametrize("change", [JobStore.retry, JobStore.forget])
def test_running_jobs_can_be_neither_retried_nor_forgotten(
    folder: Folder, change: Callable[[JobStore, JobRecord], bool]
) -> None:
    folder.put("a.mp4", "one")
    folder.claim()
    assert not change(folder.store, folder.job("a.mp4"))
    folder.store.finish(1, "me", JobState.FAILED, FAILED)
    assert change(folder.store, folder.job("a.mp4"))


def test_a_retried_job_has_all_its_attempts_again(folder: Folder) -> None:
    folder.put("a.mp4", "one")
    folder.claim()
    folder.store.finish(1, "me", JobState.FAILED, FAILED)
    folder.store.retry(folder.job("a.mp4"))
    job = folder.job("a.mp4")
    assert (job.state, job.attempts, job.redo, job.error) == (JobState.READY, 0, True, None)
