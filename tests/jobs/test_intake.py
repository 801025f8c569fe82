"""Real files in real folders, through the kernel's own events."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from streamcam.config.schema import WatchSettings
from streamcam.fingerprint import identity_of
from streamcam.jobs.intake import Intake
from streamcam.jobs.job_record import JobState
from streamcam.jobs.resources import OngoingConditions
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import (
    FolderObserver,
    Selection,
    is_being_written,
    resolve_folders,
)
from tests.jobs.conftest import TIMEOUT, eventually

SETTLE = 0.15
NEVER = 3600.0
BY_EVENTS = WatchSettings(settle=SETTLE, rescan=NEVER, poll_interval=0.1)


class Harness:
    """A folder, its intake, and the lines that it logs."""

    def __init__(self, root: Path, store: JobStore) -> None:
        self.root = root
        self.log: list[str] = []
        self.changed: list[Path] = []
        self.store = store
        self._intakes: list[Intake] = []
        root.mkdir(exist_ok=True)

    def open(
        self,
        *,
        settings: WatchSettings = BY_EVENTS,
        ignored: Sequence[Path] = (),
        observer: Callable[..., FolderObserver] = FolderObserver,
    ) -> Intake:
        """Begin to watch, and look once."""
        intake = Intake(
            resolve_folders([self.root], recursive=True),
            Selection(settings, ignored),
            self.store,
            OngoingConditions(self.log.append),
            on_change=self.changed.append,
            observer=observer,
        )
        self._intakes.append(intake)
        intake.tick()
        return intake

    def close(self) -> None:
        for intake in self._intakes:
            intake.stop()

    def names(self, *states: JobState) -> set[str]:
        jobs = self.store.jobs(states)
        return {os.path.relpath(job.path, self.root) for job in jobs}

    def until(self, intake: Intake, condition: Callable[[], object], what: str) -> None:
        def look() -> object:
            intake.tick()
            return condition()

        eventually(look, f"{what}; ready: {self.names(JobState.READY)}; log: {self.log}")

    def until_ready(self, intake: Intake, *names: str) -> None:
        self.until(intake, lambda: self.names(JobState.READY) == set(names), f"{names} ready")

    def rest(self, intake: Intake, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            intake.tick()
            time.sleep(0.02)


@pytest.fixture
def harness(tmp_path: Path, store: JobStore) -> Iterator[Harness]:
    harness = Harness(tmp_path / "in", store)
    yield harness
    harness.close()


def put(root: Path, name: str, content: str = "whole") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_existing_and_new_files_are_queued(harness: Harness) -> None:
    put(harness.root, "before.mp4")
    intake = harness.open()
    put(harness.root, "after.mp4")
    harness.until_ready(intake, "before.mp4", "after.mp4")
    assert intake.waiting == 0
    assert harness.log == []


@pytest.mark.parametrize("reopened", [False, True])
def test_a_slow_copy_with_pauses_is_queued_when_it_is_complete(
    harness: Harness, *, reopened: bool
) -> None:
    """The pauses are longer than settling while the file is open, shorter where it is closed."""
    intake = harness.open()
    path = harness.root / "slow.mp4"
    file = path.open("wb")
    if not reopened and is_being_written(path) is None:
        pytest.skip("no leases on this file system: a writer that pauses cannot be seen")
    for _ in range(4):
        file.write(b"x" * 1000)
        file.flush()
        if reopened:
            file.close()
            file = path.open("ab")
            file.close()
        harness.rest(intake, SETTLE * (0.5 if reopened else 2))
        assert harness.names(JobState.READY) == set()
        if reopened:
            file = path.open("ab")
    file.close()
    harness.until_ready(intake, "slow.mp4")
    (job,) = harness.store.jobs()
    assert job.identity is not None
    assert job.identity.stat.size == 4000


def test_temporary_names_wait_until_they_are_renamed(harness: Harness) -> None:
    intake = harness.open()
    for name in ("a.mp4.part", ".b.mp4", "c.mp4~", "d.tmp"):
        put(harness.root, name)
    harness.rest(intake, 2 * SETTLE)
    assert harness.names() == set()
    (harness.root / "a.mp4.part").rename(harness.root / "a.mp4")
    (harness.root / ".b.mp4").rename(harness.root / "b.mp4")
    harness.until_ready(intake, "a.mp4", "b.mp4")


def test_moved_in_linked_in_and_trees_moved_in(harness: Harness, tmp_path: Path) -> None:
    intake = harness.open()
    put(tmp_path, "moved.mp4", "moved").rename(harness.root / "moved.mp4")
    os.link(put(tmp_path, "linked.mp4", "linked"), harness.root / "linked.mp4")
    for name in ("tree/1.mp4", "tree/a/2.mp4", "tree/a/b/3.mp4"):
        put(tmp_path, name, name)
    (tmp_path / "tree").rename(harness.root / "tree")
    tree = {"tree/1.mp4", "tree/a/2.mp4", "tree/a/b/3.mp4"}
    harness.until_ready(intake, "moved.mp4", "linked.mp4", *tree)
    put(harness.root, "tree/a/b/4.mp4", "late")
    harness.until_ready(intake, "moved.mp4", "linked.mp4", *tree, "tree/a/b/4.mp4")
    assert harness.log == []


def test_a_tree_that_is_copied_in_is_queued_completely(harness: Harness, tmp_path: Path) -> None:
    intake = harness.open()
    names = {f"tree/{a}/{b}/{c}.mp4" for a in "abc" for b in "de" for c in "fgh"}
    for name in names:
        put(tmp_path, name, name)
    copying = threading.Thread(
        target=shutil.copytree, args=(tmp_path / "tree", harness.root / "tree")
    )
    copying.start()
    harness.until_ready(intake, *names)
    copying.join()
    assert harness.log == []


def test_a_thousand_files_at_once(harness: Harness) -> None:
    intake = harness.open()
    names = {f"{number:04}.mp4" for number in range(1000)}
    for name in sorted(names):
        put(harness.root, name, name)
    harness.until_ready(intake, *names)
    assert intake.waiting == 0


def test_odd_names(harness: Harness) -> None:
    intake = harness.open()
    names = {
        "Straße 日本 🎥.mp4",
        "two\nlines.mp4",
        " lead and trail .mp4",
        "-o.mp4",
        os.fsdecode(b"latin\xe9.mp4"),
        "x" * 251 + ".mp4",
        "%41?#&'\".mp4",
    }
    for name in names:
        put(harness.root, name, repr(name))
    harness.until_ready(intake, *names)


def test_fifos_loops_and_dangling_links_are_passed_by(harness: Harness) -> None:
    intake = harness.open()
    os.mkfifo(harness.root / "fifo.mp4")
    (harness.root / "loop.mp4").symlink_to("loop.mp4")
    (harness.root / "up").symlink_to(harness.root, target_is_directory=True)
    put(harness.root, "real.mp4")
    harness.until_ready(intake, "real.mp4")
    harness.rest(intake, 2 * SETTLE)
    assert harness.names() == {"real.mp4"}
    assert intake.waiting == 0


def test_a_file_overwritten_while_its_job_runs_is_reported_and_taken_again(
    harness: Harness,
) -> None:
    path = put(harness.root, "a.mp4", "one")
    intake = harness.open()
    harness.until_ready(intake, "a.mp4")
    job = harness.store.claim("me", [harness.root], alone=True)
    assert job is not None
    path.write_text("two")
    harness.until(intake, lambda: harness.changed == [path], "reported as changed")
    harness.store.release(job.id, "me", changed=True)
    harness.until_ready(intake, "a.mp4")
    again = harness.store.claim("me", [harness.root], alone=True)
    assert again is not None
    assert again.identity == identity_of(path)


def test_a_file_that_only_appeared_for_a_moment_leaves_nothing(harness: Harness) -> None:
    intake = harness.open()
    path = put(harness.root, "a.mp4")
    harness.until(intake, lambda: harness.names() == {"a.mp4"}, "found")
    path.unlink()
    harness.until(intake, lambda: harness.names() == set(), "forgotten")


def test_results_inside_the_watched_folder_are_no_inputs(harness: Harness) -> None:
    intake = harness.open(ignored=[harness.root / "out"])
    put(harness.root, "out/cam/new.mp4")
    put(harness.root, "a.heatmap.mp4")
    put(harness.root, "a.mp4")
    harness.until_ready(intake, "a.mp4")
    harness.rest(intake, 2 * SETTLE)
    assert harness.names() == {"a.mp4"}


def test_a_folder_that_vanishes_and_returns_is_logged_once_each(harness: Harness) -> None:
    put(harness.root, "a.mp4", "one")
    intake = harness.open(settings=WatchSettings(settle=SETTLE, rescan=0.2, poll_interval=0.1))
    harness.until_ready(intake, "a.mp4")
    moved = harness.root.rename(harness.root.with_name("moved"))
    harness.until(intake, lambda: harness.log, "logged that it is gone")
    harness.rest(intake, 0.5)
    assert len(harness.log) == 1
    assert "cannot be read now: no such file or directory" in harness.log[0]
    put(moved, "b.mp4", "two")
    moved.rename(harness.root)
    harness.until_ready(intake, "a.mp4", "b.mp4")
    assert len(harness.log) == 2
    assert "can be read again" in harness.log[1]
    put(harness.root, "c.mp4", "three")
    harness.until_ready(intake, "a.mp4", "b.mp4", "c.mp4")
    assert len(harness.log) == 2


def test_a_folder_that_is_replaced_is_watched_again(harness: Harness) -> None:
    intake = harness.open(settings=WatchSettings(settle=SETTLE, rescan=0.2, poll_interval=0.1))
    shutil.rmtree(harness.root)
    harness.root.mkdir()
    harness.rest(intake, 0.5)
    put(harness.root, "a.mp4")
    harness.until_ready(intake, "a.mp4")


def test_a_folder_renamed_inside_takes_its_files_along(harness: Harness) -> None:
    put(harness.root, "old/a.mp4", "one")
    intake = harness.open()
    harness.until_ready(intake, "old/a.mp4")
    (harness.root / "old").rename(harness.root / "new")
    harness.until_ready(intake, "new/a.mp4")
    put(harness.root, "new/b.mp4", "two")
    harness.until_ready(intake, "new/a.mp4", "new/b.mp4")


class StarvedObserver(FolderObserver):
    """What the kernel answers when max_user_watches is reached, until it is raised."""

    starved = True

    def watch(self, folder: Path) -> bool:
        if type(self).starved:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return super().watch(folder)


def test_without_inotify_it_looks_often_and_logs_it_once(harness: Harness) -> None:
    intake = harness.open(observer=StarvedObserver)
    put(harness.root, "a.mp4", "one")
    harness.until_ready(intake, "a.mp4")
    put(harness.root, "b.mp4", "two")
    harness.until_ready(intake, "a.mp4", "b.mp4")
    assert len(harness.log) == 1
    assert "watches no more folders" in harness.log[0]
    StarvedObserver.starved = False
    harness.until(intake, lambda: len(harness.log) == 2, "the kernel watches again")


class SilentObserver(FolderObserver):
    """What a network file system does: it watches, and nothing comes."""

    def watch(self, folder: Path) -> bool:
        new = folder not in self._folders
        self._folders[folder] = None  # type: ignore[assignment]
        return new

    def unwatch(self, folder: Path) -> None:
        self._folders.pop(folder, None)


def test_lost_events_are_noticed_and_made_up_for(harness: Harness) -> None:
    intake = harness.open(
        settings=WatchSettings(settle=SETTLE, rescan=0.5, poll_interval=0.1),
        observer=SilentObserver,
    )
    put(harness.root, "a.mp4", "one")
    harness.until_ready(intake, "a.mp4")
    put(harness.root, "b.mp4", "two")
    harness.until_ready(intake, "a.mp4", "b.mp4")
    (line,) = harness.log
    assert "came without an event; scanning every 0.1 s" in line


def test_polling_asks_the_kernel_for_nothing(harness: Harness) -> None:
    intake = harness.open(
        settings=WatchSettings(settle=SETTLE, rescan=NEVER, poll=True, poll_interval=0.1),
        observer=StarvedObserver,
    )
    put(harness.root, "sub/a.mp4")
    harness.until_ready(intake, "sub/a.mp4")
    assert harness.log == []


UNREADABLE = """
import os, sys, time
from pathlib import Path
from streamcam.jobs.resources import OngoingConditions
from streamcam.config.schema import WatchSettings
from streamcam.jobs.intake import Intake
from streamcam.jobs.job_record import JobState
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import Selection, resolve_folders
home = Path(sys.argv[1])
os.setgid(65534); os.setuid(65534)
root = home / "in"
(root / "shut").mkdir(parents=True)
for name in ("shut/a.mp4", "shut.mp4", "open.mp4"): (root / name).write_text(name)
for name in ("shut", "shut.mp4"): (root / name).chmod(0)
log = []
store = JobStore(home / "state" / "store")
intake = Intake(resolve_folders([root], recursive=True),
                Selection(WatchSettings(settle=0.1, rescan=0.2, poll_interval=0.1)),
                store, OngoingConditions(log.append))
def until(*names):
    end = time.monotonic() + 20
    while {j.path.name for j in store.jobs([JobState.READY])} != set(names):
        assert time.monotonic() < end, log
        intake.tick(); time.sleep(0.02)
until("open.mp4")
for _ in range(30): intake.tick(); time.sleep(0.02)
assert sorted(s.partition(": ")[0].rpartition("/")[2] for s in log) == ["shut", "shut.mp4"], log
assert all("permission denied" in line for line in log), log
for name in ("shut", "shut.mp4"): (root / name).chmod(0o755)
until("open.mp4", "a.mp4", "shut.mp4")
assert sum("can be read again" in line for line in log) == 2, log
intake.stop()
store.close()
"""


def test_folders_and_files_without_permission_are_logged_once_and_picked_up(tmp_path: Path) -> None:
    """In a process of another user: root may read everything."""
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
