"""The watcher as a process: real files, decoder, encoder and job store; the engine is a stub."""

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamcam.jobs.job_record import JobState
from tests.jobs.conftest import (
    EVERY_FRAME,
    Daemon,
    Workspace,
    eventually,
    frames_of,
    results_of,
    video,
    wait_until_running,
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
    main, terminal = pty.openpty()
    daemon = workspace.watch(
        *EVERY_FRAME, terminal=terminal, STUB_FRAME="0.05", TERM="xterm", LINES="30"
    )
    os.close(terminal)
    shown = b""
    while b"watching; no files yet" not in shown:
        shown += os.read(main, 65536)
    video(workspace.incoming / "gate.mp4", 40)
    (workspace.incoming / "notes.mp4").write_text("no video")
    workspace.until(gate__mp4="done", notes__mp4="failed")
    time.sleep(0.6)
    daemon.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(OSError):
        while piece := os.read(main, 65536):
            shown += piece
    os.close(main)
    assert daemon.process.wait(20) == 0
    text = shown.decode()
    for word in ("per second", "speed", "left", "1 failed"):
        assert word in text, word
    assert "done in" in text


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
