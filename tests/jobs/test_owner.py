import faulthandler
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.jobs.owner import (
    crash_log,
    crash_of,
    has_ended,
    remove_old_crash_logs,
    this_process,
)

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
        owner = other.stdout.readline().strip()
        assert owner != this_process()
        assert has_ended(owner) is False
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(owner), "a zombie counts as there"
        other.wait()
        assert has_ended(owner)


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
    owner = done.stdout.strip()
    assert crash_of(tmp_path, owner) == trace
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
