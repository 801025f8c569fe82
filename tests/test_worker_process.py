"""Worker processes: messages, the shared picture, killing one that hangs, the fork server."""

import math
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

from streamcam import worker_process
from streamcam.worker_process import SharedPicture, WorkerProcess
from tests.processes import (
    PATIENCE,
    alive,
    children_of,
    descriptors,
    eventually,
    parent_of,
    state_of,
)

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


@pytest.fixture
def own_fork_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start the test's workers by a fork server that no other test sees."""
    server = worker_process._ForkServer()
    monkeypatch.setattr(worker_process, "_fork_server", server)
    yield
    server.close()


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
        server = parent_of(pid)
        assert alive(pid)
        assert alive(server)
        assert server != parent.pid
        parent.kill()
    assert eventually(lambda: not alive(pid) and not alive(server))


def test_a_parent_that_ends_leaves_no_process() -> None:
    program = (
        "from streamcam.worker_process import WorkerProcess;"
        f" child = WorkerProcess({PROGRAMS!r}, {{'do': 'hang'}});"
        f" assert child.receive({PATIENCE}); print(child.pid)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert eventually(lambda: not alive(int(done.stdout)))


@pytest.mark.usefixtures("own_fork_server")
def test_the_children_die_with_the_fork_server_and_the_next_has_another() -> None:
    with child("hang") as first, child("wait") as second:
        answer(first)
        os.kill(parent_of(first.pid), signal.SIGKILL)
        for made in (first, second):
            assert made.ended(PATIENCE) == -signal.SIGKILL
            assert eventually(lambda made=made: not alive(made.pid))
        with child("wait") as third:
            answer(third)


@pytest.mark.usefixtures("own_fork_server")
def test_a_fork_server_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with child("wait") as first:
        answer(first)
        os.kill(parent_of(first.pid), signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(worker_process, "_START_SECONDS", 0.1)
            with pytest.raises(TimeoutError):
                WorkerProcess(PROGRAMS, {"do": "wait"})
        assert first.ended(PATIENCE) == -signal.SIGKILL
        with child("wait") as second:
            answer(second)


@pytest.mark.usefixtures("own_fork_server")
def test_a_fork_server_that_is_slow_keeps_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is slow, and does not hang, while it answers others."""
    with child("wait") as first:
        answer(first)
        server = parent_of(first.pid)
        os.kill(server, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(worker_process, "_START_SECONDS", 0.1)
            patch.setattr(worker_process._fork_server, "_answered", math.inf)
            with pytest.raises(TimeoutError):
                WorkerProcess(PROGRAMS, {"do": "wait"})
        os.kill(server, signal.SIGCONT)
        assert first.ended(0) is None
        with child("wait") as second:
            answer(second)
            assert parent_of(second.pid) == server
            assert eventually(lambda: children_of(server) == {first.pid, second.pid})


@pytest.mark.usefixtures("own_fork_server")
def test_a_fork_server_without_room_for_another_worker_serves_on() -> None:
    with child("wait") as first:
        answer(first)
        server = parent_of(first.pid)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(server, resource.RLIMIT_NOFILE, (1, limits[1]))
        with pytest.raises(ConnectionResetError):
            WorkerProcess(PROGRAMS, {"do": "wait"})
        resource.prlimit(server, resource.RLIMIT_NOFILE, limits)
        with child("wait") as second:
            answer(second)
            assert parent_of(second.pid) == server


@pytest.mark.parametrize(
    "module", ["streamcam.sources.live.capture_process", "streamcam.sinks.publish"]
)
@pytest.mark.usefixtures("own_fork_server")
def test_what_workers_import_starts_no_threads(module: str) -> None:
    """A process with threads must not fork: their locks would stay locked in the child."""
    made = WorkerProcess(module, {})
    server = worker_process._fork_server._process
    made.kill()
    assert server is not None
    assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1


def test_no_secret_is_in_the_list_of_processes() -> None:
    secret = "hunter2%40home"
    with child("wait", url=f"rtsp://admin:{secret}@cam/") as made:
        answer(made)
        process = Path(f"/proc/{made.pid}")
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        name = (process / "comm").read_text().strip()
    assert b"fork_server" in shown
    assert name == "worker_programs"
    assert b"hunter2" not in shown


@pytest.mark.usefixtures("own_fork_server")
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
    with child("wait") as first:
        answer(first)
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
