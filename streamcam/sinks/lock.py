"""One writer for a camera's folder at a time."""

import fcntl
import os
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.media_errors import writing


class FolderLock:
    """Keeps others from writing to a folder, in this process and in others on this machine.

    The folder itself is locked (`flock`): there is no file that could be left behind, or removed
    by somebody, and the kernel lets go when the process ends, however it ends.

    Args:
        folder: Made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, unless it is held by this already.

        Raises:
            SinkError: Somebody else holds it, or the folder cannot be made.
        """
        if self._descriptor is not None:
            return
        with writing(str(self._folder)):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise SinkError(
                f"{self._folder}: another process writes there",
                hint="Give each camera a name, and each process an output folder, of its own.",
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock; safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
