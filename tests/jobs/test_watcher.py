"""The watcher as a process: real files, decoder, encoder and ledger; the engine costs nothing."""

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

from streamcam.jobs.record import State
from tests.jobs.conftest import Daemon, House, eventually, video

SLOW = {"STUB_FRAME": "0.05"}
"""Makes a video of a hundred frames last five seconds."""

EACH = ("--every", 1)
KINDS = ("detections.jsonl", "heatmap.jpg", "heatmap.mp4", "manifest.json")


def results_of(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in KINDS}


def frames_of(house: House, stem: str) -> int:
    """Count a result's frames; the video and the records must agree."""
    records = (house.output / f"{stem}.detections.jsonl").read_text().splitlines()
    with av.open(str(house.output / f"{stem}.heatmap.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    manifest = json.loads((house.output / f"{stem}.manifest.json").read_text())
    assert len({json.loads(line)["frame"] for line in records}) == len(records) == pictures
    assert manifest["outcome"] == "done"
    assert manifest["counts"]["explained"] == pictures
    return pictures


def underway(house: House) -> None:
    eventually(
        lambda: any(part.stat().st_size for part in house.output.rglob("*.jsonl.part")),
        "a job writes",
    )


def test_a_drop_in_folder_with_all_sorts(house: House) -> None:
    """Good files are explained, bad ones are told, and nothing is done twice."""
    names = [
        "plain.mp4",
        "tree/a/b/deep.mp4",
        "two\nlines.mp4",
        "Straße 🎥.mp4",
        "x" * 251 + ".mp4",
    ]
    for count, name in enumerate(names):
        video(house.incoming / name, 3 + count)
    os.link(house.incoming / "plain.mp4", house.incoming / "linked.mp4")
    (house.incoming / "tree" / "plain.mov").write_bytes((house.incoming / "plain.mp4").read_bytes())
    (house.incoming / "notes.mp4").write_text("not a video\n" * 99)
    (house.incoming / "empty.mp4").touch()
    os.mkfifo(house.incoming / "fifo.mp4")
    (house.incoming / "loop.mp4").symlink_to("loop.mp4")
    daemon = house.watch("--once", *EACH)
    said = daemon.wait()
    assert daemon.code == 1, said
    good = {*names, "linked.mp4", "tree/plain.mov"}
    assert house.states() == {
        **dict.fromkeys(good, State.DONE),
        "notes.mp4": State.FAILED,
        "empty.mp4": State.FAILED,
    }
    assert said.count("notes.mp4: failed: not a video") == 1
    assert len(house.results()) == 4 * len(good)
    assert frames_of(house, "tree/a/b/deep") == 4
    again = house.watch("--once", *EACH)
    assert "done" not in again.wait()
    assert again.code == 0, "what failed before is no failure of this run"


def test_a_copy_that_pauses_is_explained_whole(house: House, tmp_path: Path) -> None:
    """MPEG-TS can be read from its first packet on: a half would be explained happily."""
    whole = video(tmp_path / "whole.ts", 30).read_bytes()
    daemon = house.watch(*EACH, STUB_FRAME="0.15")
    path = house.incoming / "copied.ts"
    path.write_bytes(whole[: len(whole) // 2])
    underway(house)
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    house.until(copied__ts="done")
    said = daemon.end()
    assert frames_of(house, "copied") == 30
    assert said.count(": done") == 1, said
    assert said.count("waiting until it stands still") == 1, said


def test_a_file_overwritten_during_its_run_is_explained_as_it_is_in_the_end(
    house: House, tmp_path: Path
) -> None:
    path = video(house.incoming / "a.mp4", 100)
    daemon = house.watch(*EACH, **SLOW)
    underway(house)
    shutil.copyfile(video(tmp_path / "new.mp4", 7), path)
    house.until(a__mp4="done")
    assert frames_of(house, "a") == 7
    assert house.results() == results_of("a")
    assert "changed while it was explained" in daemon.end()


def test_a_file_deleted_during_its_run_leaves_nothing_and_a_reason(house: House) -> None:
    path = video(house.incoming / "a.mp4", 30)
    daemon = house.watch(*EACH, **SLOW)
    underway(house)
    path.unlink()
    house.until(a__mp4="skipped")
    assert "went away while it was explained" in (house.jobs()["a.mp4"].error or "")
    assert house.results() == set()
    daemon.end()
    assert daemon.code == 0


def test_a_file_renamed_during_its_run_is_explained_once(house: House) -> None:
    path = video(house.incoming / "a.mp4", 30)
    daemon = house.watch(*EACH, **SLOW)
    underway(house)
    path.rename(house.incoming / "b.mp4")
    house.until(b__mp4="done")
    assert list(house.jobs()) == ["b.mp4"]
    assert len(house.results()) == 4
    assert daemon.end().count(": done") == 1


def test_two_watchers_share_the_work_and_outlive_each_other(house: House) -> None:
    for number in range(12):
        video(house.incoming / f"{number}.mp4", 5 + number)
    variables = {"STUB_FRAME": "0.03"}
    pair = [house.watch(*EACH, **variables) for _ in range(2)]
    eventually(lambda: State.DONE in house.states().values(), "one is done")
    pair[0].end(signal.SIGKILL)
    house.until_all(12)
    for number in range(12, 16):
        video(house.incoming / f"{number}.mp4", 5 + number)
    house.until_all(16)
    said = pair[1].end()
    assert pair[1].code == 0, said
    assert all(frames_of(house, str(number)) == 5 + number for number in range(16))
    assert house.results() == results_of(*map(str, range(16)))


def test_two_watchers_never_take_the_same_file(house: House) -> None:
    for number in range(12):
        video(house.incoming / f"{number}.mp4", 3 + number)
    pair = [house.watch("--once", *EACH, STUB_FRAME="0.01") for _ in range(2)]
    said = [daemon.wait() for daemon in pair]
    assert sum(text.count(": done") for text in said) == 12, said
    house.until_all(12)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_gives_back_what_cannot_end_in_time(house: House, number: signal.Signals) -> None:
    video(house.incoming / "a.mp4", 100)
    daemon = house.watch(*EACH, STREAMCAM_WATCH_GRACE="0.2", **SLOW)
    underway(house)
    said = daemon.end(number)
    assert daemon.code == 0, said
    assert "given back to the queue" in said
    assert house.results() == set()
    job = house.jobs()["a.mp4"]
    assert (job.state, job.attempts, job.owner) == (State.READY, 0, None)
    assert house.watch("--once", *EACH).wait().count(": done") == 1
    assert frames_of(house, "a") == 100


def test_stopping_lets_end_what_can(house: House) -> None:
    video(house.incoming / "a.mp4", 30)
    daemon = house.watch(*EACH, STREAMCAM_WATCH_GRACE="30", **SLOW)
    underway(house)
    video(house.incoming / "late.mp4", 3)
    daemon.end()
    assert daemon.code == 0
    assert house.states()["a.mp4"] is State.DONE
    assert house.states().get("late.mp4") in (None, State.FOUND, State.READY)


def test_a_second_interrupt_forces_and_loses_nothing(house: House) -> None:
    video(house.incoming / "a.mp4", 100)
    daemon = house.watch(*EACH, STREAMCAM_WATCH_GRACE="60", **SLOW)
    underway(house)
    daemon.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    said = daemon.end(signal.SIGINT)
    assert daemon.code == 130, said
    assert not [name for name in house.results() if not name.endswith(".part")]
    house.watch("--once", *EACH).wait()
    assert frames_of(house, "a") == 100
    assert house.results() == results_of("a")


def test_a_file_that_crashes_the_process_is_set_aside_and_its_neighbours_are_not(
    house: House,
) -> None:
    video(house.incoming / "poison.mp4", 5)
    video(house.incoming / "sound.mp4", 40)
    lives = 0
    while not (daemon := house.watch("--once", *EACH, STUB_FRAME="0.01")).wait() or daemon.code < 0:
        lives += 1
        assert daemon.code == -signal.SIGSEGV
        assert lives <= 3, "the file loops the watcher"
    assert lives == 3
    assert house.states() == {"poison.mp4": State.FAILED, "sound.mp4": State.DONE}
    assert "Segmentation fault" in (house.jobs()["poison.mp4"].error or "")
    assert house.results() == results_of("sound")
    assert not list(house.state.glob("crash-*"))


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


def test_a_full_disk_is_waited_for(house: House, small_disk: Path) -> None:
    house.output = small_disk / "out"
    ballast = fill(small_disk, leaving=16_384)
    for number in range(3):
        video(house.incoming / f"{number}.mp4", 20 + number)
    daemon = house.watch(*EACH, "--state", house.state)
    eventually(lambda: "0.mp4" in house.jobs() and house.jobs()["0.mp4"].started, "tried")
    eventually(
        lambda: State.RUNNING not in house.states().values() and not house.results(),
        "the parts went away",
    )
    assert set(house.states().values()) == {State.READY}
    assert daemon.code is None
    ballast.unlink()
    house.until_all(3)
    said = daemon.end()
    assert all(job.attempts == 1 for job in house.jobs().values())
    assert said.count("no room for results") == 1, said
    assert said.count("there is room again") == 1, said
    assert [frames_of(house, str(number)) for number in range(3)] == [20, 21, 22]


def test_nothing_is_begun_while_the_disk_is_nearly_full(
    house: House, daemons: Callable[..., Daemon]
) -> None:
    video(house.incoming / "a.mp4", 3)
    daemon = daemons(
        *("watch", house.incoming, "--output", house.output, "--settle", 0.1),
        STREAMCAM_WATCH_MIN_FREE=str(10**9),
    )
    house.until(a__mp4="ready")
    time.sleep(1.2)
    said = daemon.end()
    assert said.count("no room for results") == 1
    assert house.jobs()["a.mp4"].attempts == 0


@pytest.mark.parametrize("after", ["delete", "move"])
def test_explained_files_leave_the_folder(house: House, after: str) -> None:
    archive = house.incoming / "archive"
    archive.mkdir()
    (archive / "sub").mkdir()
    (archive / "sub" / "b.mp4").write_text("was here before")
    content = [video(house.incoming / name, 3).read_bytes() for name in ("a.mp4", "sub/b.mp4")]
    (house.incoming / "bad.mp4").write_text("no video")
    option = "delete" if after == "delete" else f"move:{archive}"
    house.watch("--once", "--after", option, *EACH).wait()
    assert (house.incoming / "bad.mp4").exists(), "what failed is kept"
    assert not (house.incoming / "a.mp4").exists()
    assert not (house.incoming / "sub" / "b.mp4").exists()
    moved = {str(p.relative_to(archive)): p.read_bytes() for p in archive.rglob("*.mp4")}
    assert moved.pop("sub/b.mp4") == b"was here before"
    assert moved == (
        {} if after == "delete" else dict(zip(("a.mp4", "sub/b~2.mp4"), content, strict=True))
    )
    video(house.incoming / "a.mp4", 4)
    house.watch("--once", "--after", option, *EACH).wait()
    assert frames_of(house, "a") == 4, "other content under the name of a file that left"


def test_polling_and_results_inside_the_watched_folder(house: House) -> None:
    house.output = house.incoming / "out"
    house.state = house.incoming / "out.state"
    daemon = house.watch("--poll", *EACH, STREAMCAM_WATCH_POLL_INTERVAL="0.2")
    time.sleep(0.5)
    video(house.incoming / "sub" / "a.mp4", 3)
    eventually(lambda: (house.output / "sub" / "a.manifest.json").exists(), "explained")
    time.sleep(1.0)
    assert list(house.jobs()) == ["sub/a.mp4"]
    assert daemon.end().count(": done") == 1


def test_two_folders_with_equal_trees_do_not_meet(
    house: House, tmp_path: Path, daemons: Callable[..., Daemon]
) -> None:
    for count, cam in enumerate(("cam1", "cam2")):
        video(tmp_path / cam / "day" / "clip.mp4", 3 + count)
    folders = (tmp_path / "cam1", tmp_path / "cam2")
    daemon = daemons("watch", *folders, "-o", house.output, "--once", "--settle", 0.1, *EACH)
    said = daemon.wait()
    assert daemon.code == 0, said
    assert house.results() == results_of("cam1/day/clip", "cam2/day/clip")
    assert [frames_of(house, f"cam{n}/day/clip") for n in (1, 2)] == [3, 4]


def test_results_that_are_there_are_recognised_without_the_ledger(house: House) -> None:
    video(house.incoming / "a.mp4", 3)
    house.watch("--once", *EACH).wait()
    made = (house.output / "a.manifest.json").stat().st_mtime_ns
    shutil.rmtree(house.state)
    daemon = house.watch("--once", *EACH)
    assert "a.mp4: skipped" in daemon.wait()
    assert house.states() == {"a.mp4": State.DONE}
    assert (house.output / "a.manifest.json").stat().st_mtime_ns == made
    shutil.rmtree(house.state)
    video(house.incoming / "a.mp4", 5)
    house.watch("--once", *EACH).wait()
    assert frames_of(house, "a") == 5, "results that are older than the file are another file's"


def test_a_terminal_shows_a_live_table(house: House) -> None:
    video(house.incoming / "gate.mp4", 40)
    (house.incoming / "notes.mp4").write_text("no video")
    main, terminal = pty.openpty()
    daemon = house.watch(*EACH, terminal=terminal, STUB_FRAME="0.05", TERM="xterm", LINES="30")
    os.close(terminal)
    house.until(gate__mp4="done", notes__mp4="failed")
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
    house: House, daemons: Callable[..., Daemon]
) -> None:
    video(house.incoming / "a.mp4", 3)
    daemon = house.watch(*EACH)
    house.until(a__mp4="done")
    first = house.jobs()["a.mp4"].ended
    made = (house.output / "a.manifest.json").stat().st_mtime_ns
    retry = daemons("jobs", "retry", house.incoming / "a.mp4", "--output", house.output)
    assert "1 job queued again" in retry.wait()
    eventually(
        lambda: (job := house.jobs()["a.mp4"]).state is State.DONE and job.ended != first, "again"
    )
    assert (house.output / "a.manifest.json").stat().st_mtime_ns > made
    assert daemon.end().count(": done") == 2


def test_a_half_that_cannot_be_opened_is_not_called_failed_too_soon(
    house: House, tmp_path: Path
) -> None:
    """An MP4's index comes last: a paused copy of one opens as nothing at all."""
    whole = video(tmp_path / "whole.mp4", 10).read_bytes()
    daemon = house.watch(*EACH, "--settle", 0.6)
    video(house.incoming / "first.mp4", 3)
    house.until(first__mp4="done")
    path = house.incoming / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    eventually(lambda: (job := house.jobs().get("half.mp4")) and job.started, "tried")
    with path.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    house.until(half__mp4="done")
    said = daemon.end()
    assert "half.mp4: failed" not in said
    assert "is not whole yet" in said or "changed while" in said, said
    assert frames_of(house, "half") == 10


def test_a_gpu_that_fails_ends_the_watcher_and_no_job(house: House, tmp_path: Path) -> None:
    """The process cannot mend it; whoever restarts it finds the job in the queue."""
    gpu = tmp_path / "gpu"
    gpu.touch()
    video(house.incoming / "a.mp4", 60)
    daemon = house.watch(*EACH, STUB_GPU=str(gpu), STUB_FRAME="0.05")
    underway(house)
    gpu.unlink()
    said = daemon.wait()
    assert daemon.code == 70, said
    assert "error: the GPU fell off the bus" in said
    job = house.jobs()["a.mp4"]
    assert (job.state, job.attempts) == (State.READY, 1)
    assert house.results() == set()
    house.watch("--once", *EACH).wait()
    assert frames_of(house, "a") == 60


STARVED = (
    "unshare",
    "-Ur",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_inotify_watches; exec "$@"',
    "sh",
)
"""Begins a command in a user namespace of its own, in which the kernel watches no folder."""


def test_without_inotify_the_folder_is_polled(house: House) -> None:
    if subprocess.run([*STARVED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here: the kernel cannot be starved of watches")
    daemon = house.watch(*EACH, before=STARVED, STREAMCAM_WATCH_POLL_INTERVAL="0.3")
    eventually(house.state.exists, "it runs")
    time.sleep(0.5)
    video(house.incoming / "late.mp4", 3)
    house.until(late__mp4="done")
    said = daemon.end()
    assert said.count("the kernel watches no more folders") == 1, said
    assert frames_of(house, "late") == 3
