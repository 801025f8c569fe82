"""The jobs of a watcher process: stopping, crashes, full disks, failing GPUs; a stub engine."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamcam.jobs.job_record import JobState
from tests.jobs.conftest import (
    EVERY_FRAME,
    SLOW,
    Daemon,
    Workspace,
    eventually,
    frames_of,
    results_of,
    video,
    wait_until_running,
)


def test_a_file_overwritten_during_its_run_is_explained_as_it_is_in_the_end(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = video(workspace.incoming / "a.mp4", 100)
    daemon = workspace.watch(*EVERY_FRAME, **SLOW)
    wait_until_running(workspace)
    shutil.copyfile(video(tmp_path / "new.mp4", 7), path)
    workspace.until(a__mp4="done")
    assert frames_of(workspace, "a") == 7
    assert workspace.results() == results_of("a")
    assert "changed while it was explained" in daemon.end()


def test_a_file_deleted_during_its_run_leaves_nothing_and_a_reason(workspace: Workspace) -> None:
    path = video(workspace.incoming / "a.mp4", 30)
    daemon = workspace.watch(*EVERY_FRAME, **SLOW)
    wait_until_running(workspace)
    path.unlink()
    workspace.until(a__mp4="skipped")
    assert "went away while it was explained" in (workspace.jobs()["a.mp4"].error or "")
    assert workspace.results() == set()
    daemon.end()
    assert daemon.code == 0


def test_a_file_renamed_during_its_run_is_explained_once(workspace: Workspace) -> None:
    path = video(workspace.incoming / "a.mp4", 30)
    daemon = workspace.watch(*EVERY_FRAME, **SLOW)
    wait_until_running(workspace)
    path.rename(workspace.incoming / "b.mp4")
    workspace.until(b__mp4="done")
    assert list(workspace.jobs()) == ["b.mp4"]
    assert len(workspace.results()) == 4
    assert daemon.end().count(": done") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_gives_back_what_cannot_end_in_time(
    workspace: Workspace, number: signal.Signals
) -> None:
    video(workspace.incoming / "a.mp4", 100)
    daemon = workspace.watch(*EVERY_FRAME, STREAMCAM_WATCH_GRACE="0.2s", **SLOW)
    wait_until_running(workspace)
    output = daemon.end(number)
    assert daemon.code == 0, output
    assert "given back to the queue" in output
    assert workspace.results() == set()
    job = workspace.jobs()["a.mp4"]
    assert (job.state, job.attempts, job.owner) == (JobState.READY, 0, None)
    assert workspace.watch("--once", *EVERY_FRAME).wait().count(": done") == 1
    assert frames_of(workspace, "a") == 100


def test_stopping_lets_end_what_can(workspace: Workspace) -> None:
    video(workspace.incoming / "a.mp4", 30)
    daemon = workspace.watch(*EVERY_FRAME, STREAMCAM_WATCH_GRACE="30s", **SLOW)
    wait_until_running(workspace)
    video(workspace.incoming / "late.mp4", 3)
    daemon.end()
    assert daemon.code == 0
    assert workspace.states()["a.mp4"] is JobState.DONE
    assert workspace.states().get("late.mp4") in (None, JobState.FOUND, JobState.READY)


def test_a_second_interrupt_forces_and_loses_nothing(workspace: Workspace) -> None:
    video(workspace.incoming / "a.mp4", 100)
    daemon = workspace.watch(*EVERY_FRAME, STREAMCAM_WATCH_GRACE="60s", **SLOW)
    wait_until_running(workspace)
    daemon.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    output = daemon.end(signal.SIGINT)
    assert daemon.code == 130, output
    assert not [name for name in workspace.results() if not name.endswith(".part")]
    workspace.watch("--once", *EVERY_FRAME).wait()
    assert frames_of(workspace, "a") == 100
    assert workspace.results() == results_of("a")


def test_a_file_that_crashes_the_process_fails_for_good_and_its_neighbours_are_not(
    workspace: Workspace,
) -> None:
    video(workspace.incoming / "poison.mp4", 5)
    video(workspace.incoming / "sound.mp4", 40)
    lives = 0
    while (
        not (daemon := workspace.watch("--once", *EVERY_FRAME, STUB_FRAME="0.01")).wait()
        or daemon.code < 0
    ):
        lives += 1
        assert daemon.code == -signal.SIGSEGV
        assert lives <= 3, "the file loops the watcher"
    assert lives == 3
    assert workspace.states() == {"poison.mp4": JobState.FAILED, "sound.mp4": JobState.DONE}
    assert "Segmentation fault" in (workspace.jobs()["poison.mp4"].error or "")
    assert workspace.results() == results_of("sound")
    assert not list(workspace.state.glob("crash-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, leaving: int) -> Path:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - leaving))
    return ballast


def test_a_full_disk_is_waited_for(workspace: Workspace, small_disk: Path) -> None:
    workspace.output = small_disk / "out"
    ballast = fill(small_disk, leaving=16_384)
    for number in range(3):
        video(workspace.incoming / f"{number}.mp4", 20 + number)
    daemon = workspace.watch(*EVERY_FRAME, "--state", workspace.state)
    eventually(lambda: "0.mp4" in workspace.jobs() and workspace.jobs()["0.mp4"].started, "tried")
    eventually(
        lambda: JobState.RUNNING not in workspace.states().values() and not workspace.results(),
        "the parts went away",
    )
    assert set(workspace.states().values()) == {JobState.READY}
    assert daemon.code is None
    ballast.unlink()
    workspace.until_all(3)
    output = daemon.end()
    assert all(job.attempts == 1 for job in workspace.jobs().values())
    assert output.count("too little space for results") == 1, output
    assert output.count("there is space again") == 1, output
    assert [frames_of(workspace, str(number)) for number in range(3)] == [20, 21, 22]


def test_nothing_is_begun_while_the_disk_is_nearly_full(
    workspace: Workspace, daemons: Callable[..., Daemon]
) -> None:
    video(workspace.incoming / "a.mp4", 3)
    daemon = daemons(
        *("watch", workspace.incoming, "--output", workspace.output, "--settle", 0.1),
        STREAMCAM_WATCH_MIN_FREE="1PB",
    )
    workspace.until(a__mp4="ready")
    time.sleep(1.2)
    output = daemon.end()
    assert output.count("too little space for results") == 1
    assert workspace.jobs()["a.mp4"].attempts == 0


@pytest.mark.parametrize("after", ["delete", "move"])
def test_explained_files_leave_the_folder(workspace: Workspace, after: str) -> None:
    archive = workspace.incoming / "archive"
    archive.mkdir()
    (archive / "sub").mkdir()
    (archive / "sub" / "b.mp4").write_text("was here before")
    content = [video(workspace.incoming / name, 3).read_bytes() for name in ("a.mp4", "sub/b.mp4")]
    (workspace.incoming / "bad.mp4").write_text("no video")
    option = "delete" if after == "delete" else f"move:{archive}"
    workspace.watch("--once", "--after", option, *EVERY_FRAME).wait()
    assert (workspace.incoming / "bad.mp4").exists(), "what failed is kept"
    assert not (workspace.incoming / "a.mp4").exists()
    assert not (workspace.incoming / "sub" / "b.mp4").exists()
    moved = {str(p.relative_to(archive)): p.read_bytes() for p in archive.rglob("*.mp4")}
    assert moved.pop("sub/b.mp4") == b"was here before"
    assert moved == (
        {} if after == "delete" else dict(zip(("a.mp4", "sub/b~2.mp4"), content, strict=True))
    )
    video(workspace.incoming / "a.mp4", 4)
    workspace.watch("--once", "--after", option, *EVERY_FRAME).wait()
    assert frames_of(workspace, "a") == 4, "other content under the name of a file that left"


def test_a_running_watcher_takes_up_what_is_retried(
    workspace: Workspace, daemons: Callable[..., Daemon]
) -> None:
    video(workspace.incoming / "a.mp4", 3)
    daemon = workspace.watch(*EVERY_FRAME)
    workspace.until(a__mp4="done")
    first = workspace.jobs()["a.mp4"].ended
    made = (workspace.output / "a.manifest.json").stat().st_mtime_ns
    retry = daemons("jobs", "retry", workspace.incoming / "a.mp4", "--output", workspace.output)
    assert "1 job queued again" in retry.wait()
    eventually(
        lambda: (job := workspace.jobs()["a.mp4"]).state is JobState.DONE and job.ended != first,
        "again",
    )
    assert (workspace.output / "a.manifest.json").stat().st_mtime_ns > made
    assert daemon.end().count(": done") == 2


def test_a_half_that_cannot_be_opened_is_not_called_failed_too_soon(
    workspace: Workspace, tmp_path: Path
) -> None:
    """An MP4's index comes last: a paused copy of one opens as nothing at all."""
    whole = video(tmp_path / "whole.mp4", 10).read_bytes()
    daemon = workspace.watch(*EVERY_FRAME, "--settle", 0.6)
    video(workspace.incoming / "first.mp4", 3)
    workspace.until(first__mp4="done")
    path = workspace.incoming / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    eventually(lambda: (job := workspace.jobs().get("half.mp4")) and job.started, "tried")
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    workspace.until(half__mp4="done")
    output = daemon.end()
    assert "half.mp4: failed" not in output
    assert "is not complete yet" in output or "changed while" in output, output
    assert frames_of(workspace, "half") == 10


def test_a_gpu_that_fails_ends_the_watcher_and_no_job(workspace: Workspace, tmp_path: Path) -> None:
    """The process cannot mend it; whoever restarts it finds the job in the queue."""
    gpu = tmp_path / "gpu"
    gpu.touch()
    video(workspace.incoming / "a.mp4", 60)
    daemon = workspace.watch(*EVERY_FRAME, STUB_GPU=str(gpu), STUB_FRAME="0.05")
    wait_until_running(workspace)
    gpu.unlink()
    output = daemon.wait()
    assert daemon.code == 70, output
    assert "error: the GPU fell off the bus" in output
    job = workspace.jobs()["a.mp4"]
    assert (job.state, job.attempts) == (JobState.READY, 1)
    assert workspace.results() == set()
    workspace.watch("--once", *EVERY_FRAME).wait()
    assert frames_of(workspace, "a") == 60
