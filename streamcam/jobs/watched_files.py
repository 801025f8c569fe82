"""Watched folders, their inputs, what identifies a file, and results left unfinished."""

import fcntl
import fnmatch
import hashlib
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from streamcam.errors import SinkError, UsageError
from streamcam.files import PART, FolderLock
from streamcam.sinks.registry import is_result
from streamcam.sources.inputs import is_media

_TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", "~")
_PATH_DIGEST = 8

_BLOCK = 1 << 16
_BLOCKS = 16

# Where it cannot be known whether a process still writes a file: far longer than a writer pauses.
_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder that is watched.

    Attributes:
        path: Absolute, links resolved.
        subfolder: Where its results go below the output folder; empty when it is the only one.
    """

    path: Path
    subfolder: str

    def stems(self, file: Path) -> list[str]:
        """Return names for a file's results, the shortest first.

        They are its path below this folder: without the extension, with it, and with a digest of
        the whole path, which no other file has.
        """
        relative = file.relative_to(self.path)
        digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:_PATH_DIGEST]
        unique = relative.with_name(f"{relative.name}~{digest}")
        names = (relative.with_suffix(""), relative, unique)
        return [f"{self.subfolder}/{name}".lstrip("/") for name in names]


def resolve_folders(paths: Sequence[Path], *, recursive: bool) -> list[WatchedFolder]:
    """Return the watched folders that a person named, each once.

    Raises:
        UsageError: One is a file, or lies inside another one.
    """
    resolved = list(dict.fromkeys(path.resolve() for path in paths))
    for path in resolved:
        if path.exists() and not path.is_dir():
            raise UsageError(
                f"{path} is not a folder", hint="Single files belong to `streamcam run`."
            )
        outer = next((other for other in resolved if other in path.parents), None)
        if recursive and outer is not None:
            raise UsageError(
                f"{path} lies inside {outer}, which is watched with all its folders",
                hint="Name the outer one only, or add --no-recursive.",
            )
    subfolders = [""] if len(resolved) == 1 else _unique_tails(resolved)
    return [WatchedFolder(*pair) for pair in zip(resolved, subfolders, strict=True)]


def _unique_tails(paths: Sequence[Path]) -> list[str]:
    """Return for each path its shortest tail that no other path ends with."""
    unique = []
    for path in paths:
        tails = ["/".join(path.parts[-length:]) for length in range(1, len(path.parts) + 1)]
        others = [f"/{other.as_posix().lstrip('/')}" for other in paths if other != path]
        fitting = (t for t in tails if not any(other.endswith(f"/{t}") for other in others))
        unique.append(next(fitting, tails[-1]).lstrip("/"))
    return unique


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files below a folder are inputs.

    Attributes:
        recursive: Whether files in nested folders are inputs too.
        include: Patterns for names or relative paths; empty for every name of a media file.
        exclude: Patterns for names or relative paths that never are inputs.
        ignored: streamcam's own folders: results, state, explained sources.
    """

    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ignored: Sequence[Path] = ()

    def wants_file(self, folder: Path, file: Path) -> bool:
        """Tell by its name whether a file below a folder is an input."""
        if is_temporary(file.name) or is_result(file):
            return False
        relative = file.relative_to(folder)
        if self.exclude and _matches(relative, self.exclude):
            return False
        return _matches(relative, self.include) if self.include else is_media(file)

    def wants_folder(self, folder: Path, nested: Path) -> bool:
        """Tell by its name whether a watched folder, or one nested in it, may hold inputs."""
        if nested == folder:
            return True
        if not self.recursive or nested.name.startswith(".") or nested in self.ignored:
            return False
        return not (self.exclude and _matches(nested.relative_to(folder), self.exclude))

    def reaches_folder(self, folder: Path, nested: Path) -> bool:
        """Like `wants_folder`, for all folders on the path from the watched one."""
        if not nested.is_relative_to(folder):
            return False
        depth = len(nested.relative_to(folder).parts)
        return all(self.wants_folder(folder, p) for p in (nested, *nested.parents)[:depth])

    def reaches_file(self, folder: Path, file: Path) -> bool:
        """Tell whether a file is an input by its name and by those of the folders above it."""
        return self.reaches_folder(folder, file.parent) and self.wants_file(folder, file)


def _matches(relative: Path, patterns: Sequence[str]) -> bool:
    text = relative.as_posix()
    return any(
        fnmatch.fnmatchcase(text, pattern) or fnmatch.fnmatchcase(relative.name, pattern)
        for pattern in patterns
    )


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that programs give to unfinished files."""
    return name.startswith((".", "~")) or name.lower().endswith(_TEMPORARY)


def scan(
    folder: Path, start: Path, selection: Selection, on_error: Callable[[Path, OSError], None]
) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the inputs in `start`, which is a watched folder or nested in it, and below.

    Inputs are regular files and links to them. Links to folders are not followed, so there are no
    loops. Nothing is opened. `on_error` is called with folders that cannot be read.
    """
    pending = [start]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = list(listing)
        except OSError as error:
            on_error(current, error)
            continue
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(entry):
                if selection.wants_folder(folder, path):
                    pending.append(path)
            elif selection.wants_file(folder, path):
                result = stat_regular(entry)
                if result is not None:
                    yield path, result


def stat_regular(entry: "os.DirEntry[str] | Path") -> os.stat_result | None:
    """Return the stat of a regular file or of a link to one; None for anything else."""
    try:
        result = entry.stat()
    except OSError:
        return None
    return result if stat.S_ISREG(result.st_mode) else None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


class FileStat(NamedTuple):
    """What a scan tells of a file without opening it.

    Attributes:
        size: In bytes.
        mtime_ns: Time of the last change, nanoseconds since 1970.
        inode: Its number in the file system.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, result: os.stat_result) -> Self:
        return cls(result.st_size, result.st_mtime_ns, result.st_ino)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file's stat and content.

    Attributes:
        stat: Size, time and inode.
        fingerprint: Digest of its size and of blocks of its content, in hexadecimal.
    """

    stat: FileStat
    fingerprint: str


def identity_of(path: Path) -> FileIdentity:
    """Read a file's identity.

    The fingerprint covers the whole of a file up to 1 MiB; of a longer one 16 blocks of 64 KiB at
    even distances, the first and the last included. That is a constant cost, and detects any
    re-encoding, cut or append; a change of the same length between the blocks goes unnoticed.

    Raises:
        OSError: The file is not there or may not be read.
    """
    with path.open("rb") as file:
        stat = FileStat.of(os.fstat(file.fileno()))
        digest = hashlib.blake2b(str(stat.size).encode(), digest_size=16)
        for offset in _block_offsets(stat.size):
            file.seek(offset)
            digest.update(file.read(_BLOCK))
    return FileIdentity(stat, digest.hexdigest())


def _block_offsets(size: int) -> list[int]:
    if size <= _BLOCK * _BLOCKS:
        return list(range(0, size, _BLOCK))
    return [(size - _BLOCK) * step // (_BLOCKS - 1) for step in range(_BLOCKS)]


def is_being_written(path: Path) -> bool | None:
    """Tell whether any process has the file open for writing; None where that cannot be known.

    Linux grants a read lease only on a file that nobody has open for writing. Not every file system
    has leases, and they are granted to a file's owner and to root only.

    Raises:
        OSError: The file is not there or may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A writer that comes while the lease is held is announced by a signal: one that is ignored
        # by default, instead of SIGIO, which would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def remove_unfinished_results(output: Path) -> list[Path]:
    """Remove unfinished files and folders of results that no process writes any more.

    Returns:
        What was removed.
    """
    return [path for path in _unfinished(output) if _remove_if_abandoned(path)]


def _unfinished(output: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(output):
        for name in (*names, *subfolders):
            path = Path(folder, name)
            if name.endswith(PART) and is_result(path):
                yield path
        subfolders[:] = [name for name in subfolders if not name.endswith(PART)]


def _remove_if_abandoned(path: Path) -> bool:
    if path.is_dir():
        return _remove_unlocked_folder(path)
    try:
        written = is_being_written(path)
        if written is None:
            written = time.time() - path.stat().st_mtime <= _ABANDONED_SECONDS
        if not written:
            path.unlink()
    except OSError:
        return False
    return not written


def _remove_unlocked_folder(folder: Path) -> bool:
    """Remove a folder unless its writer, which holds its lock, is alive."""
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except SinkError:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    return not folder.exists()
