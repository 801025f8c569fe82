"""The watcher as a process: real files, decoder, encoder and job store; the engine is a stub."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from streamcam.jobs.job_record import JobState
from tests.jobs.conftest import Daemon, Workspace, eventually, video

SLOW = {"STUB_FRAME": "0.05"}
"""Makes a video of a hundred frames last five seconds."""

EVERY_FRAME = ("--every", 1)
KINDS = ("detections.jsonl", "heatmap.jpg", "heatmap.mp4", "manifest.json")


def results_of(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in KINDS}


def frames_of(workspace: Workspace, stem: str) -> int:
    """Count a result's frames; the video and the records must agree."""
    records = (workspace.output / f"{stem}.detections.jsonl").read_text().splitlines()
    with av.open(str(workspace.output / f"{stem}.heatmap.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    manifest = json.loads((workspace.output / f"{stem}.manifest.json").read_text())
    assert len({json.loads(line)["frame"] for line in records}) == len(records) == pictures
    assert manifest["outcome"] == "done"
    assert manifest["counts"]["explained"] == pictures
    return pictures


def wait_until_running(workspace: Workspace) -> None:
    eventually(
        lambda: any(part.stat().st_size for part in workspace.output.rglob("*.jsonl.part")),
        "a job writes",
    )


def test_a_drop_in_folder_with_all_sorts(workspace: Workspace) -> None:
    """Good files are explained, bad ones are told, and nothing is done twice."""
    names = [
        "plain.mp4",
        "tree/a/b/deep.mp4",
        "two\nlines.mp4",
        "Straße 🎥.mp4",
        "x" * 251 + ".mp4",
    ]
    for count, name in enumerate(names):
        video(workspace.incoming / name, 3 + count)
    os.link(workspace.incoming / "plain.mp4", workspace.incoming / "linked.mp4")
    (workspace.incoming / "tree" / "plain.mov").write_bytes(
        (workspace.incoming / "plain.mp4").read_bytes()
    )
    (workspace.incoming / "notes.mp4").write_text("not a video\n" * 99)
    (workspace.incoming / "empty.mp4").touch()
    os.mkfifo(workspace.incoming / "fifo.mp4")
    (workspace.incoming / "loop.mp4").symlink_to("loop.mp4")
    daemon = workspace.watch("--once", *EVERY_FRAME)
    output = daemon.wait()
    assert daemon.code == 1, output
    good = {*names, "linked.mp4", "tree/plain.mov"}
    assert workspace.states() == {
        **dict.fromkeys(good, JobState.DONE),
        "notes.mp4": JobState.FAILED,
        "empty.mp4": JobState.FAILED,
    }
    assert output.count("notes.mp4: failed: not a video") == 1
    assert len(workspace.results()) == 4 * len(good)
    assert frames_of(workspace, "tree/a/b/deep") == 4
    again = workspace.watch("--once", *EVERY_FRAME)
    assert "done" not in again.wait()
    assert again.code == 0, "what failed before is no failure of this run"


def test_a_copy_that_pauses_is_explained_completely(workspace: Workspace, tmp_path: Path) -> None:
    """MPEG-TS can be read from its first packet on: a half would be explained happily."""
    whole = video(tmp_path / "whole.ts", 30).read_bytes()
    daemon = workspace.watch(*EVERY_FRAME, STUB_FRAME="0.15")
    path = workspace.incoming / "copied.ts"
    path.write_bytes(whole[: len(whole) // 2])
    wait_until_running(workspace)
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    workspace.until(copied__ts="done")
    output = daemon.end()
    assert frames_of(workspace, "copied") == 30
    assert output.count(": done") == 1, output
    assert output.count("waiting until it no longer changes") == 1, output


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


def test_two_watchers_share_the_work_and_outlive_each_other(workspace: Workspace) -> None:
    for number in range(12):
        video(workspace.incoming / f"{number}.mp4", 5 + number)
    variables = {"STUB_FRAME": "0.03"}
    pair = [workspace.watch(*EVERY_FRAME, **variables) for _ in range(2)]
    eventually(lambda: JobState.DONE in workspace.states().values(), "one is done")
    pair[0].end(signal.SIGKILL)
    workspace.until_all(12)
    for number in range(12, 16):
        video(workspace.incoming / f"{number}.mp4", 5 + number)
    workspace.until_all(16)
    output = pair[1].end()
    assert pair[1].code == 0, output
    assert all(frames_of(workspace, str(number)) == 5 + number for number in range(16))
    assert workspace.results() == results_of(*map(str, range(16)))


def test_two_watchers_never_take_the_same_file(workspace: Workspace) -> None:
    for number in range(12):
        video(workspace.incoming / f"{number}.mp4", 3 + number)
    pair = [workspace.watch("--once", *EVERY_FRAME, STUB_FRAME="0.01") for _ in range(2)]
    output = [daemon.wait() for daemon in pair]
    assert sum(text.count(": done") for text in output) == 12, output
    workspace.until_all(12)


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


def test_polling_and_results_inside_the_watched_folder(workspace: Workspace) -> None:
    workspace.output = workspace.incoming / "out"
    workspace.state = workspace.incoming / "out.state"
    daemon = workspace.watch("--poll", *EVERY_FRAME, STREAMCAM_WATCH_POLL_INTERVAL="0.2s")
    time.sleep(0.5)
    video(workspace.incoming / "sub" / "a.mp4", 3)
    eventually(lambda: (workspace.output / "sub" / "a.manifest.json").exists(), "explained")
    time.sleep(1.0)
    assert list(workspace.jobs()) == ["sub/a.mp4"]
    assert daemon.end().count(": done") == 1


def test_two_folders_with_equal_trees_do_not_meet(
    workspace: Workspace, tmp_path: Path, daemons: Callable[..., Daemon]
) -> None:
    for count, cam in enumerate(("cam1", "cam2")):
        video(tmp_path / cam / "day" / "clip.mp4", 3 + count)
    folders = (tmp_path / "cam1", tmp_path / "cam2")
    daemon = daemons(
        "watch", *folders, "-o", workspace.output, "--once", "--settle", 0.1, *EVERY_FRAME
    )
    output = daemon.wait()
    assert daemon.code == 0, output
    assert workspace.results() == results_of("cam1/day/clip", "cam2/day/clip")
    assert [frames_of(workspace, f"cam{n}/day/clip") for n in (1, 2)] == [3, 4]


def test_results_that_are_there_are_recognised_without_the_job_store(workspace: Workspace) -> None:
    video(workspace.incoming / "a.mp4", 3)
    workspace.watch("--once", *EVERY_FRAME).wait()
    made = (workspace.output / "a.manifest.json").stat().st_mtime_ns
    shutil.rmtree(workspace.state)
    daemon = workspace.watch("--once", *EVERY_FRAME)
    assert "a.mp4: skipped" in daemon.wait()
    assert workspace.states() == {"a.mp4": JobState.DONE}
    assert (workspace.output / "a.manifest.json").stat().st_mtime_ns == made
    shutil.rmtree(workspace.state)
    video(workspace.incoming / "a.mp4", 5)
    workspace.watch("--once", *EVERY_FRAME).wait()
    assert frames_of(workspace, "a") == 5, "results that are older than the file are another file's"


def test_a_terminal_shows_a_live_table(workspace: Workspace) -> None:
    video(workspace.incoming / "gate.mp4", 40)
    (workspace.incoming / "notes.mp4").write_text("no video")
    main, terminal = pty.openpty()
    daemon = workspace.watch(
        *EVERY_FRAME, terminal=terminal, STUB_FRAME="0.05", TERM="xterm", LINES="30"
    )
    os.close(terminal)
    workspace.until(gate__mp4="done", notes__mp4="failed")
    time.sleep(0.6)
    daemon.process.send_signal(signal.SIGTERM)
    shown = b""
    with contextlib.suppress(OSError):
        while piece := os.read(main, 65536):
            shown += piece
    os.close(main)
    assert daemon.process.wait(20) == 0
    text = shown.decode()
    for word in ("a second", "speed", "left", "watching; nothing came yet", "1 failed"):
        assert word in text, word
    assert "done in" in text


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


STARVED = (
    "unshare",
    "-Ur",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_inotify_watches; exec "$@"',
    "sh",
)
"""Begins a command in a user namespace of its own, in which the kernel watches no folder."""


def test_without_inotify_the_folder_is_polled(workspace: Workspace) -> None:
    if subprocess.run([*STARVED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here: the kernel cannot be starved of watches")
    daemon = workspace.watch(*EVERY_FRAME, before=STARVED, STREAMCAM_WATCH_POLL_INTERVAL="0.3s")
    eventually(workspace.state.exists, "it runs")
    time.sleep(0.5)
    video(workspace.incoming / "late.mp4", 3)
    workspace.until(late__mp4="done")
    output = daemon.end()
    assert output.count("the kernel watches no more folders") == 1, output
    assert frames_of(workspace, "late") == 3
