"""Worker processes: messages, the shared picture, and killing one that hangs."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamcam.worker_process import SharedPicture, WorkerProcess
from tests.processes import PATIENCE, alive, descriptors, eventually, state_of

PROGRAMS = "tests.worker_programs"


@contextmanager
def child(do: str, **task: Any) -> Iterator[WorkerProcess]:
    made = WorkerProcess(PROGRAMS, {"do": do, **task})
    try:
        yield made
    finally:
        made.kill()


def answer(made: WorkerProcess) -> dict[str, Any]:
    message = made.receive(PATIENCE)
    assert message is not None, "the child does not answer"
    return message


def test_messages_go_both_ways_in_their_order() -> None:
    with child("echo", words="füße") as made:
        for number in range(20):
            made.send({"number": number, "time": number / 3})
        assert [answer(made) for _ in range(20)] == [
            {"number": number, "time": number / 3} for number in range(20)
        ]
        assert made.receive(0) is None
        made.send({"enough": True})
        assert answer(made) == {"do": "echo", "words": "füße"}
        with pytest.raises(EOFError):
            made.receive(PATIENCE)
        assert made.ended(PATIENCE) == 0


def test_pictures_of_growing_and_shrinking_size() -> None:
    with child("paint") as made:
        for shape, colour in (
            ((4, 6, 3), (1, 2, 3)),
            ((480, 640, 3), (250, 0, 7)),
            ((2, 2, 3), (9, 8, 7)),
            ((1080, 1920, 3), (5, 6, 255)),
        ):
            made.send({"shape": shape, "colour": colour})
            answer(made)
            picture = made.picture.get(shape[1], shape[0])
            assert picture.shape == shape
            assert picture.dtype == np.uint8
            assert np.array_equal(picture, np.full(shape, colour, np.uint8))


def test_a_picture_is_a_copy_and_never_more_than_is_there() -> None:
    shared = SharedPicture(os.memfd_create("picture"))
    with pytest.raises(ValueError, match="no picture of 4x2 pixels"):
        shared.get(4, 2)
    shared.put(np.full((2, 4, 3), 7, np.uint8))
    first = shared.get(4, 2)
    shared.put(np.full((2, 4, 3), 8, np.uint8))
    assert (first == 7).all()
    with pytest.raises(ValueError, match="no picture of 5x2 pixels"):
        shared.get(5, 2)
    # Rows that do not lie one behind the other, as of a picture that was cut out or mirrored.
    tilted = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1]
    shared.put(tilted)
    assert np.array_equal(shared.get(4, 2), tilted)
    shared.close()
    shared.close()


def test_a_hang_in_native_code_is_killed() -> None:
    with child("hang") as made:
        answer(made)
        assert made.ended(0) is None
        made.interrupt()  # which it does not hear
        assert made.kill() == -signal.SIGKILL
        assert state_of(made.pid) == ""
        assert made.kill() == -signal.SIGKILL


def test_one_that_is_stopped_is_killed_too() -> None:
    with child("wait") as made:
        answer(made)
        os.kill(made.pid, signal.SIGSTOP)
        assert eventually(lambda: state_of(made.pid) == "T")
        assert made.kill() == -signal.SIGKILL


def test_a_crash_is_reported_after_the_messages_before_it() -> None:
    with child("crash") as made:
        assert answer(made) == {"done": True}
        with pytest.raises(EOFError):
            made.receive(PATIENCE)
        assert made.ended(PATIENCE) == -signal.SIGSEGV
        made.send({"lost": True})
        assert made.kill() == -signal.SIGSEGV


def test_a_module_that_cannot_run_ends() -> None:
    made = WorkerProcess("tests.no_such_program", {})
    with pytest.raises(EOFError):
        made.receive(PATIENCE)
    assert made.kill() == 1


def test_interruption_wakes_who_waits_and_lets_the_child_leave() -> None:
    with child("wait") as made:
        answer(made)
        timer = threading.Timer(0.05, made.interrupt)
        timer.start()
        with pytest.raises(EOFError):
            made.receive(PATIENCE)
        timer.join()
        assert made.ended(PATIENCE) is not None


def test_the_child_dies_with_a_parent_that_is_killed() -> None:
    program = (
        "import sys, time; from streamcam.worker_process import WorkerProcess;"
        f" child = WorkerProcess({PROGRAMS!r}, {{'do': 'hang'}});"
        f" assert child.receive({PATIENCE}); print(child.pid, flush=True); time.sleep(1000)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert eventually(lambda: not alive(pid))


def test_the_child_dies_with_the_thread_that_made_it() -> None:
    made: list[WorkerProcess] = []

    def make() -> None:
        made.append(WorkerProcess(PROGRAMS, {"do": "hang"}))
        answer(made[0])

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made[0].ended(PATIENCE) == -signal.SIGKILL
    made[0].kill()


def test_no_secret_is_in_the_list_of_processes() -> None:
    secret = "hunter2%40home"
    with child("wait", url=f"rtsp://admin:{secret}@cam/") as made:
        answer(made)
        process = Path(f"/proc/{made.pid}")
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert PROGRAMS.encode() in shown
    assert b"hunter2" not in shown


def test_a_file_in_the_current_folder_is_not_taken_for_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orjson.py").write_text("raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    with child("wait") as made:
        answer(made)


def test_many_children_leave_nothing_behind() -> None:
    with child("wait") as first:
        answer(first)
    before = descriptors()
    pids = []
    for number in range(20):
        with child("paint") as made:
            pids.append(made.pid)
            if number % 5 == 0:
                made.send({"shape": (480, 640, 3), "colour": 1})
                answer(made)
                made.picture.get(640, 480)
    assert descriptors() == before
    assert not any(state_of(pid) for pid in pids)


def test_a_child_that_cannot_be_started_leaves_nothing_behind() -> None:
    """Neither where no descriptor is left, nor where the task cannot be sent."""
    before = descriptors()
    with pytest.raises(TypeError):
        WorkerProcess(PROGRAMS, {"do": "wait", "url": "\udcff"})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for room in range(6):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + room, hard))
        try:
            with child("wait"):
                pass
        except OSError:
            pass
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors() == before
