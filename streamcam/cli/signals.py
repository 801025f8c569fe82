"""Ctrl-C and SIGTERM: the first asks to stop, a second Ctrl-C forces."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from streamcam.cli.terminal import errors

FORCED = 130
"""What a shell reports of a process that SIGINT ended."""


@contextmanager
def stopped_by_signals(stop: Callable[[], None], message: str | None) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; raise KeyboardInterrupt on a second one.

    Args:
        stop: Must only set a flag.
        message: What happens then, for whoever waits at a terminal; None says nothing.
    """
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if message is not None:
            errors().print(f"stopping: {message} (Ctrl-C again to force)", soft_wrap=True)
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
