import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streamcam.jobs.arrivals import Arrivals, FileStatus, Settled
from streamcam.jobs.catalogue import Catalogue
from streamcam.jobs.database import Database
from streamcam.jobs.identity import Stat, identity_of
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.record import JobRecord, State


class Shelf:
    """A folder whose files are brought to the ledger by hand."""

    def __init__(self, root: Path, database: Database, *, clear: bool = False) -> None:
        self.root = root
        self.arrivals = Arrivals(database, clear=clear)
        self.ledger = Ledger(database)
        self.catalogue = Catalogue(database)
        root.mkdir(exist_ok=True)

    def put(self, name: str, content: str) -> Settled:
        (self.root / name).write_text(content)
        return self.settle(name)

    def sight(self, name: str) -> FileStatus:
        path = self.root / name
        return self.arrivals.sight(self.root, path, Stat.of(path.stat()))

    def settle(self, name: str) -> Settled:
        path = self.root / name
        self.sight(name)
        stems = [Path(name).stem, name, f"{name}~1"]
        return self.arrivals.settle(path, identity_of(path), stems)

    def explain(self, name: str) -> None:
        job = self.ledger.claim("me", [self.root], alone=True)
        assert job is not None
        assert job.path.name == name
        self.ledger.finish(job.id, "me", State.DONE, after=self.arrivals._clear)

    def job(self, name: str) -> JobRecord:
        return self.catalogue.find(str(self.root / name))


@pytest.fixture
def shelf(tmp_path: Path, database: Database) -> Shelf:
    return Shelf(tmp_path / "in", database)


def test_a_file_is_new_then_pending_then_known(shelf: Shelf) -> None:
    (shelf.root / "a.mp4").write_text("one")
    assert shelf.sight("a.mp4") is FileStatus.NEW
    assert shelf.sight("a.mp4") is FileStatus.PENDING
    assert shelf.settle("a.mp4") is Settled.READY
    assert shelf.sight("a.mp4") is FileStatus.KNOWN


def test_the_same_content_is_not_explained_twice(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    shelf.explain("a.mp4")
    os.utime(shelf.root / "a.mp4", (1, 1))
    assert shelf.sight("a.mp4") is FileStatus.CHANGED
    assert shelf.settle("a.mp4") is Settled.SAME
    assert shelf.sight("a.mp4") is FileStatus.KNOWN
    assert shelf.job("a.mp4").state is State.DONE


def test_changed_content_is_explained_again_in_place_of_the_old(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    shelf.explain("a.mp4")
    assert shelf.put("a.mp4", "two") is Settled.READY
    job = shelf.job("a.mp4")
    assert (job.state, job.stem, job.redo) == (State.READY, "a", True)


def test_a_renamed_file_keeps_its_job_and_its_results(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    shelf.explain("a.mp4")
    (shelf.root / "a.mp4").rename(shelf.root / "b.mp4")
    assert shelf.settle("b.mp4") is Settled.RENAMED
    job = shelf.job("b.mp4")
    assert (job.id, job.state, job.stem) == (1, State.DONE, "a")
    assert len(shelf.catalogue.jobs()) == 1
    assert shelf.put("a.mp4", "another") is Settled.READY
    assert shelf.job("a.mp4").stem == "a.mp4", "the results of the renamed file are safe"


def test_a_file_renamed_before_its_turn_is_explained_under_its_new_name(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    (shelf.root / "a.mp4").rename(shelf.root / "b.mp4")
    assert shelf.settle("b.mp4") is Settled.RENAMED
    assert (shelf.job("b.mp4").state, shelf.job("b.mp4").stem) == (State.READY, "b")


def test_a_file_renamed_while_it_runs_stays_the_owner_s(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    job = shelf.ledger.claim("me", [shelf.root], alone=True)
    assert job is not None
    (shelf.root / "a.mp4").rename(shelf.root / "b.mp4")
    assert shelf.settle("b.mp4") is Settled.RENAMED
    owned = shelf.ledger.owned(job.id, "me")
    assert owned is not None
    assert owned.path.name == "b.mp4"
    assert owned.identity == identity_of(shelf.root / "b.mp4")


def test_a_copy_is_a_job_of_its_own(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    assert shelf.put("b.mp4", "one") is Settled.READY
    os.link(shelf.root / "a.mp4", shelf.root / "c.mp4")
    assert shelf.settle("c.mp4") is Settled.READY


def test_a_running_job_is_not_disturbed(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    job = shelf.ledger.claim("me", [shelf.root], alone=True)
    assert job is not None
    assert shelf.put("a.mp4", "two") is Settled.BUSY
    shelf.ledger.give_back(job.id, "me", changed=True)
    assert shelf.settle("a.mp4") is Settled.READY


def test_twins_get_results_of_different_names(shelf: Shelf) -> None:
    for name in ("a.mp4", "a.mov", "a.mp4.avi"):
        shelf.put(name, name)
    stems = [job.stem for job in shelf.catalogue.jobs()]
    assert stems == ["a", "a.mov", "a.mp4"]
    shelf.put("a.mp4.mkv", "more")
    assert shelf.job("a.mp4.mkv").stem == "a.mp4.mkv"


def test_a_file_that_goes_away_before_it_is_whole_leaves_no_job(shelf: Shelf) -> None:
    (shelf.root / "a.mp4").write_text("one")
    shelf.sight("a.mp4")
    shelf.arrivals.drop(shelf.root / "a.mp4")
    assert shelf.catalogue.jobs() == []


@pytest.mark.parametrize("content", ["one", "two"])
def test_a_source_that_was_moved_away_may_come_again(
    tmp_path: Path, database: Database, content: str
) -> None:
    shelf = Shelf(tmp_path / "in", database, clear=True)
    shelf.put("a.mp4", "one")
    shelf.explain("a.mp4")
    (shelf.root / "a.mp4").unlink()
    shelf.ledger.after_over(1)
    again = shelf.put("a.mp4", content)
    assert again is (Settled.SAME if content == "one" else Settled.READY)
    assert bool(shelf.ledger.due([shelf.root])) is (content == "one")
    other = shelf.put("b.mp4", "one")
    assert other is Settled.READY, "we moved the first one ourselves: this is no rename"


@pytest.mark.parametrize("change", [Catalogue.retry, Catalogue.forget])
def test_running_jobs_can_be_neither_retried_nor_forgotten(
    shelf: Shelf, change: Callable[[Catalogue, JobRecord], bool]
) -> None:
    shelf.put("a.mp4", "one")
    shelf.ledger.claim("me", [shelf.root], alone=True)
    assert not change(shelf.catalogue, shelf.job("a.mp4"))
    shelf.ledger.finish(1, "me", State.FAILED, error="odd")
    assert change(shelf.catalogue, shelf.job("a.mp4"))


def test_a_retried_job_has_all_its_attempts_again(shelf: Shelf) -> None:
    shelf.put("a.mp4", "one")
    shelf.ledger.claim("me", [shelf.root], alone=True)
    shelf.ledger.finish(1, "me", State.FAILED, error="odd")
    shelf.catalogue.retry(shelf.job("a.mp4"))
    job = shelf.job("a.mp4")
    assert (job.state, job.attempts, job.redo, job.error) == (State.READY, 0, True, None)


def test_names_that_are_not_utf8_are_kept_as_they_are(shelf: Shelf) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.mp4")
    shelf.put(name, "one")
    (job,) = shelf.catalogue.jobs()
    assert job.path == shelf.root / name
    assert job.name.endswith("caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}.mp4")
