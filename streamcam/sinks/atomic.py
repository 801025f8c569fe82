"""Files that appear under their name complete, or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamcam.errors import DiskFullError, SinkError
from streamcam.sinks.names import PART

_FULL = {errno.ENOSPC, errno.EDQUOT}


class PartFile:
    """A file written as `NAME.part` beside its target until it is published.

    Args:
        path: The name under which it appears in the end. Its folder is made when needed.
    """

    def __init__(self, path: Path) -> None:
        # An absolute path cannot be taken for a URL by FFmpeg, whatever its name.
        self.path = path.absolute()
        self.part = self.path.with_name(self.path.name + PART)

    def prepare(self) -> Path:
        """Make the folder and return the path to write to.

        Raises:
            SinkError: The folder cannot be made.
        """
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.part

    def publish(self) -> Path:
        """Make what was written durable and visible, and return its path.

        Raises:
            SinkError: The file cannot be synced or renamed.
        """
        with writing(self.path):
            _sync(self.part)
            self.part.replace(self.path)
            _sync(self.path.parent)
        return self.path

    def discard(self) -> None:
        """Remove what was written but not published."""
        with suppress(OSError):
            self.part.unlink()


def write_file(path: Path, content: bytes) -> Path:
    """Write a whole file; it appears complete or not at all.

    Raises:
        SinkError: It cannot be written.
    """
    file = PartFile(path)
    try:
        part = file.prepare()
        with writing(path):
            part.write_bytes(content)
        return file.publish()
    except BaseException:
        file.discard()
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors about a file into ours.

    Raises:
        DiskFullError: No room is left, or a quota is used up.
        SinkError: Anything else that the system refused.
    """
    try:
        yield
    except OSError as error:
        raise sink_error(path, error) from error


def sink_error(path: Path, error: OSError) -> SinkError:
    """Name a failure to write a file."""
    if error.errno in _FULL:
        return DiskFullError(
            f"no room left to write {path}", hint="Free some space, or write to another disk."
        )
    return SinkError(
        f"cannot write {path}: {error.strerror or error}",
        hint="Check that the folder exists, may be written to, and is on a healthy disk.",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
