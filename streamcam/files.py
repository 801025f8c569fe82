"""Files that appear under their name complete, or not at all; failures are `SinkError`s."""

import ctypes
import errno
import fcntl
import io
import os
import shutil
from contextlib import suppress
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.media_errors import writing

PART = ".part"

"""Ends the name of a file that is still being written."""

# Of Linux's `renameat2`.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class PartFile:
    """A file written as `NAME.part` beside its target until it is published."""

    def __init__(self, path: Path) -> None:
        # An absolute path cannot be taken for a URL by FFmpeg, whatever its name.
        self.path = path.absolute()
        self.part = self.path.with_name(self.path.name + PART)

    def prepare(self) -> Path:
        """Make the folder and return the path to write to."""
        with writing(str(self.path)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.part

    def publish(self) -> Path:
        """Make what was written durable and visible, and return its path."""
        with writing(str(self.path)):
            sync(self.part)
            self.part.replace(self.path)
            sync(self.path.parent)
        return self.path

    def discard(self) -> None:
        with suppress(OSError):
            self.part.unlink()


class WholeFile(io.FileIO):
    """An unbuffered file whose `write` writes all or fails: PyAV ignores incomplete writes."""

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)


def write_file(path: Path, content: bytes) -> Path:
    """Write a whole file, which appears complete or not at all, and return its path."""
    file = PartFile(path)
    try:
        part = file.prepare()
        with writing(str(path)):
            part.write_bytes(content)
        return file.publish()
    except BaseException:
        file.discard()
        raise


class FolderLock:
    """One writer for a folder at a time, among the threads and processes of this machine.

    The folder itself is locked (`flock`): there is no lock file that could be left behind or
    removed, and the kernel releases the lock when the process ends, however it ends. The folder is
    made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, unless this object holds it; raises SinkError where another does."""
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
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def replace_folder(part: Path, folder: Path) -> None:
    """Publish a complete folder under its final name, in place of one that is there.

    The name leads to a complete folder, the old or the new one, at every moment; where the system
    cannot exchange two folders, after a crash perhaps to none. `part` is on the same file system;
    its name is gone afterwards.

    Raises:
        OSError: It cannot be published.
    """
    for path in (*part.iterdir(), part):
        sync(path)
    try:
        part.replace(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(part, folder)
        sync(folder.parent)
        shutil.rmtree(part)
    sync(folder.parent)


def _exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders; at once on Linux."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        code = errno.ENOSYS
    else:
        names = os.fsencode(one), os.fsencode(other)
        failed = renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
        code = ctypes.get_errno() if failed else 0
    if code in (errno.ENOSYS, errno.EINVAL):  # not this system, or not this file system
        aside = other.with_name(f"{other.name}.old{PART}")
        other.replace(aside)
        one.replace(other)
        aside.replace(one)
    elif code:
        raise OSError(code, os.strerror(code), str(other))


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable(path: Path | str) -> str:
    """Return a path as text for people and JSON: bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def existing_ancestor(path: Path) -> Path:
    """Return the nearest of a path and the folders above it that exists."""
    absolute = path.absolute()
    return next((p for p in (absolute, *absolute.parents) if p.exists()), Path("/"))


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk that holds a folder, which need not exist yet."""
    return shutil.disk_usage(existing_ancestor(folder)).free
