"""Reading a pipe in a way that can be interrupted."""

import os
import select
from pathlib import Path
from threading import Lock


class Pipe:
    """A named pipe or standard input, for FFmpeg to read from.

    Args:
        path: The pipe.

    Attributes:
        patience: Seconds to wait for data, None for ever.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, patience: float | None) -> None:
        self.patience = patience
        # Without O_NONBLOCK this would wait for a writer, and nothing could end that.
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._woken, self._waker = os.pipe()
        # A number that was closed may soon stand for another file.
        self._closing = Lock()
        self._closed = False

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end or after an interruption.

        Raises:
            TimeoutError: Nothing came in time.
        """
        ready, _, _ = select.select([self._file, self._woken], [], [], self.patience)
        if not ready:
            raise TimeoutError(f"no data for {self.patience:g} seconds")
        if self._woken in ready:
            return b""
        return os.read(self._file, size)

    def interrupt(self) -> None:
        """End all reading, from any thread."""
        with self._closing:
            if not self._closed:
                os.write(self._waker, b"!")

    def close(self) -> None:
        """Release the pipe; safe to call twice."""
        with self._closing:
            if not self._closed:
                self._closed = True
                for descriptor in (self._file, self._woken, self._waker):
                    os.close(descriptor)
