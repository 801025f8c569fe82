import faulthandler
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.jobs import owner
from streamcam.jobs.job_record import JobState
from streamcam.jobs.owner import (
    crash_log,
    crash_of,
    has_ended,
    killed_for_memory,
    remove_old_crash_logs,
    this_process,
)
from streamcam.jobs.store import JobStore
from tests.jobs.conftest import arrive

PRINT_OWNER = (
    "from streamcam.jobs.owner import this_process; print(this_process(), flush=True); input()"
)

CRASH = """
import faulthandler, sys
from pathlib import Path
from streamcam.jobs.owner import crash_log, this_process
with crash_log(Path(sys.argv[1]), this_process()):
    print(this_process(), flush=True)
    {}
"""


def test_this_process_is_there() -> None:
    assert has_ended(this_process()) is False


def test_another_process_is_there_until_it_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINT_OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert name != this_process()
        assert has_ended(name) is False
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(name), "a zombie counts as there"
        other.wait()
        assert has_ended(name)


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    place, pid, started = this_process().split(" ")
    assert has_ended(f"{place} {pid} {int(started) - 1}")


def test_nothing_is_known_of_processes_elsewhere() -> None:
    _, pid, started = this_process().split(" ")
    assert has_ended(f"elsewhere/boot/pid:[1] {pid} {started}") is None


@pytest.mark.parametrize(
    ("end", "trace"),
    [
        ("faulthandler._sigsegv()", "Segmentation fault"),
        ("faulthandler._sigabrt()", "Aborted"),
        ("import os; os.kill(os.getpid(), 9)", None),
        ("pass", None),
    ],
)
def test_a_crash_leaves_its_name_and_a_kill_leaves_none(
    tmp_path: Path, end: str, trace: str | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(end), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    name = done.stdout.strip()
    assert crash_of(tmp_path, name) == trace
    remove_old_crash_logs(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_crash_logs_of_living_processes_stay(tmp_path: Path) -> None:
    was_enabled = faulthandler.is_enabled()
    with crash_log(tmp_path, this_process()):
        remove_old_crash_logs(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    if was_enabled:
        faulthandler.enable()


GONE = f"{this_process().rpartition(' ')[0]} 1"


def test_a_file_that_takes_all_memory_is_set_aside_after_two_deaths(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's count of such kills tells them from others, of which many are allowed."""
    counters = tmp_path / "vmstat"
    monkeypatch.setattr(owner, "_KERNEL_COUNTERS", counters)
    arrive(store, tmp_path, "a")
    outcomes = []
    for before, after in ((7, 7), (7, 8), (8, 8), (8, 10)):
        counters.write_text(f"nr_free_pages 10\noom_kill {before}\n")
        assert store.claim(GONE, [tmp_path], alone=True) is not None
        store.heartbeat(GONE)
        counters.write_text(f"nr_free_pages 10\noom_kill {after}\n")
        store.recover(lambda _: None, max_attempts=3)
        job = store.find("1")
        outcomes.append((job.state, job.kills, job.crashes))
    assert outcomes == [
        (JobState.READY, 1, 0),
        (JobState.READY, 1, 1),
        (JobState.READY, 2, 1),
        (JobState.FAILED, 2, 2),
    ]
    assert job.error is not None
    assert "2 times" in job.error
    assert "memory ran out" in job.error


@pytest.mark.parametrize(
    ("counters", "name"),
    [(None, GONE), ("nr_free_pages 9\n", GONE), ("oom_kill 9\n", "far 1 1")],
    ids=["none", "no count", "another machine's"],
)
def test_without_a_count_of_this_machine_nothing_is_taken_for_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counters: str | None, name: str
) -> None:
    path = tmp_path / "vmstat"
    monkeypatch.setattr(owner, "_KERNEL_COUNTERS", path)
    if counters is not None:
        path.write_text(counters)
    assert not killed_for_memory(name, before=3)
