"""Starts worker processes by forking itself; `worker_process` runs it as a process of its own.

It has imported what the workers need: that takes a camera's reader 0.25 s of CPU time and 28 MB, a
fork 10 ms and 5 MB. With many cameras to start or to connect again this is the larger part.

Requests come through a socket: a module's name, with three descriptors: the worker's messages, its
picture, and a control socket. Through that the server answers {"pid": 12}, or {"errno": 11} where
it cannot fork, and in the end {"status": -9}, as in `subprocess`. It kills the worker when the
parent shuts the control socket down. All workers end with the server, and it with the parent.
"""

import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import NoReturn

import orjson

from streamcam.worker_process import MAX_MESSAGE_BYTES, ParentProcess, SharedPicture

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


class ForkServer:
    """Forks workers and tells the parent how they end; in one thread, as forking demands.

    It waits for no worker: one that hangs holds up no other.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._pid = os.getpid()
        self._requests = requests
        self._controls: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeups, self._signals = socket.socketpair()
        self._watch(requests, self._accept)
        self._watch(self._wakeups, self._reap)

    def run(self) -> NoReturn:
        """Serve until the parent has ended; the workers end with this process."""
        self._signals.setblocking(False)
        signal.set_wakeup_fd(self._signals.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _watch(self, readable: socket.socket, handle: Callable[[], None]) -> None:
        self._selector.register(readable, selectors.EVENT_READ, handle)

    def _accept(self) -> None:
        request, descriptors, *_ = socket.recv_fds(self._requests, MAX_MESSAGE_BYTES, 3)
        if not request:
            sys.exit()
        # They are fewer where this process may open no more; the parent sees its end closed.
        if len(descriptors) == 3:
            messages, picture, control = descriptors
            self._start(request.decode(), messages, picture, socket.socket(fileno=control))
            descriptors = [messages, picture]
        for descriptor in descriptors:
            os.close(descriptor)

    def _start(self, module: str, messages: int, picture: int, control: socket.socket) -> None:
        # What cannot be imported here cannot be by the worker either, which then ends.
        with suppress(Exception):
            import_module(module)
        gc.freeze()  # the collector would write to all pages, which then are no longer shared
        try:
            pid = os.fork()
        except OSError as error:
            with control:
                _tell(control, {"errno": error.errno or 0})
            return
        if pid == 0:
            control.close()
            self._work(module, messages, picture)
        self._controls[pid] = control
        self._watch(control, partial(self._kill, pid, control))
        _tell(control, {"pid": pid})

    def _kill(self, pid: int, control: socket.socket) -> None:
        # One that has been waited for has lost its number to others.
        if self._controls.get(pid) is control:
            self._selector.unregister(control)
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._wakeups.recv(1024)
        while self._controls:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._controls.pop(pid) as control:
                with suppress(KeyError):
                    self._selector.unregister(control)
                _tell(control, {"status": os.waitstatus_to_exitcode(status)})

    def _work(self, module: str, messages: int, picture: int) -> NoReturn:
        """Run a worker, in its own process, to its end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _end_with_parent(self._pid)
            _set_name(module)
            self._close()
            parent = ParentProcess(socket.socket(fileno=messages), SharedPicture(picture))
            import_module(module).main(parent)
            code = 0
        finally:
            os._exit(code)

    def _close(self) -> None:
        self._selector.close()
        for one in (self._requests, self._wakeups, self._signals, *self._controls.values()):
            one.close()


def _end_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _set_name(module: str) -> None:
    """Show a module's own name, of 15 bytes at most, in lists of processes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, module.rpartition(".")[2].encode())


def _tell(control: socket.socket, message: Mapping[str, int]) -> None:
    with suppress(OSError):
        control.send(orjson.dumps(message))


def main() -> None:
    _set_name("fork_server")
    ForkServer(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
