"""What the children of `tests.test_worker_process` do; the order says which of it."""

import ctypes
import os
import signal

import numpy as np

from streamcam.worker_process import ParentProcess


def echo(parent: ParentProcess) -> None:
    """Send each message back, and last of all what was said first."""
    while (message := parent.receive(None)) != {"enough": True}:
        assert message is not None
        parent.send(message)
    parent.send(parent.task)


def paint(parent: ParentProcess) -> None:
    """Put a picture of each size and colour that is asked for."""
    while (wish := parent.receive(None)) is not None:
        parent.picture.put(np.full(wish["shape"], wish["colour"], np.uint8))
        parent.send({"done": True})


def hang(parent: ParentProcess) -> None:
    """Wait in native code, with the interpreter's lock, deaf to everything."""
    parent.send({"done": True})
    ctypes.PyDLL(None).sleep(1000)


def crash(parent: ParentProcess) -> None:
    """Die as native code does, with a last message on its way."""
    parent.send({"done": True})
    os.kill(os.getpid(), signal.SIGSEGV)


def wait(parent: ParentProcess) -> None:
    """Stay until the parent has gone."""
    parent.send({"done": True})
    parent.receive(None)


def main(parent: ParentProcess) -> None:
    {work.__name__: work for work in (echo, paint, hang, crash, wait)}[parent.task["do"]](parent)
