"""Worker processes for native code that may hang or crash: they can always be killed.

FFmpeg waits for networks and devices in places that no timeout reaches, and decodes untrusted data.
In a process of its own neither a hang nor a crash affects the rest. Parent and child exchange JSON
messages over a pair of sockets and share one picture in anonymous memory, so that nothing is left
behind however they end. All children are forked by one process, `fork_server`.
"""

import atexit
import errno
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any, TypeAlias

import numpy as np
import orjson

from streamcam.types import Picture

Message: TypeAlias = dict[str, Any]

MAX_MESSAGE_BYTES = 1 << 16

# SIGKILL takes milliseconds, more than 2 s with eight busy processes per core, and never ends a
# process that hangs inside the kernel (a dead disk or camera): that one is left to the kernel.
_KILL_SECONDS = 10.0

# The first worker waits while the fork server imports, 0.3 s on an idle PC, and a fork takes 10 ms;
# both take fifty times as long with fifty busy processes per core.
_START_SECONDS = 60.0


class SharedPicture:
    """One picture in anonymous memory that two processes share, which must take turns."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def put(self, picture: Picture) -> None:
        if os.fstat(self._descriptor).st_size < picture.nbytes:
            os.ftruncate(self._descriptor, picture.nbytes)
        memory = self._mapped(picture.nbytes)
        np.copyto(np.frombuffer(memory, np.uint8, picture.nbytes).reshape(picture.shape), picture)

    def get(self, width: int, height: int) -> Picture:
        """Return a copy of the picture; raises ValueError where the memory holds less."""
        size = width * height * 3
        if os.fstat(self._descriptor).st_size < size:
            raise ValueError(f"no picture of {width}x{height} pixels is shared")
        pixels = np.frombuffer(self._mapped(size), np.uint8, size)
        return pixels.reshape(height, width, 3).copy()

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _mapped(self, size: int) -> mmap.mmap:
        if self._memory is None or len(self._memory) < size:
            if self._memory is not None:
                self._memory.close()
            self._memory = mmap.mmap(self._descriptor, os.fstat(self._descriptor).st_size)
        return self._memory


class _ForkServer:
    """The parent's end of `fork_server`; the first worker starts it, and again should it have died.

    May be used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = 0.0

    def start(self, module: str, messages: int, picture: int) -> tuple[socket.socket, int]:
        """Return the control socket of a new worker, and its process; raises OSError."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as undo:
            undo.callback(control.close)
            with theirs, self._lock:
                requests = self._running()
                descriptors = (messages, picture, theirs.fileno())
                socket.send_fds(requests, [module.encode()], descriptors)
            pid = self._answer(control)
            undo.pop_all()
        return control, pid

    def close(self) -> None:
        """End it, and with it all workers."""
        with self._lock:
            if self._requests is not None:
                self._requests.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._requests = self._process = None

    def _running(self) -> socket.socket:
        if self._requests is not None and self._process is not None:
            if self._process.poll() is None:
                return self._requests
            self._requests.close()
            self._requests = None
        requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undo:
            undo.callback(requests.close)
            self._process = _run_fork_server(theirs.fileno())
            undo.pop_all()
        self._requests = requests
        self._answered = time.monotonic()
        return requests

    def _answer(self, control: socket.socket) -> int:
        try:
            answer = _receive(control, _START_SECONDS)
        except EOFError:
            raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None
        if answer is None:
            # One that answers others is busy, and has readers that run.
            if time.monotonic() - self._answered >= _START_SECONDS:
                self.close()
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        self._answered = time.monotonic()
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        pid: int = answer["pid"]
        return pid


_fork_server = _ForkServer()
atexit.register(_fork_server.close)


class WorkerProcess:
    """The parent's end: a running child, its messages and the shared picture.

    One thread owns it; `interrupt` may be called from any. The child ends with its parent at the
    latest.

    Args:
        module: Its function `main` is called in the child with a `ParentProcess`; for example
            "streamcam.sources.live.capture_process".
        task: The first message. It may hold passwords, since no list of processes shows it.

    Attributes:
        pid: The child's process.
        picture: The shared picture.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self, module: str, task: Mapping[str, Any]) -> None:
        self._status: int | None = None
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undo:
            undo.callback(self._socket.close)
            self.send(task)
            memory = os.memfd_create("streamcam picture")
            self.picture = SharedPicture(memory)
            undo.callback(self.picture.close)
            self._control, self.pid = _fork_server.start(module, theirs.fileno(), memory)
            undo.pop_all()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; one that a dead child cannot take is lost."""
        with suppress(OSError):
            self._socket.send(orjson.dumps(message))

    def receive(self, timeout: float) -> Message | None:
        """Return the next message, or None after `timeout` seconds without one.

        Raises:
            EOFError: The child has ended, or `interrupt` was called.
        """
        return _receive(self._socket, timeout)

    def interrupt(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> int | None:
        """Kill the child and release all that belongs to it. Idempotent.

        Returns:
            Its exit status, as in `subprocess`: below zero a signal's number, -SIGKILL when it
            had to be killed; None for one that hangs in the kernel and was left behind.
        """
        if self._control.fileno() < 0:
            return self._status
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        status = self.ended(_KILL_SECONDS)
        self._socket.close()
        self._control.close()
        self.picture.close()
        return status

    def ended(self, timeout: float) -> int | None:
        """Return the child's exit status; None where it runs on for `timeout` seconds."""
        if self._status is None:
            try:
                message = _receive(self._control, timeout)
            except EOFError:
                # The fork server has ended, and its children with it.
                message = {"status": -signal.SIGKILL}
            self._status = None if message is None else message["status"]
        return self._status


class ParentProcess:
    """The child's end. Methods raise OSError or EOFError once the parent has ended."""

    def __init__(self, channel: socket.socket, picture: SharedPicture) -> None:
        self._socket = channel
        self.picture = picture
        task = self.receive(None)
        assert task is not None
        self.task: Message = task

    def send(self, message: Mapping[str, Any]) -> None:
        self._socket.send(orjson.dumps(message))

    def receive(self, timeout: float | None) -> Message | None:
        """Return the next message, None after `timeout` seconds (None: no limit) without one."""
        return _receive(self._socket, timeout)


def _run_fork_server(requests: int) -> subprocess.Popen[bytes]:
    # Without -P a user's own av.py or token.py in the current folder would shadow the real one;
    # the child imports from where the parent does. NumPy would start threads, and only a process
    # that has none may fork.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "streamcam.fork_server", str(requests)],
        env=os.environ | environment,
        pass_fds=(requests,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C on a terminal goes to the parent alone, which ends its children.
        process_group=0,
    )


def _receive(channel: socket.socket, timeout: float | None) -> Message | None:
    channel.settimeout(timeout)
    try:
        try:
            content = channel.recv(MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            # Raised once, before the messages received until then, where the other end closed
            # with unread messages of ours.
            content = channel.recv(MAX_MESSAGE_BYTES)
    except (TimeoutError, BlockingIOError):
        return None
    except OSError as error:
        raise EOFError from error
    finally:
        with suppress(OSError):
            channel.settimeout(None)
    if not content:
        raise EOFError
    message: Message = orjson.loads(content)
    return message
