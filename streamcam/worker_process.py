"""Worker processes for native code that may hang or crash: they can always be killed.

FFmpeg waits for networks and devices in places that no timeout reaches, and decodes untrusted data.
In a process of its own neither a hang nor a crash affects the rest. Parent and child exchange JSON
messages over a pair of sockets and share one picture in anonymous memory, so that nothing is left
behind however they end.
"""

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any, Self, TypeAlias

import numpy as np
import orjson

from streamcam.types import Picture

Message: TypeAlias = dict[str, Any]

_MAX_MESSAGE_BYTES = 1 << 16

# SIGKILL takes milliseconds, more than 2 s with eight busy processes per core, and never ends a
# process that hangs inside the kernel (a dead disk or camera): that one is left to the kernel.
_KILL_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1


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


class WorkerProcess:
    """The parent's end: a running child, its messages and the shared picture.

    One thread owns it; `interrupt` may be called from any. The child ends with the thread that
    started it, which the kernel treats as its parent.

    Args:
        module: Is run by the child, e.g. "streamcam.sources.live.capture_process"; it calls
            `ParentProcess.connect`.
        task: The first message. It may hold passwords, since no list of processes shows it.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self, module: str, task: Mapping[str, Any]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undo:
            undo.callback(self._socket.close)
            self.send(task)
            memory = os.memfd_create("streamcam picture")
            self.picture = SharedPicture(memory)
            undo.callback(self.picture.close)
            self._process = _start(module, theirs.fileno(), memory)
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

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
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._socket.close()
        self.picture.close()
        return self._process.returncode

    def ended(self, timeout: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None


class ParentProcess:
    """The child's end. Methods raise OSError or EOFError once the parent has ended."""

    def __init__(self, channel: socket.socket, picture: SharedPicture) -> None:
        self._socket = channel
        self.picture = picture
        task = self.receive(None)
        assert task is not None
        self.task: Message = task

    @classmethod
    def connect(cls) -> Self:
        """Connect to the parent that started this process, and end when it ends."""
        channel, memory, parent = (int(word) for word in sys.argv[1:4])
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        return cls(socket.socket(fileno=channel), SharedPicture(memory))

    def send(self, message: Mapping[str, Any]) -> None:
        self._socket.send(orjson.dumps(message))

    def receive(self, timeout: float | None) -> Message | None:
        """Return the next message, None after `timeout` seconds (None: no limit) without one."""
        return _receive(self._socket, timeout)


def _start(module: str, channel: int, memory: int) -> subprocess.Popen[bytes]:
    # Without -P a user's own av.py or token.py in the current folder would shadow the real one;
    # the child imports from where the parent does.
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", module, str(channel), str(memory), str(os.getpid())],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        pass_fds=(channel, memory),
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
            content = channel.recv(_MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            # Raised once, before the messages received until then, where the other end closed
            # with unread messages of ours.
            content = channel.recv(_MAX_MESSAGE_BYTES)
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
