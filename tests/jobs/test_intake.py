"""Real files in real folders, through the kernel's own events."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamcam.jobs.arrivals import Arrivals
from streamcam.jobs.catalogue import Catalogue
from streamcam.jobs.conditions import OngoingConditions
from streamcam.jobs.database import Database
from streamcam.jobs.folders import Selection, resolve_folders
from streamcam.jobs.identity import identity_of, is_being_written
from streamcam.jobs.intake import Intake, Schedule
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.observer import FolderObserver
from streamcam.jobs.record import State
from tests.jobs.conftest import PATIENCE, eventually

SETTLE = 0.15
NEVER = 3600.0
BY_EVENTS = Schedule(SETTLE, NEVER, 0.1)


class Door:
    """A folder, its intake, and what that says."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.said: list[str] = []
        self.changed: list[Path] = []
        self.ledger = Ledger(database)
        self._database = database
        self._catalogue = Catalogue(database)
        self._intakes: list[Intake] = []
        root.mkdir(exist_ok=True)

    def open(
        self,
        *,
        rhythm: Schedule = BY_EVENTS,
        selection: Selection | None = None,
        observer: Callable[..., FolderObserver] = FolderObserver,
    ) -> Intake:
        """Begin to watch, and look once."""
        intake = Intake(
            resolve_folders([self.root], recursive=True),
            selection or Selection(),
            rhythm,
            Arrivals(self._database, clear=False),
            OngoingConditions(self.said.append),
            on_change=self.changed.append,
            observer=observer,
        )
        self._intakes.append(intake)
        intake.tick()
        return intake

    def close(self) -> None:
        for intake in self._intakes:
            intake.stop()

    def names(self, *states: State) -> set[str]:
        jobs = self._catalogue.jobs(states)
        return {os.path.relpath(job.path, self.root) for job in jobs}

    def until(self, intake: Intake, condition: Callable[[], object], what: str) -> None:
        def look() -> object:
            intake.tick()
            return condition()

        eventually(look, f"{what}; ready: {self.names(State.READY)}; said: {self.said}")

    def until_ready(self, intake: Intake, *names: str) -> None:
        self.until(intake, lambda: self.names(State.READY) == set(names), f"{names} ready")

    def rest(self, intake: Intake, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            intake.tick()
            time.sleep(0.02)


@pytest.fixture
def door(tmp_path: Path, database: Database) -> Iterator[Door]:
    door = Door(tmp_path / "in", database)
    yield door
    door.close()


def put(root: Path, name: str, content: str = "whole") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_what_is_there_and_what_comes_is_taken(door: Door) -> None:
    put(door.root, "before.mp4")
    intake = door.open()
    put(door.root, "after.mp4")
    door.until_ready(intake, "before.mp4", "after.mp4")
    assert intake.waiting == 0
    assert door.said == []


@pytest.mark.parametrize("reopened", [False, True])
def test_a_slow_copy_with_pauses_is_taken_when_it_is_whole(door: Door, *, reopened: bool) -> None:
    """The pauses are longer than settling while the file is open, shorter where it is closed."""
    intake = door.open()
    path = door.root / "slow.mp4"
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
        door.rest(intake, SETTLE * (0.5 if reopened else 2))
        assert door.names(State.READY) == set()
        if reopened:
            file = path.open("ab")
    file.close()
    door.until_ready(intake, "slow.mp4")
    (job,) = Catalogue(door._database).jobs()
    assert job.identity is not None
    assert job.identity.stat.size == 4000


def test_temporary_names_wait_until_they_are_renamed(door: Door) -> None:
    intake = door.open()
    for name in ("a.mp4.part", ".b.mp4", "c.mp4~", "d.tmp"):
        put(door.root, name)
    door.rest(intake, 2 * SETTLE)
    assert door.names() == set()
    (door.root / "a.mp4.part").rename(door.root / "a.mp4")
    (door.root / ".b.mp4").rename(door.root / "b.mp4")
    door.until_ready(intake, "a.mp4", "b.mp4")


def test_moved_in_linked_in_and_trees_moved_in(door: Door, tmp_path: Path) -> None:
    intake = door.open()
    put(tmp_path, "moved.mp4", "moved").rename(door.root / "moved.mp4")
    os.link(put(tmp_path, "linked.mp4", "linked"), door.root / "linked.mp4")
    for name in ("tree/1.mp4", "tree/a/2.mp4", "tree/a/b/3.mp4"):
        put(tmp_path, name, name)
    (tmp_path / "tree").rename(door.root / "tree")
    tree = {"tree/1.mp4", "tree/a/2.mp4", "tree/a/b/3.mp4"}
    door.until_ready(intake, "moved.mp4", "linked.mp4", *tree)
    put(door.root, "tree/a/b/4.mp4", "late")
    door.until_ready(intake, "moved.mp4", "linked.mp4", *tree, "tree/a/b/4.mp4")
    assert door.said == []


def test_a_tree_that_is_copied_in_is_taken_whole(door: Door, tmp_path: Path) -> None:
    intake = door.open()
    names = {f"tree/{a}/{b}/{c}.mp4" for a in "abc" for b in "de" for c in "fgh"}
    for name in names:
        put(tmp_path, name, name)
    copying = threading.Thread(target=shutil.copytree, args=(tmp_path / "tree", door.root / "tree"))
    copying.start()
    door.until_ready(intake, *names)
    copying.join()
    assert door.said == []


def test_a_thousand_files_at_once(door: Door) -> None:
    intake = door.open()
    names = {f"{number:04}.mp4" for number in range(1000)}
    for name in sorted(names):
        put(door.root, name, name)
    door.until_ready(intake, *names)
    assert intake.waiting == 0


def test_odd_names(door: Door) -> None:
    intake = door.open()
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
        put(door.root, name, repr(name))
    door.until_ready(intake, *names)


def test_fifos_loops_and_dangling_links_are_passed_by(door: Door) -> None:
    intake = door.open()
    os.mkfifo(door.root / "fifo.mp4")
    (door.root / "loop.mp4").symlink_to("loop.mp4")
    (door.root / "up").symlink_to(door.root, target_is_directory=True)
    put(door.root, "real.mp4")
    door.until_ready(intake, "real.mp4")
    door.rest(intake, 2 * SETTLE)
    assert door.names() == {"real.mp4"}
    assert intake.waiting == 0


def test_a_file_overwritten_while_its_job_runs_is_reported_and_taken_again(door: Door) -> None:
    path = put(door.root, "a.mp4", "one")
    intake = door.open()
    door.until_ready(intake, "a.mp4")
    job = door.ledger.claim("me", [door.root], alone=True)
    assert job is not None
    path.write_text("two")
    door.until(intake, lambda: door.changed == [path], "told that it changed")
    door.ledger.give_back(job.id, "me", changed=True)
    door.until_ready(intake, "a.mp4")
    again = door.ledger.claim("me", [door.root], alone=True)
    assert again is not None
    assert again.identity == identity_of(path)


def test_a_file_that_only_appeared_for_a_moment_leaves_nothing(door: Door) -> None:
    intake = door.open()
    path = put(door.root, "a.mp4")
    door.until(intake, lambda: door.names() == {"a.mp4"}, "found")
    path.unlink()
    door.until(intake, lambda: door.names() == set(), "forgotten")


def test_results_inside_the_watched_folder_are_no_inputs(door: Door) -> None:
    intake = door.open(selection=Selection(ignored=[door.root / "out"]))
    put(door.root, "out/cam/new.mp4")
    put(door.root, "a.heatmap.mp4")
    put(door.root, "a.mp4")
    door.until_ready(intake, "a.mp4")
    door.rest(intake, 2 * SETTLE)
    assert door.names() == {"a.mp4"}


def test_a_folder_that_vanishes_and_comes_back_is_said_once_each(door: Door) -> None:
    put(door.root, "a.mp4", "one")
    intake = door.open(rhythm=Schedule(SETTLE, 0.2, 0.1))
    door.until_ready(intake, "a.mp4")
    aside = door.root.rename(door.root.with_name("aside"))
    door.until(intake, lambda: door.said, "said that it is gone")
    door.rest(intake, 0.5)
    assert len(door.said) == 1
    assert "cannot be read now: no such file or directory" in door.said[0]
    put(aside, "b.mp4", "two")
    aside.rename(door.root)
    door.until_ready(intake, "a.mp4", "b.mp4")
    assert len(door.said) == 2
    assert "can be read again" in door.said[1]
    put(door.root, "c.mp4", "three")
    door.until_ready(intake, "a.mp4", "b.mp4", "c.mp4")
    assert len(door.said) == 2


def test_a_folder_that_is_replaced_is_watched_again(door: Door) -> None:
    intake = door.open(rhythm=Schedule(SETTLE, 0.2, 0.1))
    shutil.rmtree(door.root)
    door.root.mkdir()
    door.rest(intake, 0.5)
    put(door.root, "a.mp4")
    door.until_ready(intake, "a.mp4")


def test_a_folder_renamed_inside_takes_its_files_along(door: Door) -> None:
    put(door.root, "old/a.mp4", "one")
    intake = door.open()
    door.until_ready(intake, "old/a.mp4")
    (door.root / "old").rename(door.root / "new")
    door.until_ready(intake, "new/a.mp4")
    put(door.root, "new/b.mp4", "two")
    door.until_ready(intake, "new/a.mp4", "new/b.mp4")


class StarvedObserver(FolderObserver):
    """What the kernel answers when max_user_watches is reached, until it is raised."""

    starved = True

    def watch(self, folder: Path) -> bool:
        if type(self).starved:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return super().watch(folder)


def test_without_inotify_it_looks_often_and_says_so_once(door: Door) -> None:
    intake = door.open(observer=StarvedObserver)
    put(door.root, "a.mp4", "one")
    door.until_ready(intake, "a.mp4")
    put(door.root, "b.mp4", "two")
    door.until_ready(intake, "a.mp4", "b.mp4")
    assert len(door.said) == 1
    assert "watches no more folders" in door.said[0]
    StarvedObserver.starved = False
    door.until(intake, lambda: len(door.said) == 2, "the kernel watches again")


class DeafObserver(FolderObserver):
    """What a network file system does: it watches, and nothing comes."""

    def watch(self, folder: Path) -> bool:
        new = folder not in self._watches
        self._watches[folder] = None  # type: ignore[assignment]
        return new

    def unwatch(self, folder: Path) -> None:
        self._watches.pop(folder, None)


def test_lost_events_are_noticed_and_made_up_for(door: Door) -> None:
    intake = door.open(rhythm=Schedule(SETTLE, 0.5, 0.1), observer=DeafObserver)
    put(door.root, "a.mp4", "one")
    door.until_ready(intake, "a.mp4")
    put(door.root, "b.mp4", "two")
    door.until_ready(intake, "a.mp4", "b.mp4")
    (line,) = door.said
    assert "came without an event; looking every 0.1 s" in line


def test_polling_asks_the_kernel_for_nothing(door: Door) -> None:
    intake = door.open(rhythm=Schedule(SETTLE, NEVER, 0.1, events=False), observer=StarvedObserver)
    put(door.root, "sub/a.mp4")
    door.until_ready(intake, "sub/a.mp4")
    assert door.said == []


UNREADABLE = """
import sys, time
from pathlib import Path
from streamcam.jobs.arrivals import Arrivals
from streamcam.jobs.catalogue import Catalogue
from streamcam.jobs.database import Database
from streamcam.jobs.folders import Selection, resolve_folders
from streamcam.jobs.intake import Intake, Schedule
from streamcam.jobs.record import State
from streamcam.jobs.conditions import OngoingConditions
import os
home = Path(sys.argv[1])
os.setgid(65534); os.setuid(65534)
root = home / "in"
(root / "shut").mkdir(parents=True)
for name in ("shut/a.mp4", "shut.mp4", "open.mp4"): (root / name).write_text(name)
for name in ("shut", "shut.mp4"): (root / name).chmod(0)
said = []
database = Database(home / "state" / "ledger")
intake = Intake(resolve_folders([root], recursive=True), Selection(), Schedule(0.1, 0.2, 0.1),
                Arrivals(database, clear=False), OngoingConditions(said.append))
def until(*names):
    end = time.monotonic() + 20
    while {j.path.name for j in Catalogue(database).jobs([State.READY])} != set(names):
        assert time.monotonic() < end, said
        intake.tick(); time.sleep(0.02)
until("open.mp4")
for _ in range(30): intake.tick(); time.sleep(0.02)
assert sorted(s.partition(": ")[0].rpartition("/")[2] for s in said) == ["shut", "shut.mp4"], said
assert all("permission denied" in line for line in said), said
for name in ("shut", "shut.mp4"): (root / name).chmod(0o755)
until("open.mp4", "a.mp4", "shut.mp4")
assert sum("can be read again" in line for line in said) == 2, said
intake.stop()
database.close()
"""


def test_folders_and_files_without_permission_are_said_once_and_picked_up(tmp_path: Path) -> None:
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
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
