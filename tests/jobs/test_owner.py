import os
import subprocess
import sys

from streamcam.jobs.owner import is_gone, myself

TELL = "from streamcam.jobs.owner import myself; print(myself(), flush=True); input()"


def test_this_process_is_there() -> None:
    assert is_gone(myself()) is False


def test_another_process_is_there_until_it_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        owner = other.stdout.readline().strip()
        assert owner != myself()
        assert is_gone(owner) is False
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(owner), "a zombie counts as there"
        other.wait()
        assert is_gone(owner)


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    place, pid, started = myself().split(" ")
    assert is_gone(f"{place} {pid} {int(started) - 1}")


def test_nothing_is_known_of_processes_elsewhere() -> None:
    _, pid, started = myself().split(" ")
    assert is_gone(f"elsewhere/boot/pid:[1] {pid} {started}") is None
