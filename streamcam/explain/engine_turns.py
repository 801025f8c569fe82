"""One engine for two kinds of work: answers at once, and what may take minutes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from streamcam.vision.cpu.tuning import threads_for
from streamcam.vision.devices import computing_threads
from streamcam.vision.engine import Engine


class EngineTurns:
    """Lets short work use an engine between two passes of long work.

    A network runs one pass at a time. A map by Score-CAM takes 192 of them, and a person who drags
    a rectangle wants to see the score after each step.
    """

    def __init__(self, engine: Engine) -> None:
        self._threads = threads_for(engine.detector)
        self._changed = threading.Condition()
        self._taken = False
        self._urgent = 0  # how many wait for a short turn

    @contextmanager
    def short(self) -> Iterator[None]:
        """Use the engine for a pass or two, before all that is long."""
        with self._changed:
            self._urgent += 1
            self._changed.wait_for(lambda: not self._taken)
            self._urgent -= 1
            self._taken = True
        with self._turn():
            yield

    @contextmanager
    def long(self) -> Iterator[None]:
        """Use the engine for as long as it takes; call `give_way` between passes."""
        with self._changed:
            self._take_when_nobody_else_wants()
        with self._turn():
            yield

    def give_way(self) -> None:
        """Let those who wait for a short turn have it. Only within `long`."""
        with self._changed:
            if self._urgent:
                self._release()
                self._take_when_nobody_else_wants()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            with computing_threads(self._threads):
                yield
        finally:
            with self._changed:
                self._release()

    def _take_when_nobody_else_wants(self) -> None:
        self._changed.wait_for(lambda: not self._taken and not self._urgent)
        self._taken = True

    def _release(self) -> None:
        self._taken = False
        self._changed.notify_all()
